// What KV packers, selectors, policies and allotters cost a model that recalls: a policy keeps a share of
// what a context's KV is, and is asked about all of it afterwards; with a selector, rows of a prompt read a
// share. As the engine does it: a policy is asked at every full page, before anybody knows the questions.
// Perplexity is of prose, from the middle on.
//
// Options: model=FILE, n=24 contexts, prose=6 texts of prose_tokens=1024, memories=14 a context, seed=77,
// budgets=50+25+12.5 %, only=PART of a method's name, threads=0, progress=0 (1: rows as they come), gate=FILE
// of a gate trained for the model: without it there are no rows of policy=gate. Questions come from the
// world's training sentences with a seed that nobody trains with: only there a context has many.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <set>
#include <thread>

#include "bench/bench.h"
#include "core/io/env.h"
#include "learn/data/feed.h"
#include "learn/world/world.h"
#include "run/engine/head_profile.h"

namespace varve::eval {
namespace {

struct Method {
  const char *name, *recipe;
};
constexpr Method kMethods[] = {
    {"streaming", "policy=streaming"},
    {"sirllm", "policy=sirllm"},
    {"scissorhands", "policy=scissorhands"},
    {"h2o", "policy=h2o"},
    {"tova", "policy=tova"},
    {"snapkv", "policy=snapkv:window=32"},
    {"keynorm", "policy=keynorm"},
    {"keydiff", "policy=keydiff"},
    {"d2o", "policy=d2o allot=d2o"},
    {"d2o, even layers", "policy=d2o"},
    {"kvmerger", "policy=kvmerger"},
    {"kvmerger:count=1", "policy=kvmerger:count=1"},
    {"razor", "policy=razor"},
    {"streaming, heads by recall", "policy=streaming allot=heads:by=recall,window=32,file="},
    {"streaming, heads by far", "policy=streaming allot=heads:by=far,window=32,file="},
    {"razor, heads by recall", "policy=razor allot=heads:by=recall,window=32,file="},
    {"keydiff, heads by recall", "policy=keydiff allot=heads:by=recall,window=32,file="},
    {"gate", "policy=gate:file=GATE"},
    {"gate, over all lanes", "policy=gate:file=GATE allot=gate"},
    {"gate, heads by recall", "policy=gate:file=GATE allot=heads:by=recall,window=32,file="},
    {"snapkv, pyramid", "policy=snapkv:window=32 allot=pyramid"},
    {"snapkv, prefixkv", "policy=snapkv:window=32 allot=prefixkv"},
    {"snapkv, ada", "policy=snapkv:window=32 allot=ada"},
    {"keydiff, pyramid", "policy=keydiff allot=pyramid"},
};

// Nothing is dropped: it is kept in fewer bits, or a query reads some of it.
constexpr Method kPacks[] = {{"pack q8_0", "pack=q8_0"},
                             {"pack kivi, 4 bits", "pack=kivi:bits=4"},
                             {"pack kivi, 2 bits", "pack=kivi:bits=2"},
                             {"pack think", "pack=think"},
                             {"pack zip", "pack=zip"},
                             {"pack delta", "pack=delta"},
                             {"select window", "select=window:window=4,sinks=1,prompts=1"},
                             {"select box", "select=box:pages=3,window=1,sinks=1,prompts=1"},
                             {"select centroid", "select=centroid:pages=3,window=1,sinks=1,prompts=1"},
                             {"select landmark", "select=landmark:pages=3,window=1,sinks=1,prompts=1"},
                             {"select sentence", "select=sentence:pages=3,window=1,sinks=1,prompts=1"},
                             {"select ann", "select=ann:pages=3,window=1,sinks=1,prompts=1"},
                             {"select anchor", "select=anchor:pages=3,window=1,sinks=1"}};

struct Options {
  std::string model, only, gate, budgets = "50+25+12.5";
  int n = 24, prose = 6, prose_tokens = 1024, memories = 14, threads = 0, progress = 0;
  uint64_t seed = 77;
};

Result<Options> read(const Spec& given) {
  Options options;
  Spec numbers = given;
  const auto text = [&](std::string_view key, std::string& value) {
    const auto found = numbers.options.find(key);
    if (found == numbers.options.end()) return;
    value = found->second;
    numbers.options.erase(found);
  };
  text("model", options.model);
  text("only", options.only);
  text("gate", options.gate);
  text("budgets", options.budgets);
  TRY(OptionReader(numbers)
          .read("n", options.n, 1, 10000)
          .read("prose", options.prose, 1, 1000)
          .read("prose_tokens", options.prose_tokens, 128, 1 << 20)
          .read("memories", options.memories, 2, 1000)
          .read("threads", options.threads, 0, 1024)
          .read("progress", options.progress, 0, 1)
          .read("seed", options.seed, uint64_t(0), uint64_t(1) << 62)
          .done());
  return options;
}

// A question's conversation; `learn` marks its answers.
struct Asked {
  Example chat;
  int fifth = 0;  // of the context, where its fact stands
};
struct Case {
  int32_t context = 0;  // tokens that all of its conversations begin with, to a full page
  std::vector<Asked> asked;
  Example two_turns;
};

std::set<std::string> words_in(std::string_view text) {
  std::set<std::string> words;
  std::string word;
  for (const char c : std::string(text) + " ") {
    if (std::isalnum(static_cast<unsigned char>(c))) {
      word += char(std::tolower(static_cast<unsigned char>(c)));
    } else if (!word.empty()) {
      words.insert(std::exchange(word, ""));
    }
  }
  return words;
}

// Where the line stands that shares most words with a question and its answer.
int fifth_of(std::string_view context, std::string_view question) {
  const std::set<std::string> asked = words_in(question);
  size_t best = 0, most = 0;
  for (size_t at = 0; at < context.size();) {
    const size_t end = std::min(context.find('\n', at), context.size());
    size_t shared = 0;
    for (const std::string& word : words_in(context.substr(at, end - at))) shared += asked.contains(word);
    if (shared > most) most = shared, best = (at + end) / 2;
    at = end + 1;
  }
  return std::min(4, int(5 * best / std::max<size_t>(1, context.size())));
}

Json said(std::string_view role, std::string_view words) {
  Json one = Json::object();
  return std::move(one.set("role", role).set("content", words));
}
Json line_of(std::initializer_list<std::pair<std::string_view, std::string>> turns) {
  Json messages = Json::array(), line = Json::object();
  for (const auto& [role, words] : turns) messages.push(said(role, words));
  return std::move(line.set("messages", std::move(messages)));
}

Result<Case> case_of(const world::Item& item, const FeedShape& shape) {
  const auto& turns = item.messages.as_array();
  const std::string first = turns[0]["content"].as_string();
  const std::string context = first.substr(0, first.rfind('\n') + 1);
  Case one;
  size_t common = size_t(1) << 30;
  for (size_t i = 0; i + 1 < turns.size(); i += 2) {
    const std::string words = turns[i]["content"].as_string(), reply = turns[i + 1]["content"].as_string();
    const std::string question = i == 0 ? words.substr(context.size()) : words;
    Asked asked;
    TRY(encode_example(line_of({{"user", context + question}, {"assistant", reply}}), shape, asked.chat));
    asked.fifth = fifth_of(context, question + " " + reply);
    if (!one.asked.empty()) {
      const auto &a = one.asked[0].chat.tokens, &b = asked.chat.tokens;
      const auto until = a.begin() + ptrdiff_t(std::min(a.size(), b.size()));
      common = std::min(common, size_t(std::mismatch(a.begin(), until, b.begin()).first - a.begin()));
    }
    one.asked.push_back(std::move(asked));
  }
  if (one.asked.size() < 2) return Status(Code::not_found, "a context with one question");
  one.context = int32_t(common) / kPageTokens * kPageTokens;
  TRY(encode_example(line_of({{"user", first},
                              {"assistant", turns[1]["content"].as_string()},
                              {"user", turns[2]["content"].as_string()},
                              {"assistant", turns[3]["content"].as_string()}}),
                     shape, one.two_turns));
  return one;
}

class Lab {
 public:
  static Result<std::unique_ptr<Lab>> open(const Options& options) {
    auto lab = std::unique_ptr<Lab>(new Lab(options));
    lab->model = TRY(open_model(posix_env(), options.model, lab->ledger));
    if (lab->model->chat_template() == nullptr || lab->model->tokenizer() == nullptr)
      return Status(Code::invalid, "the model has no tokenizer or no chat template");
    const int32_t vocabulary = lab->model->shape().vocabulary;
    lab->scratch = TRY(Scratch::make(lab->ledger, lab->model->scratch_bytes(kPageTokens, kPageTokens) +
                                                      Scratch::bytes_for(kPageTokens, vocabulary)));
    return lab;
  }
  FeedShape feed() const { return {1 << 16, model->tokenizer(), model->chat_template()}; }

  Ledger ledger{int64_t(2) << 30};
  ThreadPool threads;
  Ops ops{threads, Ops::Precision::fast};
  std::shared_ptr<const Model> model;
  Scratch scratch;

 private:
  explicit Lab(const Options& options)
      : threads(options.threads > 0 ? options.threads
                                    : int(std::max(1u, std::thread::hardware_concurrency()))) {}
};

using OnLogits = std::function<void(int32_t place, std::span<const float> logits)>;

double nats(std::span<const float> logits, Token token) {
  const float top = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (float logit : logits) sum += std::exp(double(logit) - top);
  return std::log(sum) + top - double(logits[size_t(token)]);
}

// One sequence. What it reads goes page by page through the model, as in the engine.
class Reader {
 public:
  static Result<Reader> start(Lab& lab, const KvRecipe& recipe, size_t most_tokens) {
    Reader reader(lab);
    const Model& model = *lab.model;
    const auto pool = TRY(make_kv_pool(lab.ledger, model.shape().kv, recipe, &model.fingerprint()));
    reader.kv_ = TRY(make_kv_cache(pool));
    TRY(reader.kv_->reserve(int32_t(most_tokens)));
    return reader;
  }
  // From where it is to place `end`. fits: the policy is asked at full pages.
  Status read(std::span<const Token> tokens, int32_t end, bool fits, const OnLogits& on_logits) {
    while (kv_->tokens() < end) {
      const int32_t at = kv_->tokens();
      TRY(page(tokens, at, std::min(end, (at / kPageTokens + 1) * kPageTokens), on_logits));
      if (fits && kv_->tokens() % kPageTokens == 0) TRY(kv_->fit());
    }
    return {};
  }
  Status back_to(int32_t place) { return kv_->truncate(place); }
  KvCounts counts() const { return kv_->counts(); }

 private:
  explicit Reader(Lab& lab) : lab_(&lab) {}

  Status page(std::span<const Token> tokens, int32_t at, int32_t end, const OnLogits& on_logits) {
    const int32_t rows = end - at, vocabulary = lab_->model->shape().vocabulary;
    const bool all = on_logits || kv_->needs().surprise;
    std::vector<int32_t> positions, outputs;
    for (int32_t i = 0; i < rows; ++i) {
      positions.push_back(at + i);
      if (all || i + 1 == rows) outputs.push_back(i);
    }
    const Segment segment{0, rows, kv_.get(), nullptr};
    const int64_t mark = lab_->scratch.mark();
    Rows logits = lab_->scratch.take(int32_t(outputs.size()), vocabulary);
    TRY(lab_->model->forward({tokens.subspan(size_t(at), size_t(rows)), positions, {&segment, 1}, outputs},
                             lab_->ops, lab_->scratch, logits));
    std::vector<float> row(static_cast<size_t>(vocabulary));
    for (size_t i = 0; all && i < outputs.size(); ++i) {
      lab_->ops.store(logits.slice(int32_t(i), 1), row);
      const int32_t place = at + outputs[i];
      if (size_t(place) + 1 < tokens.size()) {
        const auto surprise = float(nats(row, tokens[size_t(place) + 1]));
        kv_->notes().surprised(place + 1, surprise);
      }
      if (on_logits) on_logits(place, row);
    }
    lab_->scratch.release(mark);
    return {};
  }

  Lab* lab_;
  std::unique_ptr<KvCache> kv_;
};

// Whether the model would have said the last answer of the conversation, token for token.
Result<bool> answers(Reader& reader, const Example& chat, bool fits) {
  auto from = int32_t(chat.tokens.size());
  while (from > 0 && chat.learn[size_t(from) - 1] == 0) --from;
  while (from > 0 && chat.learn[size_t(from) - 1] != 0) --from;
  bool right = true;
  TRY(reader.read(chat.tokens, int32_t(chat.tokens.size()), fits,
                  [&](int32_t place, std::span<const float> logits) {
                    const size_t next = size_t(place) + 1;
                    if (place + 1 < from || next >= chat.tokens.size() || chat.learn[next] == 0) return;
                    const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
                    right = right && best == chat.tokens[next];
                  }));
  return right;
}

struct Tally {
  int right = 0, asked = 0;
  void count(bool is) { right += is, ++asked; }
  double percent() const { return asked == 0 ? 0 : 100.0 * right / asked; }
};
struct Scores {
  Tally fifth[5], one, all, second;
  double nats = 0;
  int64_t tokens = 0, read = 0, of = 0;
  void count(const KvCounts& counts) { read += counts.read, of += counts.of; }
};

struct Exam {
  std::vector<Case> cases;
  std::vector<std::vector<Token>> prose;
  std::string heads, gate;  // the files
};

// percent 0: nothing is left out.
Result<KvRecipe> recipe_of(std::string text, const Exam& exam, double percent, int32_t context) {
  if (percent <= 0) return parse_kv_recipe(text);
  if (text.ends_with('=')) text += exam.heads;
  if (const size_t at = text.find("GATE"); at != text.npos) text.replace(at, 4, exam.gate);
  const int budget = std::max(8, int(percent * context / 100));
  return parse_kv_recipe(text + " budget_tokens=" + std::to_string(budget));
}

Status take_case(Lab& lab, const Case& one, const KvRecipe& recipe, Scores& scores) {
  size_t most = one.two_turns.tokens.size();
  for (const Asked& asked : one.asked) most = std::max(most, asked.chat.tokens.size());
  Reader reader = TRY(Reader::start(lab, recipe, most));
  TRY(reader.read(one.asked[0].chat.tokens, one.context, true, nullptr));
  bool all = true;
  for (const Asked& asked : one.asked) {
    const bool right = TRY(answers(reader, asked.chat, false));
    scores.fifth[asked.fifth].count(right);
    scores.one.count(right);
    all = all && right;
    TRY(reader.back_to(one.context));
  }
  scores.all.count(all);
  scores.second.count(TRY(answers(reader, one.two_turns, true)));
  scores.count(reader.counts());
  return {};
}

Status take_prose(Lab& lab, const std::vector<Token>& text, const KvRecipe& recipe, Scores& scores) {
  Reader reader = TRY(Reader::start(lab, recipe, text.size()));
  TRY(reader.read(text, int32_t(text.size()), true, [&](int32_t place, std::span<const float> logits) {
    const size_t next = size_t(place) + 1;
    if (next < text.size() / 2 || next >= text.size()) return;
    scores.nats += nats(logits, text[next]);
    ++scores.tokens;
  }));
  scores.count(reader.counts());
  return {};
}

Result<Scores> take(Lab& lab, const Exam& exam, const char* recipe, double percent) {
  Scores scores;
  for (const Case& one : exam.cases)
    TRY(take_case(lab, one, TRY(recipe_of(recipe, exam, percent, one.context)), scores));
  for (const auto& text : exam.prose)
    TRY(take_prose(lab, text, TRY(recipe_of(recipe, exam, percent, int32_t(text.size()))), scores));
  return scores;
}

bool wanted(const Method& method, const Options& options) {
  if (options.gate.empty() && std::string_view(method.recipe).find("GATE") != std::string_view::npos)
    return false;
  return std::string_view(method.name).find(options.only) != std::string_view::npos;
}
bool needs_heads(const Options& options) {
  return std::any_of(std::begin(kMethods), std::end(kMethods), [&](const Method& method) {
    return wanted(method, options) && std::string_view(method.recipe).ends_with('=');
  });
}

Result<Exam> set_exam(Lab& lab, const Options& options) {
  Exam exam;
  exam.gate = options.gate;
  const std::string count = std::to_string(options.memories);
  const world::World facts = TRY(world::World::make("distract:least=" + count + ",most=" + count + ",more=12",
                                                    world::Split::train, options.seed));
  for (uint64_t i = 0; int(exam.cases.size()) < options.n && i < 100 * uint64_t(options.n); ++i) {
    auto one = case_of(facts.item(i), lab.feed());
    if (one.ok() && one->context >= 2 * kPageTokens && one->asked.size() >= 4)
      exam.cases.push_back(std::move(*one));
  }
  const world::World prose = TRY(world::World::make("prose", world::Split::eval, options.seed));
  uint64_t item = 0;
  for (int i = 0; i < options.prose; ++i) {
    std::vector<Token> text;
    Example part;
    while (int(text.size()) < options.prose_tokens) {
      Json line = Json::object();
      TRY(encode_example(line.set("text", prose.item(item++).text), lab.feed(), part));
      text.insert(text.end(), part.tokens.begin(), part.tokens.end());
    }
    text.resize(size_t(options.prose_tokens));
    exam.prose.push_back(std::move(text));
  }
  if (!needs_heads(options)) return exam;
  const HeadProfile profile = TRY(profile_heads(*lab.model, lab.ops, lab.ledger, exam.prose[0], {}));
  exam.heads =
      std::filesystem::temp_directory_path().string() + "/varve-heads-" + std::to_string(options.seed);
  const std::string text = to_text(profile);
  TRY(write_file(posix_env(), exam.heads, std::as_bytes(std::span(text))));
  return exam;
}

void add(std::vector<Measure>& table, const std::string& name, const Scores& scores, const Scores& beside,
         const std::string& named = "streaming") {
  const auto share = [&](const std::string& what, const Tally& ours, const Tally& theirs) {
    table.push_back({name + ": " + what, ours.percent(), "%", named, theirs.percent(), ours.asked});
  };
  const auto perplexity = [](const Scores& of) {
    return std::exp(of.nats / double(std::max<int64_t>(1, of.tokens)));
  };
  table.push_back({name + ": perplexity", perplexity(scores), "", named, perplexity(beside)});
  for (int i = 0; i < 5; ++i) {
    const std::string fifth = std::to_string(20 * i) + " to " + std::to_string(20 * i + 20) + " %";
    share("needle at " + fifth, scores.fifth[i], beside.fifth[i]);
  }
  share("needle anywhere", scores.one, beside.one);
  share("all keys of a context", scores.all, beside.all);
  share("second turn", scores.second, beside.second);
  if (scores.of == 0) return;
  const double read = 100.0 * double(scores.read) / double(scores.of);
  table.push_back({name + ": read of what it chose from", read, "%", "", 0});
}

void show(const std::vector<Measure>& table) {  // the newest rows
  size_t i = table.size();
  while (i > 0 && !table[--i].name.ends_with(": perplexity")) {
  }
  for (; i < table.size(); ++i)
    std::fprintf(stderr, "%s\t%.4g\t%.4g\t%d\n", table[i].name.c_str(), table[i].value, table[i].baseline,
                 int(table[i].asked));
}

Result<std::vector<double>> percents(std::string text) {
  std::vector<double> all;
  for (text += '+'; !text.empty(); text.erase(0, text.find('+') + 1)) {
    double one = 0;
    const auto end = std::from_chars(text.data(), text.data() + text.find('+'), one).ptr;
    if (end != text.data() + text.find('+') || !(one > 0 && one <= 100))
      return Status(Code::invalid, "budgets are percents joined by +");
    all.push_back(one);
  }
  return all;
}

}  // namespace

Result<std::vector<Measure>> kv_quality(const Spec& given) {
  const Options options = TRY(read(given));
  if (options.model.empty() || !std::filesystem::exists(options.model)) {
    return Status(Code::not_found, options.model.empty() ? "no model; name one with model=FILE.gguf"
                                                         : "absent: " + options.model);
  }
  const std::vector<double> budgets = TRY(percents(options.budgets));
  const std::unique_ptr<Lab> lab = TRY(Lab::open(options));
  const Exam exam = TRY(set_exam(*lab, options));
  std::vector<Measure> table;
  const Scores full = TRY(take(*lab, exam, "", 0));
  add(table, "full", full, full);
  if (options.progress != 0) show(table);
  for (const Method& pack : kPacks) {
    if (!wanted(pack, options)) continue;
    add(table, pack.name, TRY(take(*lab, exam, pack.recipe, 0)), full, "full");
    if (options.progress != 0) show(table);
  }
  for (double percent : budgets) {
    char share[32];
    std::snprintf(share, sizeof(share), " at %g %%", percent);
    const Scores streaming = TRY(take(*lab, exam, kMethods[0].recipe, percent));
    for (const Method& method : kMethods) {
      if (!wanted(method, options)) continue;
      const bool same = &method == kMethods;
      add(table, method.name + std::string(share),
          same ? streaming : TRY(take(*lab, exam, method.recipe, percent)), streaming);
      if (options.progress != 0) show(table);
    }
  }
  std::error_code ignored;
  std::filesystem::remove(exam.heads, ignored);
  return table;
}

}  // namespace varve::eval
