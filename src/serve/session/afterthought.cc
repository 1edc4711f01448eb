#include "serve/session/afterthought.h"

#include <algorithm>

#include "memory/reflect/again.h"
#include "serve/session/writer.h"

namespace varve {
namespace {

constexpr size_t kQueued = 256;   // beyond, a turn waits in the log
constexpr int32_t kPatience = 3;  // times a turn is put off for others before it runs beside them

CubeId first_of(const Turn& turn) {
  return turn.user_cube.value_or(turn.assistant_cube.value_or(CubeId{}));
}
CubeId last_of(const Turn& turn) {
  return turn.assistant_cube.value_or(turn.user_cube.value_or(CubeId{}));
}

// No cube that is made from this time on sorts before it.
CubeId first_at(TimeMs time) {
  CubeId id = CubeId::make(time);
  std::fill(id.bytes.begin() + 6, id.bytes.end(), uint8_t(0));
  return id;
}

CubeId just_before(CubeId id) {
  for (size_t i = id.bytes.size(); i-- > 0;) {
    if (id.bytes[i]-- != 0) break;
  }
  return id;
}

}  // namespace

Afterthought::Afterthought(const AfterthoughtParts& parts) : parts_(parts) {
  if (parts_.engine != nullptr) prompter_ = std::make_unique<Prompter>(parts_.engine->model());
  idle_ = std::all_of(parts_.reflectors.begin(), parts_.reflectors.end(),
                      [](const auto& one) { return one->kinds().empty(); });
  if (!idle_) thread_ = std::thread([this] { run(); });
}

Afterthought::~Afterthought() {
  {
    std::lock_guard lock(mutex_);
    ending_ = true;
    interrupt_.raise();
    tell();
  }
  if (thread_.joinable()) thread_.join();
}

void Afterthought::meet(const Principal& who) {
  std::lock_guard lock(mutex_);
  if (idle_ || logs_.contains(who.name)) return;
  Log& log = logs_[who.name];
  lost_.insert(who.name);
  const auto reached = parts_.progress.reached(who);
  if (!reached) {  // never before: from now on, and 'varve reflect' for the past
    unsaved_[who.name] = first_at(parts_.clock.now_ms());
  } else {
    log.past = std::make_unique<PastTurns>(parts_.cubes, Principal{who.name}, who.name, reached);
  }
  tell();
}

void Afterthought::lost(const Principal& who) {
  std::lock_guard lock(mutex_);
  if (!idle_) lost_.insert(who.name);
  tell();
}

void Afterthought::begun(const Principal& who, CubeId first) {
  std::lock_guard lock(mutex_);
  if (!idle_) logs_[who.name].open.insert(first);
}

std::shared_ptr<Afterthought::Outcome> Afterthought::submit(const Principal& who, Turn turn) {
  auto outcome = std::make_shared<Outcome>();
  std::lock_guard lock(mutex_);
  outcome->done = idle_;
  if (idle_) return outcome;
  if (waiting_.size() >= kQueued) {  // it stays open, so the mark stays before it
    Log& log = logs_[who.name];
    if (!log.past)
      log.past = std::make_unique<PastTurns>(parts_.cubes, Principal{who.name}, who.name,
                                             just_before(first_of(turn)));
    outcome->trouble = "the afterthought is far behind; this turn will be reflected on later";
    outcome->done = true;
    return outcome;
  }
  waiting_.push_back({who, std::move(turn), outcome});
  if (current_is_past_) interrupt_.raise();  // the past can wait
  tell();
  return outcome;
}

void Afterthought::wait(const std::shared_ptr<Outcome>& outcome) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return outcome->done || ending_; });
}

// It stays in the log, before which the mark stays.
void Afterthought::give_up(const std::shared_ptr<Outcome>& outcome) {
  std::lock_guard lock(mutex_);
  if (outcome == nullptr || outcome->done) return;
  outcome->done = true;
  outcome->trouble = "interrupted; it will be reflected on later";
  ++state_.given_up;
  if (current_ == outcome) interrupt_.raise();
  std::erase_if(waiting_, [&](const Job& job) { return job.outcome == outcome; });
  tell();
}

std::vector<CubeId> Afterthought::stored(const std::shared_ptr<Outcome>& outcome) const {
  std::lock_guard lock(mutex_);
  return outcome->stored;
}

std::string Afterthought::trouble(const std::shared_ptr<Outcome>& outcome) const {
  std::lock_guard lock(mutex_);
  return outcome->trouble;
}

void Afterthought::tell() {
  ++events_;
  changed_.notify_all();
}

void Afterthought::hush(int change) {
  std::lock_guard lock(mutex_);
  hushed_ += change;
  if (change > 0 && parts_.engine != nullptr) interrupt_.raise();
  tell();
}

Afterthought::State Afterthought::state() const {
  std::lock_guard lock(mutex_);
  State state = state_;
  state.waiting = int64_t(waiting_.size()) + (current_ != nullptr);
  return state;
}

std::vector<std::string> Afterthought::pinned() const {
  std::vector<std::string> kinds;
  for (const auto& one : parts_.reflectors) {
    for (std::string& kind : one->pinned()) kinds.push_back(std::move(kind));
  }
  return kinds;
}

void Afterthought::run() {
  std::unique_lock lock(mutex_);
  while (!ending_) {
    const uint64_t seen = events_;  // what happens while the lock is given back below counts, too
    Job job;
    if (!next(job, lock)) {
      save_marks(lock);
      changed_.wait(lock, [&] { return events_ != seen; });
      continue;
    }
    state_.busy = true;
    current_ = job.outcome;
    current_is_past_ = job.from_log;
    interrupt_.clear();
    // A turn may have begun between next() and here: it is as good as interrupted.
    if (ending_ || (hushed_ > 0 && parts_.engine != nullptr && job.tries < kPatience)) interrupt_.raise();
    lock.unlock();
    bool cancelled = false;
    Outcome outcome = reflect_on(job, cancelled);
    lock.lock();
    current_ = nullptr;
    current_is_past_ = state_.busy = false;
    finish(std::move(job), std::move(outcome), cancelled);
    tell();
  }
  save_marks(lock);
}

bool Afterthought::next(Job& job, std::unique_lock<std::mutex>& lock) {
  const bool held = hushed_ > 0 && parts_.engine != nullptr;
  if (!waiting_.empty()) {
    if (held && waiting_.front().tries < kPatience) return false;
    job = std::move(waiting_.front());
    waiting_.pop_front();
    return true;
  }
  return !held && (next_of_log(job, lock) || next_lost(job));
}

bool Afterthought::next_lost(Job& job) {
  if (lost_.empty()) return false;
  job = {{std::move(lost_.extract(lost_.begin()).value())}, {}, std::make_shared<Outcome>(), 0, true, true};
  return true;
}

// The store is not read under the lock; the cursor is this thread's alone.
bool Afterthought::next_of_log(Job& job, std::unique_lock<std::mutex>& lock) {
  for (auto& [name, log] : logs_) {
    if (!log.past) continue;
    std::unique_ptr<PastTurns> past = std::move(log.past);
    lock.unlock();
    auto turn = past->next();
    lock.lock();
    Log& same = logs_[name];
    if (!turn.ok()) {
      state_.trouble = "reading the log: " + std::string(std::move(turn).status().message());
      return false;
    }
    if (!*turn) return next_of_log(job, lock);  // this past is done
    same.past = std::move(past);
    if (same.open.contains(first_of(**turn))) return next_of_log(job, lock);  // it is being said
    job = {{name}, std::move(**turn), std::make_shared<Outcome>(), 0, true};
    return true;
  }
  return false;
}

Afterthought::Outcome Afterthought::reflect_on(Job& job, bool& cancelled) {
  Outcome outcome;
  std::optional<EngineWriter> writer;
  if (parts_.engine != nullptr)
    writer.emplace(*parts_.engine, *prompter_, job.who.whole(), parts_.clock, interrupt_);
  const Reflecting with{job.who, parts_.cubes, parts_.recall, parts_.embedder, writer ? &*writer : nullptr};
  for (const auto& reflector : parts_.reflectors) {
    auto stored = job.again ? derive_again(with, *reflector) : reflect(with, *reflector, job.turn);
    if (stored.ok()) {
      outcome.stored.insert(outcome.stored.end(), stored->begin(), stored->end());
      continue;
    }
    cancelled = cancelled || stored.code() == Code::cancelled;
    outcome.trouble = "the afterthought failed, the turn itself is stored: " +
                      std::string(std::move(stored).status().message());
    if (cancelled) break;
  }
  return outcome;
}

void Afterthought::finish(Job job, Outcome outcome, bool cancelled) {
  if (job.again) {
    if (cancelled) lost_.insert(job.who.name);
    if (!cancelled && !outcome.trouble.empty()) state_.trouble = outcome.trouble;
    return;
  }
  if (cancelled && !job.outcome->done && !ending_) {  // put off, not given up
    ++job.tries;
    waiting_.push_front(std::move(job));
    return;
  }
  if (cancelled) return;  // given up: the log keeps it
  if (job.outcome->done) outcome.trouble = job.outcome->trouble;
  ++state_.done;
  if (!outcome.trouble.empty()) {
    ++state_.failed;
    state_.trouble = outcome.trouble;
  }
  *job.outcome = std::move(outcome);
  job.outcome->done = true;
  mark(job.who, logs_[job.who.name], job.turn);
}

void Afterthought::mark(const Principal& who, Log& log, const Turn& turn) {
  log.open.erase(first_of(turn));
  log.last = std::max(log.last.value_or(CubeId{}), last_of(turn));
  std::optional<CubeId> reached = log.last;
  if (log.past) reached = log.past->mark();  // what lies between is not looked at yet
  if (!reached) return;
  if (!log.open.empty()) reached = std::min(*reached, just_before(*log.open.begin()));
  unsaved_[who.name] = *reached;
}

void Afterthought::save_marks(std::unique_lock<std::mutex>& lock) {
  const auto marks = std::exchange(unsaved_, {});
  lock.unlock();
  for (const auto& [name, reached] : marks) parts_.progress.reach({name}, reached);
  lock.lock();
}

}  // namespace varve
