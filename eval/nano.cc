// The embedded model's table: held-out items of learn/world, answered greedily through a session; memory
// operations through the reflector's writer, constrained by their schema. src/learn/world/score.h says what
// is right. Beside each figure: the line of the context that shares most words with the question, quoted.
//
// Options: model=FILE, n=200 items a row, needles=50, needle_tokens=4000, seed=1, only=PART of a row's name,
// split=train for what training draws from (a gap between the two is what it learnt by heart),
// wrong=FILE for the items of the named rows that were answered wrongly, a line of JSON each.
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <set>

#include "bench/bench.h"
#include "learn/world/score.h"
#include "learn/world/world.h"
#include "memory/plaintext/evidence.h"
#include "memory/recall/present.h"
#include "memory/recall/query/when.h"
#include "serve/home/home.h"
#include "serve/session/writer.h"

namespace varve::eval {
namespace {

using world::Item;
using world::Tally;

struct Options {
  std::string model, only, wrong, split = "eval";
  uint64_t seed = 1;
  int n = 200, needles = 50, needle_tokens = 4000;
};

Result<Options> read(const Spec& given) {
  Options options;
  Spec numbers;
  for (const auto& [key, value] : given.options) {
    if (key == "model") {
      options.model = value;
    } else if (key == "only") {
      options.only = value;
    } else if (key == "wrong") {
      options.wrong = value;
    } else if (key == "split" && (value == "train" || value == "eval")) {
      options.split = value;
    } else {
      numbers.options[key] = value;
    }
  }
  TRY(OptionReader(numbers)
          .read("n", options.n, 1, 100000)
          .read("needles", options.needles, 1, 100000)
          .read("needle_tokens", options.needle_tokens, 100, 1 << 20)
          .read("seed", options.seed, uint64_t(0), uint64_t(1) << 62)
          .done());
  return options;
}

struct Row {
  const char* name;
  const char* kinds;
};
constexpr Row kRows[] = {
    {"single fact in context", "single"},
    {"30 distractor memories", "distract:memories=30"},
    {"two-hop", "two_hop"},
    {"knowledge update, newest wins", "update"},
    {"correct \"I don't know\"", "unknown"},
    {"what held before", "before"},
    {"yes, no or not known", "whether"},
    {"who", "who"},
    {"date of a memory", "when_told"},
    {"which of two events came first", "order"},
    {"several values in one answer", "several"},
    {"told in the conversation", "chat"},
    {"something new is acknowledged", "tell"},
    {"small talk, word for word", "small_talk"},
};

std::set<std::string> words_in(std::string_view text) {
  std::set<std::string> words;
  std::string word;
  for (const char c : std::string(text) + " ") {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (letter) word += c >= 'A' && c <= 'Z' ? char(c + 32) : c;
    if (!letter && !word.empty()) words.insert(std::exchange(word, ""));
  }
  return words;
}

// The baseline: the line before the question that shares most words with it.
std::string quoted(const Item& item) {
  std::string shown;
  for (size_t i = 0; i + 1 < item.messages.size(); ++i)
    shown += item.messages.as_array()[i]["content"].as_string() + "\n";
  shown.pop_back();
  const size_t last = shown.rfind('\n');
  const std::set<std::string> asked = words_in(last == shown.npos ? shown : shown.substr(last));
  if (last == shown.npos) return "I don't know.";
  std::string best;
  size_t most = 0;
  for (size_t at = 0; at < last;) {
    const size_t end = std::min(shown.find('\n', at), last);
    const std::string line = shown.substr(at, end - at);
    at = end + 1;
    const std::set<std::string> words = words_in(line);
    const auto shared = size_t(std::count_if(asked.begin(), asked.end(),
                                             [&](const std::string& word) { return words.contains(word); }));
    if (shared <= most) continue;
    most = shared;
    best = line.substr(line.starts_with("- [") ? line.find("] ") + 2 : 0);
  }
  return best;
}

// A home of its own with the model, gone afterwards.
class Exam {
 public:
  static Result<std::unique_ptr<Exam>> open(const Options& options) {
    auto exam = std::unique_ptr<Exam>(new Exam);
    HomeOptions home;
    exam->folder_ =
        std::filesystem::temp_directory_path().string() + "/varve-nano-" + std::to_string(getpid());
    home.folder = exam->folder_;
    home.model = options.model;
    exam->home_ = TRY(Home::open(home));
    exam->prompter_ = std::make_unique<Prompter>(exam->home_->engine()->model());
    return exam;
  }
  ~Exam() {
    home_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  Home& home() { return *home_; }

  static Json before_last(const Item& item) {
    Json history = Json::array();
    for (size_t i = 0; i + 2 < item.messages.size(); ++i) history.push(item.messages.as_array()[i]);
    return history;
  }
  static const std::string& question(const Item& item) {
    return item.messages.as_array()[item.messages.size() - 2]["content"].as_string();
  }

  // What a prompt that does not fit gets is no answer, and wrong.
  Result<std::string> answer(const Item& item) {
    return said({"nano"}, question(item), before_last(item), false);
  }
  Result<std::string> operate(const Item& item) {
    Interrupt interrupt;
    EngineWriter writer(*home_->engine(), *prompter_, "nano", home_->clock(), interrupt);
    return or_nothing(writer.write(question(item), item.schema, item.max_tokens));
  }
  // The memories go into the store, the program recalls what it finds, and only the question is asked.
  Result<std::string> remember_and_answer(const Item& item, uint64_t index) {
    const Principal who{"nano-" + std::to_string(index)};
    TRY(store(who, question(item)));
    const std::string words = strip_recalled(question(item));
    return said(who, words.substr(words.find_first_not_of('\n')), before_last(item), true);
  }
  Result<int32_t> tokens(const Item& item) {
    Json messages = before_last(item);
    messages.push(message("user", question(item)));
    return int32_t(TRY(prompter_->write(messages, Json(), Json::object(), 0)).tokens.size());
  }

 private:
  Exam() = default;

  static Result<std::string> or_nothing(Result<std::string> got) {
    if (got.ok() || got.code() != Code::invalid) return got;
    return std::string();
  }

  Result<std::string> said(const Principal& who, const std::string& words, Json history, bool recall) {
    TurnOptions turn;
    turn.sampling.temperature = 0;
    turn.max_tokens = 64;
    turn.recall = recall;
    turn.remember = false;
    turn.history = std::move(history);
    const auto session = TRY(home_->session(who, "exam"));
    auto report = session->turn(words, turn, nullptr);
    if (!report.ok()) return or_nothing(std::move(report).status());
    return std::move(report->answer);
  }

  // "- [8 May 2024, user, session chat turn 3] words" becomes a turn of that speaker and day; without
  // a speaker, a note.
  Status store(const Principal& who, std::string_view message) {
    std::vector<MemoryOp> ops;
    while (!message.empty()) {
      const size_t end = std::min(message.find('\n'), message.size());
      const std::string_view line = message.substr(0, end);
      message.remove_prefix(std::min(end + 1, message.size()));
      const size_t close = line.find("] ");
      if (!line.starts_with("- [") || close == line.npos || close < 4) continue;
      std::string_view source = line.substr(3, close - 3);
      const size_t dated = std::min(source.find(','), source.size());
      const TimeWords day = read_times(source.substr(0, dated), 0);
      if (day.ranges.empty()) return Status(Code::invalid, "a memory has no date: " + std::string(line));
      const std::string words(line.substr(close + 2));
      source.remove_prefix(std::min(dated + 2, source.size()));
      const std::string speaker(source.substr(0, source.find(',')));
      MemoryOp op;
      op.draft =
          speaker.empty() || speaker.starts_with("session ")
              ? note_draft(words, who.name, day.ranges[0].from)
              : turn_draft({"told", int32_t(ops.size()), speaker, words, day.ranges[0].from}, who.name);
      ops.push_back(std::move(op));
    }
    if (ops.empty()) return {};
    TRY(home_->cubes().apply(who, std::move(ops)));
    return {};
  }

  std::string folder_;
  std::unique_ptr<Home> home_;
  std::unique_ptr<Prompter> prompter_;
};

struct Table {
  std::vector<Measure> rows;
  void add(const std::string& name, const Tally& tally, const std::string& baseline_name = "",
           double baseline = 0) {
    const world::Interval interval = world::wilson(tally);
    rows.push_back({name, 100 * tally.share(), "%", baseline_name, baseline, tally.asked, 100 * interval.low,
                    100 * interval.high});
  }
};

constexpr const char* kQuoted = "likest line quoted";

void write_wrong(const std::string& file, const Item& item, const std::string& reply) {
  Json line = Json::object();
  line.set("kind", item.kind);
  line.set("messages", item.messages);
  line.set("reply", reply);
  std::ofstream(file, std::ios::app) << line.dump() << "\n";
}

Status ask_row(Exam& exam, const Options& options, const Row& row, Table& table, Tally& exact) {
  const auto split = options.split == "eval" ? world::Split::eval : world::Split::train;
  const world::World source = TRY(world::World::make(row.kinds, split, options.seed));
  Tally model, baseline;
  for (int i = 0; i < options.n; ++i) {
    const Item item = source.item(uint64_t(i));
    const std::string reply = TRY(exam.answer(item));
    model.count(is_right(item, reply));
    if (!options.wrong.empty() && !is_right(item, reply)) write_wrong(options.wrong, item, reply);
    exact.count(reply == item.reply());
    baseline.count(is_right(item, quoted(item)));
  }
  table.add(row.name, model, kQuoted, 100 * baseline.share());
  return {};
}

Status ask_stored(Exam& exam, const Options& options, Table& table) {
  const world::World source =
      TRY(world::World::make("distract:memories=30", world::Split::eval, options.seed));
  Tally model, baseline;
  for (int i = 0; i < options.n; ++i) {
    const Item item = source.item(uint64_t(i));
    model.count(is_right(item, TRY(exam.remember_and_answer(item, uint64_t(i)))));
    baseline.count(is_right(item, quoted(item)));
  }
  table.add("30 memories stored, recalled by the program", model, kQuoted, 100 * baseline.share());
  return {};
}

// A needle in hay of about `tokens`: the amount of hay is found by trying.
Result<Item> needle_of(Exam& exam, const Options& options, int32_t tokens, uint64_t index) {
  int64_t bytes = int64_t(tokens) * 7 / 2;
  Item item;
  for (int tries = 0; tries < 8; ++tries) {
    const std::string kind = "needle:bytes=" + std::to_string(std::max<int64_t>(bytes, 200));
    item = TRY(world::World::make(kind, world::Split::eval, options.seed)).item(index);
    const int32_t size = TRY(exam.tokens(item));
    if (size <= tokens && size >= tokens * 9 / 10) break;
    bytes = bytes * tokens / std::max(size, 1) * 96 / 100;
  }
  return item;
}

Status ask_needles(Exam& exam, const Options& options, Table& table) {
  const int32_t tokens = std::min(options.needle_tokens, exam.home().engine()->context() - 64);
  Tally model, baseline;
  for (int i = 0; i < options.needles; ++i) {
    const Item item = TRY(needle_of(exam, options, tokens, uint64_t(i)));
    model.count(is_right(item, TRY(exam.answer(item))));
    baseline.count(is_right(item, quoted(item)));
  }
  table.add("needle at " + std::to_string(tokens) + " tokens", model, kQuoted, 100 * baseline.share());
  return {};
}

Status ask_operations(Exam& exam, const Options& options, Table& table) {
  const world::World decide = TRY(world::World::make("decide", world::Split::eval, options.seed));
  const world::World extract = TRY(world::World::make("extract", world::Split::eval, options.seed));
  Tally valid, decisions, added, facts;
  for (int i = 0; i < options.n; ++i) {
    const Item change = decide.item(uint64_t(i)), exchange = extract.item(uint64_t(i));
    const std::string decided = TRY(exam.operate(change)), extracted = TRY(exam.operate(exchange));
    valid.count(is_valid_operation(change, decided));
    valid.count(is_valid_operation(exchange, extracted));
    const Tally one = world::decided(change, decided);
    decisions.right += one.right, decisions.asked += one.asked;
    const Json right = TRY(parse_json(change.answer));
    for (const Json& gold : right["decisions"].as_array()) added.count(gold["action"] == Json("add"));
    facts.count(is_right(exchange, extracted));
  }
  table.add("memory operations of valid form", valid);
  table.add("memory operations decided rightly", decisions, "always add", 100 * added.share());
  table.add("facts of an exchange, all exact", facts);
  return {};
}

bool wanted(const Options& options, std::string_view name) {
  return options.only.empty() || name.find(options.only) != name.npos;
}

}  // namespace

Result<std::vector<Measure>> nano(const Spec& given) {
  const Options options = TRY(read(given));
  if (options.model.empty() || !std::filesystem::exists(options.model)) {
    return Status(Code::not_found, options.model.empty() ? "no model; name one with model=FILE.gguf"
                                                         : "absent: " + options.model);
  }
  const std::unique_ptr<Exam> exam = TRY(Exam::open(options));
  const auto start = std::chrono::steady_clock::now();
  Table table;
  Tally exact;
  for (const Row& row : kRows) {
    if (wanted(options, row.name)) TRY(ask_row(*exam, options, row, table, exact));
  }
  if (exact.asked > 0) table.add("all of these: the expected sentence itself", exact);
  if (wanted(options, "memory operations")) TRY(ask_operations(*exam, options, table));
  if (wanted(options, "needle")) TRY(ask_needles(*exam, options, table));
  if (wanted(options, "memories stored")) TRY(ask_stored(*exam, options, table));
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  table.rows.push_back({"the whole table", seconds, "s", {}, 0});
  return std::move(table.rows);
}

}  // namespace varve::eval
