#include "memory/recall/indexes.h"

#include <algorithm>

#include "memory/recall/present.h"

namespace varve {
namespace {

constexpr int kChangesBetweenBooking = 512;
constexpr int32_t kPage = 256, kPageToEmbed = 32;
constexpr std::chrono::seconds kPause{2};

bool recallable(const CubeHeader& header, std::string_view text) {
  return (header.life == Life::active || header.life == Life::expired) && header.form == Form::plaintext &&
         !text.empty() && !is_recalled_text(text);
}

}  // namespace

struct Indexes::Page : CubeObserver {
  void changed(const CubeHeader& header, std::string_view payload) override {
    if (recallable(header, payload)) memories.push_back({header, std::string(payload), {}});
  }
  void erased(const CubeHeader&) override {}
  std::vector<Memory> memories;
};

Indexes::Indexes(std::vector<RecallPart> parts, CubeStore& store, const Embedder* embedder,
                 const RecallGround& ground)
    : parts_(std::move(parts)), store_(store), embedder_(embedder), ground_(ground) {}

Result<std::unique_ptr<Indexes>> Indexes::open(std::vector<RecallPart> parts, CubeStore& store,
                                               const Embedder* embedder, Ledger& ledger,
                                               const RecallGround& ground) {
  std::unique_ptr<Indexes> made(new Indexes(std::move(parts), store, embedder, ground));
  TRY(made->start(ledger));
  return made;
}

Indexes::~Indexes() {
  {
    std::lock_guard lock(wake_);
    stop_ = true;
  }
  woken_.notify_all();
  if (thread_.joinable()) thread_.join();
  store_.observe(nullptr).ignore("the store may be closing");
  if (saving_is_due(true)) save().ignore("it is built anew when it opens");
}

Status Indexes::settle_part(RecallPart& part) {
  return part.retriever->settle({ledger_, part.embedder, ground_.env, ground_.folder, file_name(part)});
}

Status Indexes::begin_empty() {
  entries_ = Entries(ground_.env, ground_.folder);
  entries_complete_ = false;
  std::erase_if(parts_, [](const RecallPart& part) { return part.former; });
  for (RecallPart& part : parts_) {
    if (part.retriever == nullptr) continue;
    part.retriever = TRY(retrievers().make(part.spec));
    part.complete = false;
    part.filled_to = {};
    TRY(settle_part(part));
  }
  shown_ = 0;
  return {};
}

Status Indexes::start(Ledger& ledger) {
  ledger_ = &ledger;
  booked_ = TRY(ledger.reserve(Tag::index, 0));
  TRY(begin_empty());
  if (ground_.env != nullptr) {
    TRY(ground_.env->make_folder(ground_.folder));
    TRY(remove_leftovers(*ground_.env, ground_.folder));
    load();
  }
  Status since = opened_.empty() ? Status(Code::not_found, "") : store_.observe(this, &mark_);
  if (since.ok()) {
    opened_ += unsaved_ > 0 ? ", " + std::to_string(unsaved_) + " changes read since" : "";
  } else {
    opened_ = "built";
    TRY(begin_empty());
    mark_ = TRY(store_.newest());
    TRY(store_.observe(this, &mark_));
  }
  const bool kept = ground_.env != nullptr;
  while (TRY(fill_page(kPage, kept))) {
  }
  const int64_t at_once = shown_ + ground_.embed_at_once;
  while ((!kept || shown_ < at_once) && TRY(fill_page(kPage, false))) {
  }
  drop_strangers();
  if (kept) thread_ = std::thread([this] { work(); });
  return {};
}

bool Indexes::lacks(const RecallPart& part, bool words_only) {
  return part.retriever != nullptr && !part.complete && !(words_only && part.embedder != nullptr);
}

bool Indexes::incomplete(bool words_only) const {
  return !entries_complete_ || std::any_of(parts_.begin(), parts_.end(),
                                           [&](const RecallPart& part) { return lacks(part, words_only); });
}

// A page of the store to every part that lacks it. What changes while it is embedded comes by changed().
Result<bool> Indexes::fill_page(int32_t limit, bool words_only) {
  std::lock_guard one(filling_);
  std::optional<CubeId> after;
  bool embeds = false;
  {
    std::lock_guard lock(mutex_);
    if (!incomplete(words_only)) return false;
    touched_.clear();
    if (!entries_complete_) after = entries_filled_to_;
    for (const RecallPart& part : parts_) {
      if (!lacks(part, words_only)) continue;
      after = std::min(after.value_or(part.filled_to), part.filled_to);
      embeds = embeds || part.embedder != nullptr;
    }
  }
  Page page;
  const auto last = TRY(store_.show(page, *after, limit));
  for (Memory& memory : page.memories) {
    if (!embeds) break;
    auto vector = embedder_->embed(memory.text);
    if (vector.ok()) memory.vector = std::move(vector).value();  // else the words still find it
  }
  std::lock_guard lock(mutex_);
  for (const Memory& memory : page.memories) {
    if (!touched_.contains(memory.header.id))
      add(memory, [&](const RecallPart& part) { return lacks(part, words_only); });
  }
  if (embeds) shown_ += int64_t(page.memories.size());
  unsaved_ += int64_t(page.memories.size());
  book();
  if (!last) return finish_filling(words_only), false;
  entries_filled_to_ = *last;
  for (RecallPart& part : parts_) {
    if (lacks(part, words_only)) part.filled_to = *last;
  }
  return true;
}

void Indexes::finish_filling(bool words_only) {
  for (RecallPart& part : parts_) part.complete = part.complete || lacks(part, words_only);
  entries_complete_ = true;
  if (words_only) return;
  std::erase_if(parts_, [](const RecallPart& part) { return part.former; });
  finished_ = true;
}

void Indexes::add(const Memory& memory, const std::function<bool(const RecallPart&)>& wanted) {
  if (!entries_complete_ || !memory.vector.empty() || entries_.find(memory.header.id) == Entries::kNone) {
    entries_.add(memory.header, memory.text, memory.vector);
  }
  for (RecallPart& part : parts_) {
    if (part.retriever == nullptr) continue;
    if (part.former && !memory.vector.empty()) {
      part.retriever->remove(memory.header.id);  // it has a vector of the present embedder now
    } else if (!part.former && wanted(part)) {
      part.retriever->add(memory.header, memory.text, memory.vector)
          .ignore("a cube without a fitting vector is found by its words");
    }
  }
}

void Indexes::forget(CubeId id) {
  entries_.remove(id);
  for (RecallPart& part : parts_) {
    if (part.retriever != nullptr) part.retriever->remove(id);
  }
}

void Indexes::changed(const CubeHeader& header, std::string_view payload) {
  const bool wanted = recallable(header, payload);
  Memory memory{header, wanted ? std::string(payload) : std::string(), {}};
  if (wanted && embedder_ != nullptr) {
    auto embedded = embedder_->embed(payload);
    if (embedded.ok()) memory.vector = std::move(embedded).value();  // else the words still find it
  }
  std::lock_guard lock(mutex_);
  forget(header.id);
  touched_.insert(header.id);
  if (wanted) add(memory, [](const RecallPart&) { return true; });
  ++unsaved_;
  changed_at_ = std::chrono::steady_clock::now();
  if (changes_++ % kChangesBetweenBooking == 0) book();
}

// The file knows which terms a cube had: it goes before the caller is told that the cube is gone.
void Indexes::erased(const CubeHeader& header) {
  std::lock_guard lock(mutex_);
  forget(header.id);
  touched_.insert(header.id);
  ++unsaved_;
  changed_at_ = std::chrono::steady_clock::now();
  drop_files();
}

void Indexes::account(EraseReceipt& receipt) {
  std::lock_guard lock(mutex_);
  if (keeps_files()) {
    receipt.not_reached.push_back("the index file could not be removed; it goes when the home is opened");
    return;
  }
  receipt.indexes.push_back(
      "recall: its postings and vectors are gone" +
      std::string(ground_.env != nullptr ? ", and so are the index files, which are written anew without them"
                                         : ""));
}

void Indexes::reached(const JournalMark& mark) {
  std::lock_guard lock(mutex_);
  mark_ = mark;
}

int64_t Indexes::index_bytes() const {
  int64_t sum = entries_.bytes();
  for (const RecallPart& part : parts_) sum += part.retriever != nullptr ? part.retriever->bytes() : 0;
  return sum;
}

// Keeps the ledger true without counting at each change. A refusal stops recall, never a write: evidence is
// kept.
void Indexes::book() {
  int64_t own = 0;
  for (const RecallPart& part : parts_) own += part.retriever != nullptr ? part.retriever->booked() : 0;
  over_budget_ = !booked_.resize(index_bytes() - own).ok();
}

Status Indexes::fits() const {
  if (!over_budget_) return {};
  return Status(Code::over_budget, "the recall index needs " + std::to_string(index_bytes()) +
                                       " bytes, more than the budget leaves: raise --budget");
}

int64_t Indexes::bytes() const {
  const auto lock = reading();
  return index_bytes();
}

QueryVectors Indexes::embed(std::string_view text) const {
  QueryVectors vectors;
  if (embedder_ == nullptr) return vectors;
  auto present = embedder_->embed(text);  // else the words find what they find
  vectors.add(embedder_, present.ok() ? std::move(present).value() : std::vector<float>());
  std::set<const Embedder*> former;
  {
    const auto lock = reading();
    for (const RecallPart& part : parts_) {
      if (part.former) former.insert(part.embedder);
    }
  }
  for (const Embedder* one : former) {
    auto vector = one->embed(text);
    if (vector.ok()) vectors.add(one, std::move(vector).value());
  }
  return vectors;
}

RecallState Indexes::state() const {
  const auto lock = reading();
  RecallState state{.opened = opened_, .memories = int64_t(entries_.size()), .bytes = index_bytes()};
  state.vector_bytes = entries_.vector_bytes();
  state.unsaved = unsaved_;
  state.file = keeps_files();
  state.fits = !over_budget_;
  for (const RecallPart& part : parts_) {
    if (part.retriever == nullptr) continue;
    if (part.embedder != nullptr) state.vector_bytes += part.retriever->bytes();
    state.indexes.push_back({.spec = part.spec,
                             .embedder = part.embedder != nullptr ? std::string(part.embedder->name()) : "",
                             .bytes = part.retriever->bytes(),
                             .former = part.former,
                             .complete = part.complete});
  }
  if (incomplete(false)) state.to_embed = std::max<int64_t>(0, state.memories - shown_);
  return state;
}

Status Indexes::rebuild() {
  {
    std::lock_guard one(filling_);
    std::lock_guard lock(mutex_);
    TRY(begin_empty());
    drop_files();
    opened_ = "built anew";
  }
  return settle();
}

Status Indexes::settle() {
  while (TRY(fill_page(kPage, false))) {
  }
  return ground_.env != nullptr ? save() : Status();
}

// A file is worth writing when reading it is quicker than reading what it lacks from the store.
bool Indexes::saving_is_due(bool closing) const {
  if (ground_.env == nullptr) return false;
  const auto lock = reading();
  const auto memories = int64_t(entries_.size());
  const int64_t least = embedder_ != nullptr ? 50 : 500;
  const bool quiet = closing || std::chrono::steady_clock::now() - changed_at_ > kPause;
  if (!keeps_files()) return quiet && memories >= least && unsaved_ > 0;
  return unsaved_ >= least + memories / (closing ? 50 : 8);
}

bool Indexes::stopping() {
  std::lock_guard lock(wake_);
  return stop_;
}

void Indexes::work() {
  while (!stopping()) {
    const auto more = fill_page(kPageToEmbed, false);
    if (saving_is_due(false)) save().ignore("tried again when more has changed, and at the end");
    if (finished_.exchange(false)) drop_strangers();
    if (lost_a_part()) rebuild().ignore("tried again after a pause");
    if (more.ok() && *more) continue;
    std::unique_lock wait(wake_);
    woken_.wait_for(wait, kPause, [&] { return stop_; });
  }
}

bool Indexes::lost_a_part() const {
  const auto lock = reading();
  return std::any_of(parts_.begin(), parts_.end(), [](const RecallPart& part) {
    return part.retriever != nullptr && !part.retriever->sound();
  });
}

}  // namespace varve
