// One turn, stage by stage. Why recalled words stand where they do: docs/decisions/0007.
// docs/decisions/0007-recalled-words.md.
#include "serve/session/session.h"

#include <algorithm>
#include <chrono>
#include <mutex>
#include <optional>

#include "core/base/process.h"
#include "memory/plaintext/evidence.h"
#include "memory/reflect/overlap.h"
#include "serve/session/answer/plain_answer.h"
#include "serve/session/excerpt.h"
#include "serve/session/transcript.h"

namespace varve {
namespace {

constexpr size_t kQueryBytes = 4000;  // of a message that is searched for
constexpr size_t kMessageBytes = 1 << 20;
constexpr int32_t kSeams = 16;  // tokens by which a text in a prompt may be longer than alone

class Stopwatch {
 public:
  double lap_ms() {
    const auto now = std::chrono::steady_clock::now();
    return std::chrono::duration<double, std::milli>(now - std::exchange(last_, now)).count();
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

std::string_view head_of(std::string_view text, size_t bytes) {
  if (text.size() <= bytes) return text;
  while (bytes > 0 && (uint8_t(text[bytes]) & 0xC0) == 0x80) --bytes;
  return text.substr(0, bytes);
}

bool blank(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return uint8_t(c) <= ' '; });
}

class Conversation : public Session {
 public:
  Conversation(const SessionParts& parts, Principal who, std::string id, std::unique_ptr<Prompter> prompter,
               Transcript transcript)
      : parts_(parts),
        who_(std::move(who)),
        id_(std::move(id)),
        prompter_(std::move(prompter)),
        transcript_(std::move(transcript)) {}

  const std::string& id() const override { return id_; }
  void interrupt() override {
    interrupt_.raise();
    parts_.thoughts.give_up(newest_thought());
  }
  void settle() override {
    if (auto thought = newest_thought()) parts_.thoughts.wait(thought);
  }
  Result<TurnReport> turn(std::string_view user, const TurnOptions& options,
                          const OnPiece& on_piece) override;
  Result<std::vector<Said>> transcript() override {
    std::lock_guard one(mutex_);
    return transcript_.read(0);
  }

 private:
  struct Work {  // what the stages of one turn hand on
    std::string_view user;
    const TurnOptions& options;
    TurnReport report;
    int32_t first_turn = 0;
    Prompt prompt;
    std::optional<std::string> shorter;  // what the model reads in place of the user's words
    std::optional<CubeId> user_cube, answer_cube;
    bool begins = false;  // this turn is the first of the conversation
  };

  // The user's words were said, and kept, when the tools were called.
  static bool going_on(const Work& work) { return work.options.after.size() > 0; }
  bool own_history(const Work& work) const { return work.options.history.is_null(); }
  int32_t quarter(int32_t tokens) const { return std::min(tokens, parts_.engine->context() / 4); }
  int32_t recall_tokens(const Work& work) const {
    return work.options.recall_tokens < 0 ? parts_.recall_tokens : work.options.recall_tokens;
  }
  Status find_asked_before(Work& work);
  Status gather(Work& work);
  Status attach(Work& work, const CubeId& id);
  Status attach_recalled(Work& work);
  Result<std::vector<Recalled>> count(Work& work, RecallQuery& query) const;
  Result<Json> messages(const Work& work);
  void trim_recalled(Work& work) const;
  Status write_prompt(Work& work);
  Status keep_user(Work& work);
  Status answer(Work& work, const OnPiece& on_piece);
  void keep_answer(Work& work);
  void think(Work& work);
  void form_habit(Work& work);
  Status recall_pinned(Work& work) const;
  std::shared_ptr<Afterthought::Outcome> newest_thought() const {
    std::lock_guard lock(thought_mutex_);
    return thought_;
  }
  Result<CubeId> keep(const Work& work, std::string_view speaker, std::string_view text,
                      std::vector<Source> from, Trust trust);

  const SessionParts parts_;
  const Principal who_;
  const std::string id_;
  const std::unique_ptr<Prompter> prompter_;  // null without a model
  std::mutex mutex_;                          // one turn at a time
  Transcript transcript_;
  std::optional<CubeId> attached_;  // an activation cube that the prompts of this conversation begin with
  Interrupt interrupt_;
  mutable std::mutex thought_mutex_;                // of the pointer alone
  std::shared_ptr<Afterthought::Outcome> thought_;  // of the newest turn
  bool told_ = true;                                // its trouble
};

Status check(std::string_view user, const TurnOptions& options) {
  if (blank(user)) return Status(Code::invalid, "the message is empty; say something");
  if (user.size() > kMessageBytes) {
    return Status(Code::invalid, "the message has " + std::to_string(user.size()) +
                                     " bytes; at most 1 MiB can be said at once, so cut it into parts");
  }
  if (options.max_tokens < 1) return Status(Code::invalid, "max_tokens must be at least 1");
  if (!options.after.is_null() && (!options.after.is_array() || options.history.is_null())) {
    return Status(Code::invalid, "messages after the user's go with a history of the caller's own");
  }
  if (!options.history.is_null() && !options.history.is_array()) {
    return Status(Code::invalid, "the history must be a list of messages");
  }
  return options.sampling.validate();
}

Result<TurnReport> Conversation::turn(std::string_view said, const TurnOptions& options,
                                      const OnPiece& on_piece) {
  Utf8Stream whole;
  std::string user = whole.push(said);
  user += whole.finish();
  TRY(check(user, options));
  std::lock_guard one(mutex_);
  std::optional<Afterthought::Hush> hush(std::in_place, parts_.thoughts);
  interrupt_.clear();
  Work work{.user = user, .options = options};
  TurnReport& report = work.report;
  if (auto thought = newest_thought(); thought && !std::exchange(told_, true)) {
    const std::string trouble = parts_.thoughts.trouble(thought);
    if (!trouble.empty()) report.troubles.push_back(trouble);
  }
  Stopwatch watch;
  TRY(find_asked_before(work));
  TRY(gather(work));
  report.stage_ms.emplace_back("recall", watch.lap_ms());
  if (parts_.engine != nullptr) TRY(write_prompt(work));
  TRY(keep_user(work));
  report.stage_ms.emplace_back("prompt", watch.lap_ms());
  if (parts_.engine != nullptr) {
    Status answered = answer(work, on_piece);
    if (!answered.ok())
      return std::move(answered).with(work.user_cube ? "answering; your words are kept" : "answering");
    report.stage_ms.emplace_back("reuse", report.usage.queue_ms + report.usage.prefill_ms);
    report.stage_ms.emplace_back("answer", report.usage.decode_ms);
    watch.lap_ms();
  } else {
    report.answer = plain_answer(user, report.counted, report.recalled);
    if (on_piece && !on_piece({report.answer, {}})) report.finish = Finish::cancelled;
    report.stage_ms.emplace_back("answer", watch.lap_ms());
  }
  if (options.remember) keep_answer(work);
  hush.reset();
  if (options.remember) {
    think(work);
    form_habit(work);
  }
  report.stage_ms.emplace_back("afterthought", watch.lap_ms());
  report.peak_bytes = peak_resident_bytes();
  return std::move(work.report);
}

// A message that is sent again because its answer failed is not said twice.
Status Conversation::find_asked_before(Work& work) {
  work.report.turn = transcript_.next_turn();
  const auto unanswered = transcript_.unanswered();
  if (parts_.engine == nullptr || !unanswered || !work.options.remember) return {};
  const std::vector<Said> last = TRY(transcript_.read(transcript_.next_turn() - 1));
  if (last.empty() || last.back().text != strip_recalled(work.user)) return {};
  work.user_cube = last.back().cube;
  work.report.turn = last.back().turn;
  return {};
}

// The cube that is named, or the one that this conversation began with.
Status Conversation::attach(Work& work, const CubeId& id) {
  Captured captured = TRY(find_captured(parts_.cubes, who_, id));
  if (prompter_->count(captured.words) > parts_.engine->context() / 4 * 3)
    return Status(Code::invalid, "what cube " + id.text() + " captured fills the context");
  work.report.captured = std::move(captured);
  attached_ = id;
  return {};
}

// A conversation that begins with something captured begins with its state. Later that would move everything
// that is computed already.
Status Conversation::attach_recalled(Work& work) {
  work.begins = own_history(work) ? transcript_.next_turn() == 0 : work.options.history.size() == 0;
  if (parts_.engine != nullptr && work.begins && !work.report.captured) {
    const auto found = TRY(captured_of(parts_.cubes, who_, parts_.engine->model(), work.report.recalled));
    if (found && !attach(work, *found).ok()) return {};  // recalled words do, then
  }
  if (!work.report.captured) return {};
  std::erase_if(work.report.recalled,
                [&](const Recalled& one) { return work.report.captured->holds(one.header); });
  return {};
}

Status Conversation::gather(Work& work) {
  RecallQuery query;
  if (parts_.engine != nullptr && work.options.activation) {
    TRY(attach(work, *work.options.activation));
  } else if (parts_.engine != nullptr && attached_ && !attach(work, *attached_).ok()) {
    attached_.reset();  // erased since
  }
  query.text = head_of(work.user, kQueryBytes);
  if (parts_.engine != nullptr) {
    const int32_t room = parts_.engine->context() - quarter(work.options.max_tokens) -
                         quarter(recall_tokens(work)) - parts_.engine->context() / 8 -
                         (work.report.captured ? prompter_->count(work.report.captured->words) : 0);
    if (own_history(work)) TRY(transcript_.leave_out(work.options.subtasks));
    work.first_turn = own_history(work) ? transcript_.first_turn(room) : 0;
    query.token_budget = quarter(recall_tokens(work));
    query.skip_session = id_;
    query.skip_from_turn = work.first_turn;
  }
  if (!work.options.recall || (parts_.engine != nullptr && query.token_budget == 0)) return {};
  TRY(recall_pinned(work));
  for (const Recalled& one : work.report.recalled) query.token_budget -= int32_t(one.text.size() / 4);
  if (parts_.engine != nullptr && query.token_budget <= 0) return {};
  std::vector<Recalled> found = TRY(count(work, query));
  for (Recalled& one : TRY(parts_.recall.gather(who_, query))) found.push_back(std::move(one));
  for (Recalled& one : found) {
    const auto same = [&](const Recalled& before) { return before.header.id == one.header.id; };
    if (std::none_of(work.report.recalled.begin(), work.report.recalled.end(), same))
      work.report.recalled.push_back(std::move(one));
  }
  return attach_recalled(work);
}

// Of a message that asks about all memories: the count, and its evidence in half of the allowance.
Result<std::vector<Recalled>> Conversation::count(Work& work, RecallQuery& query) const {
  RecallQuery half = query;
  half.token_budget = (query.token_budget + 1) / 2;
  auto counted = TRY(parts_.recall.aggregate(who_, half));
  if (!counted) return std::vector<Recalled>();
  work.report.counted = in_words(*counted);
  if (parts_.engine != nullptr) query.token_budget = std::max(1, query.token_budget - half.token_budget);
  return std::move(counted->evidence);
}

// What a reflector keeps for every prompt (a state of this conversation, a portrait) comes before what recall
// finds; it takes at most half of the allowance.
Status Conversation::recall_pinned(Work& work) const {
  if (parts_.engine == nullptr) return {};
  int64_t left = int64_t(quarter(recall_tokens(work))) * 2;  // bytes
  for (const std::string& kind : parts_.thoughts.pinned()) {
    CubeFilter filter;
    filter.space = who_.name;
    filter.origin = kind;
    filter.limit = 10000;
    std::vector<CubeHeader> all = TRY(parts_.cubes.list(who_, filter));
    std::erase_if(all, [&](const CubeHeader& h) { return !h.session.empty() && h.session != id_; });
    if (all.empty() || all.back().payload_bytes > left) continue;
    std::string text = TRY(parts_.cubes.payload(who_, all.back().id));
    left -= int64_t(text.size());
    work.report.recalled.push_back({std::move(all.back()), std::move(text), 1, {{"pinned", 1.0f}}});
  }
  return {};
}

// System, what was captured, history, and in the newest message first what was recalled for it, then the
// user's words. History holds what was said alone, so the recalled words of a turn are gone from the next
// prompt.
Result<Json> Conversation::messages(const Work& work) {
  Json all = Json::array();
  const auto& subtasks = work.options.subtasks;
  std::string system = work.options.system;
  if (subtasks && subtasks->ask) system += (system.empty() ? "" : "\n\n") + subtasks->words();
  if (!system.empty()) all.push(message("system", system));
  const auto& captured = work.report.captured;
  if (captured && own_history(work)) all.push(message("user", captured->words));
  if (own_history(work)) {
    for (const Said& said : TRY(transcript_.read(work.first_turn))) {
      if (said.cube == work.user_cube) continue;  // asked before and never answered: it comes last
      const bool ours = said.speaker == "assistant";
      all.push(message(ours ? "assistant" : "user",
                       ours && subtasks ? without_work(*subtasks, said.text) : said.text));
    }
  } else {
    bool placed = !captured;
    for (const Json& one : work.options.history.as_array()) {
      if (!placed && one["role"] != Json("system")) all.push(message("user", captured->words));
      placed = placed || one["role"] != Json("system");
      all.push(one);
    }
    if (!placed) all.push(message("user", captured->words));
  }
  std::string newest = present(work.report.recalled, work.report.counted);
  if (!newest.empty()) newest += "\n\n";
  all.push(message("user", newest.append(work.shorter ? *work.shorter : work.user)));
  if (going_on(work)) {
    for (const Json& one : work.options.after.as_array()) all.push(one);
  }
  return all;
}

// The allowance for recalled words is kept by the model's own count of tokens.
void Conversation::trim_recalled(Work& work) const {
  std::vector<Recalled>& recalled = work.report.recalled;
  const int32_t most = quarter(recall_tokens(work));
  std::string& counted = work.report.counted;
  while (!recalled.empty() && prompter_->count(present(recalled, counted)) > most) recalled.pop_back();
  if (recalled.empty() && prompter_->count(present(recalled, counted)) > most) counted.clear();
}

// What does not fit leaves in this order: recalled words, the oldest turns, parts of the newest message if
// that was asked for.
Status Conversation::write_prompt(Work& work) {
  const int32_t most = parts_.engine->context() - quarter(work.options.max_tokens);
  std::vector<Recalled>& recalled = work.report.recalled;
  trim_recalled(work);
  for (;;) {
    work.prompt = TRY(
        prompter_->write(TRY(messages(work)), work.options.tools, work.options.extra, parts_.clock.now_ms()));
    const auto size = int32_t(work.prompt.tokens.size());
    if (size <= most) break;
    if (!recalled.empty()) {
      recalled.resize(recalled.size() / 2);
    } else if (!work.report.counted.empty()) {
      work.report.counted.clear();
    } else if (own_history(work) && work.first_turn < transcript_.next_turn()) {
      work.first_turn += (transcript_.next_turn() - work.first_turn + 1) / 2;
    } else if (work.report.captured && !work.options.activation) {
      work.report.captured.reset();
    } else if (work.options.excerpt && parts_.scorer != nullptr && !work.shorter) {
      const int32_t room = most - (size - prompter_->count(work.user)) - kSeams;
      Excerpt read = TRY(excerpt(*parts_.scorer, *parts_.engine->model().tokenizer(), work.user, room)
                             .with("reading a long message in parts"));
      work.shorter = std::move(read.text);
      work.report.parts_read = read.kept, work.report.parts = read.of;
    } else {
      return Status(
          Code::invalid,
          "the message makes a prompt of " + std::to_string(size) + " tokens, and the context of " +
              std::to_string(parts_.engine->context()) + " has room for " + std::to_string(most) +
              " beside the answer: shorten it, let parts of it be read (--excerpt), or store it with "
              "'remember'");
    }
  }
  work.report.turns_left_out = work.first_turn;
  return {};
}

Result<CubeId> Conversation::keep(const Work& work, std::string_view speaker, std::string_view text,
                                  std::vector<Source> from, Trust trust) {
  CubeDraft draft =
      turn_draft({id_, work.report.turn, std::string(speaker), std::string(text), std::nullopt}, who_.name);
  draft.header.from = std::move(from);
  draft.header.trust = trust;
  return parts_.cubes.put(who_, std::move(draft));
}

Status Conversation::keep_user(Work& work) {
  const std::string words = strip_recalled(work.user);
  if (!work.options.remember || blank(words) || work.user_cube || going_on(work)) return {};
  work.user_cube = TRY(keep(work, "user", words, {}, Trust::user).with("storing your words"));
  parts_.thoughts.begun(who_, *work.user_cube);
  transcript_.add(*work.user_cube, work.report.turn, true, words);
  work.report.stored.push_back(work.user_cube->text());
  return {};
}

Status Conversation::answer(Work& work, const OnPiece& on_piece) {
  Request request;
  const int32_t room = parts_.engine->context() - int32_t(work.prompt.tokens.size());
  request.tokens = std::move(work.prompt.tokens);
  auto& captured = work.report.captured;
  if (captured) bring(*captured, parts_.cubes, who_, *parts_.engine, request.tokens);
  request.subtasks = work.options.subtasks;
  request.max_tokens = request.subtasks ? work.options.max_tokens : std::min(work.options.max_tokens, room);
  request.sampling = work.options.sampling;
  request.grammar = work.options.grammar;
  request.adapter = work.options.adapter;
  request.scope = who_.whole();
  request.lasting = work.options.remember;
  if (!captured || !captured->trouble.empty()) {
    std::vector<Recalled> seen = work.report.recalled;
    if (captured) seen.insert(seen.end(), captured->sources.begin(), captured->sources.end());
    work.report.spliced = splice_known(parts_.cubes, who_, *parts_.engine, seen, request);
  }
  std::vector<std::string> stop = work.options.stop;
  stop.insert(stop.end(), work.prompt.stop.begin(), work.prompt.stop.end());
  Generation made = TRY(generate(*parts_.engine, std::move(request), std::move(stop), on_piece, interrupt_));
  work.report.answer = std::move(made.text);
  work.report.finish = made.finish;
  work.report.usage = made.usage;
  if (captured) captured->reused = std::min(captured->tokens, made.usage.reused_tokens);
  work.report.sampled = std::move(made.sampled);
  return {};
}

// Without a model nobody said the answer: it is a view of what is stored already.
void Conversation::keep_answer(Work& work) {
  const std::string words = strip_recalled(work.report.answer);
  if (parts_.engine == nullptr || blank(words)) return;
  std::vector<Source> from;
  Trust trust = Trust::model;
  if (work.user_cube) from.push_back({*work.user_cube, 1});
  std::vector<Recalled> seen = work.report.recalled;
  if (const auto& captured = work.report.captured)
    seen.insert(seen.end(), captured->sources.begin(), captured->sources.end());
  for (const Recalled& one : seen) {
    if (!repeats(words, one.text, work.user)) continue;
    from.push_back({one.header.id, one.header.version});
    trust = std::min(trust, one.header.trust);
  }
  auto kept = keep(work, "assistant", words, std::move(from), trust);
  if (!kept.ok()) {
    work.report.troubles.push_back("the answer was not stored: " +
                                   std::string(std::move(kept).status().message()));
    return;
  }
  work.answer_cube = *kept;
  transcript_.add(*kept, work.report.turn, false, words);
  work.report.stored.push_back(kept->text());
}

void Conversation::think(Work& work) {
  Turn turn{.session = id_, .index = work.report.turn, .space = who_.name};
  turn.user = strip_recalled(work.user);
  turn.assistant = parts_.engine != nullptr ? strip_recalled(work.report.answer) : "";
  turn.time = parts_.clock.now_ms();
  turn.user_cube = work.user_cube;
  turn.assistant_cube = work.answer_cube;
  turn.recalled = work.report.recalled;
  auto thought = parts_.thoughts.submit(who_, std::move(turn));
  {
    std::lock_guard lock(thought_mutex_);
    thought_ = thought;
  }
  told_ = work.options.settle;
  if (!work.options.settle) return;
  parts_.thoughts.wait(thought);
  for (const CubeId& id : parts_.thoughts.stored(thought)) work.report.stored.push_back(id.text());
  const std::string trouble = parts_.thoughts.trouble(thought);
  if (!trouble.empty()) work.report.troubles.push_back(trouble);
}

// Its beginning was just computed, so that a capture has little to compute.
void Conversation::form_habit(Work& work) {
  if (parts_.habits == nullptr || parts_.engine == nullptr || !work.begins || work.report.captured ||
      parts_.engine->prefixes() == nullptr || work.options.adapter != nullptr)
    return;
  auto order = parts_.habits->began(who_, work.report.recalled, work.options.system);
  if (!order) return;
  Status kept = parts_.habits->keep(parts_.cubes, who_, *parts_.engine, *prompter_, std::move(*order),
                                    parts_.clock.now_ms());
  kept.ignore("the words are read as before, and the same memories are not tried again");
}

}  // namespace

Result<std::shared_ptr<Session>> open_session(const SessionParts& parts, const Principal& who,
                                              const std::string& id) {
  TRY(check_name("principal", who.name));
  TRY(check_name("session", id));
  std::unique_ptr<Prompter> prompter;
  if (parts.engine != nullptr) prompter = std::make_unique<Prompter>(parts.engine->model());
  Transcript transcript = TRY(Transcript::open(parts.cubes, who, id, prompter.get()));
  parts.thoughts.meet(who);
  return std::shared_ptr<Session>(
      std::make_shared<Conversation>(parts, who, id, std::move(prompter), std::move(transcript)));
}

}  // namespace varve
