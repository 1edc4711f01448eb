// LoCoMo (Maharana et al. 2024): ten long conversations with questions and the turns that answer them. Every
// turn is stored as evidence, every question asked of Recall in its own conversation. No language model takes
// part.
//
// R@k: share of a question's gold turns among the first k, averaged over questions; MRR: 1 / rank of the
// first gold turn; R@1000 tokens: share inside the text that fits 1,000 tokens (characters / 4). Questions
// whose evidence names no turn are skipped.
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <set>

#include "core/format/json.h"
#include "eval/collection.h"
#include "memory/recall/recall.h"
#include "run/embed/static_embedder.h"

namespace varve::eval {
namespace {

struct Question {
  std::string text;
  std::set<std::string> gold;  // "D3:7"
  int category = 0;
};

struct Conversation {
  Principal who;
  std::optional<TimeMs> last;  // when its last session was: questions are asked after it
  std::map<CubeId, std::string> turn_of;
  std::vector<Question> questions;
};

struct Score {
  double r1 = 0, r5 = 0, r10 = 0, r20 = 0, mrr = 0, in_budget = 0;
  int64_t questions = 0;
  void add(const Score& other) {
    r1 += other.r1, r5 += other.r5, r10 += other.r10, r20 += other.r20;
    mrr += other.mrr, in_budget += other.in_budget, questions += other.questions;
  }
  double percent(double sum) const { return questions > 0 ? 100 * sum / double(questions) : 0; }
};

// "1:56 pm on 8 May, 2023" -> the same in ISO.
std::optional<TimeMs> session_time(const std::string& text) {
  int hour = 0, minute = 0, day = 0, year = 0;
  char half[3] = {}, month[16] = {};
  if (std::sscanf(text.c_str(), "%d:%d %2s on %d %15[A-Za-z], %d", &hour, &minute, half, &day, month,
                  &year) != 6) {
    return std::nullopt;
  }
  static constexpr const char* names[] = {"January",   "February", "March",    "April",
                                          "May",       "June",     "July",     "August",
                                          "September", "October",  "November", "December"};
  for (int i = 0; i < 12; ++i) {
    if (std::string_view(names[i]) != month) continue;
    char iso[64];
    std::snprintf(iso, sizeof(iso), "%04d-%02d-%02dT%02d:%02d", year, i + 1, day,
                  hour % 12 + (std::string_view(half) == "pm" ? 12 : 0), minute);
    auto time = parse_time(iso);
    if (time.ok()) return *time;
  }
  return std::nullopt;
}

// The ids in an evidence list, after repair: "D8:6; D9:17", "D:11:26" and "D30:05" mean D8:6, D9:17, D11:26,
// D30:5.
std::set<std::string> evidence(const Json& list, const std::set<std::string>& known) {
  std::set<std::string> ids;
  for (const Json& item : list.is_array() ? list.as_array() : Json::Array{}) {
    if (!item.is_string()) continue;
    std::string text = item.as_string();
    for (size_t at; (at = text.find("D:")) != std::string::npos;) text.erase(at + 1, 1);
    for (size_t at = text.find('D'); at != std::string::npos; at = text.find('D', at + 1)) {
      int session = 0, turn = 0;
      if (std::sscanf(text.c_str() + at, "D%d:%d", &session, &turn) != 2) continue;
      const std::string id = "D" + std::to_string(session) + ":" + std::to_string(turn);
      if (known.contains(id)) ids.insert(id);
    }
  }
  return ids;
}

std::string words_of(const Json& turn) {
  std::string text = turn["text"].is_string() ? turn["text"].as_string() : "";
  for (const char* key : {"blip_caption", "query"}) {
    if (turn[key].is_string()) text += " [" + turn[key].as_string() + "]";
  }
  return text;
}

Status store_session(CubeStore& store, Conversation& into, const Json& talk, int number,
                     std::set<std::string>& known) {
  const std::string session = "session_" + std::to_string(number);
  std::vector<MemoryOp> ops;
  std::vector<std::string> ids;
  const Json& date = talk[session + "_date_time"];
  int32_t place = 0;
  for (const Json& turn : talk[session].as_array()) {
    MemoryOp op;
    op.draft.header.kind = "turn";
    op.draft.header.space = into.who.name;
    op.draft.header.session = session;
    op.draft.header.turn = ++place;
    op.draft.header.speaker = turn["speaker"].as_string();
    if (date.is_string()) op.draft.header.event = session_time(date.as_string());
    into.last = std::max(into.last, op.draft.header.event);
    op.draft.payload = words_of(turn);
    if (op.draft.payload.empty()) continue;
    ids.push_back(turn["dia_id"].as_string());
    known.insert(ids.back());
    ops.push_back(std::move(op));
  }
  const auto cubes = TRY(store.apply(into.who, std::move(ops)));
  for (size_t i = 0; i < cubes.size(); ++i) into.turn_of[cubes[i]] = ids[i];
  return {};
}

Result<std::vector<Conversation>> ingest(CubeStore& store, const Json& all) {
  std::vector<Conversation> conversations;
  for (const Json& sample : all.as_array()) {
    Conversation one;
    one.who.name = "conversation-" + std::to_string(conversations.size() + 1);
    const Json& talk = sample["conversation"];
    std::set<std::string> known;
    for (int number = 1; number < 100; ++number) {
      if (talk["session_" + std::to_string(number)].is_array())
        TRY(store_session(store, one, talk, number, known));
    }
    for (const Json& qa : sample["qa"].as_array()) {
      Question question{qa["question"].as_string(), evidence(qa["evidence"], known),
                        int(qa["category"].as_int())};
      if (!question.gold.empty()) one.questions.push_back(std::move(question));
    }
    conversations.push_back(std::move(one));
  }
  return conversations;
}

double share(const std::vector<std::string>& ranked, size_t k, const std::set<std::string>& gold) {
  size_t found = 0;
  for (size_t i = 0; i < std::min(k, ranked.size()); ++i) found += gold.contains(ranked[i]);
  return double(found) / double(gold.size());
}

Result<std::vector<std::string>> ask(const Recall& recall, const Conversation& in, const Question& question,
                                     int32_t limit, int32_t tokens) {
  RecallQuery query{.text = question.text,
                    .space = in.who.name,
                    .limit = limit,
                    .token_budget = tokens,
                    .reference = in.last};
  std::vector<std::string> ids;
  for (const Recalled& one : TRY(recall.gather(in.who, query))) ids.push_back(in.turn_of.at(one.header.id));
  return ids;
}

// One score a category, and the milliseconds of every query.
Status run_profile(const Recall& recall, const Conversation& in, std::map<int, Score>& scores,
                   std::vector<double>& query_ms) {
  for (const Question& question : in.questions) {
    const auto start = std::chrono::steady_clock::now();
    const auto top = TRY(ask(recall, in, question, 20, 0));
    query_ms.push_back(
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
    const auto ranked = TRY(ask(recall, in, question, 200, 0));
    const auto budget = TRY(ask(recall, in, question, 1000, 1000));
    Score score{.r1 = share(top, 1, question.gold),
                .r5 = share(top, 5, question.gold),
                .r10 = share(top, 10, question.gold),
                .r20 = share(top, 20, question.gold),
                .in_budget = share(budget, budget.size(), question.gold),
                .questions = 1};
    for (size_t rank = 0; rank < ranked.size() && score.mrr == 0; ++rank) {
      if (question.gold.contains(ranked[rank])) score.mrr = 1 / double(rank + 1);
    }
    scores[question.category].add(score);
    scores[0].add(score);
  }
  return {};
}

struct Profile {
  std::string name, recipe;
  bool embed = false;
};

struct Outcome {
  std::map<int, Score> all, tuned, held_out;
  double p50 = 0, p99 = 0;
};

Result<Outcome> measure(const Profile& profile, CubeStore& store, const Embedder* embedder, Ledger& ledger,
                        const std::vector<Conversation>& conversations) {
  const auto recall = TRY(Recall::make(profile.recipe, store, profile.embed ? embedder : nullptr, ledger));
  Outcome outcome;
  std::vector<double> query_ms;
  for (size_t i = 0; i < conversations.size(); ++i) {
    std::map<int, Score> scores;
    TRY(run_profile(*recall, conversations[i], scores, query_ms));
    for (const auto& [category, score] : scores) {
      outcome.all[category].add(score);
      (i < 5 ? outcome.tuned : outcome.held_out)[category].add(score);
    }
  }
  std::sort(query_ms.begin(), query_ms.end());
  if (!query_ms.empty()) {
    outcome.p50 = query_ms[query_ms.size() / 2];
    outcome.p99 = query_ms[query_ms.size() * 99 / 100];
  }
  return outcome;
}

void report(const Profile& profile, const Outcome& outcome, const Outcome& bm25, std::vector<Measure>& out) {
  const Score& now = outcome.all.at(0);
  const Score& base = bm25.all.at(0);
  const auto add = [&](const std::string& what, double value, double baseline) {
    out.push_back({profile.name + " " + what, value, "%", "bm25, same run", baseline});
  };
  add("R@1", now.percent(now.r1), base.percent(base.r1));
  add("R@5", now.percent(now.r5), base.percent(base.r5));
  add("R@10", now.percent(now.r10), base.percent(base.r10));
  add("R@20", now.percent(now.r20), base.percent(base.r20));
  add("MRR x 100", now.percent(now.mrr), base.percent(base.mrr));
  add("R@1000 tokens", now.percent(now.in_budget), base.percent(base.in_budget));
  const auto half = [&](const std::string& which, const Score& score, const Score& than) {
    add("R@10, conversations " + which, score.percent(score.r10), than.percent(than.r10));
    add("R@1000 tokens, conversations " + which, score.percent(score.in_budget),
        than.percent(than.in_budget));
  };
  half("1-5 (tuned on)", outcome.tuned.at(0), bm25.tuned.at(0));
  half("6-10 (held out)", outcome.held_out.at(0), bm25.held_out.at(0));
  static constexpr const char* categories[] = {"",           "multi-hop",  "temporal", "open-domain",
                                               "single-hop", "adversarial"};
  for (int i = 1; i <= 5; ++i) {
    const auto score = outcome.all.find(i), than = bm25.all.find(i);
    if (score == outcome.all.end() || than == bm25.all.end()) continue;
    const std::string category = std::string(", ") + categories[i];
    add("R@10" + category, score->second.percent(score->second.r10), than->second.percent(than->second.r10));
    add("R@1000 tokens" + category, score->second.percent(score->second.in_budget),
        than->second.percent(than->second.in_budget));
  }
  out.push_back({profile.name + " query p50", outcome.p50, "ms", {}, 0});
  out.push_back({profile.name + " query p99", outcome.p99, "ms", {}, 0});
}

}  // namespace

Result<std::vector<Measure>> locomo(const Spec& options) {
  const std::string embeddings = option(options, "embeddings", "../shared/data/models/static-embeddings");
  const std::string text = TRY(read_data(options, "data", "../shared/data/locomo/locomo10.json"));
  const Json all = TRY(parse_json(text, {.max_bytes = 64u << 20, .max_items = 4000000}));
  Ledger ledger(int64_t(1) << 30);
  const TemporaryStore store = TRY(TemporaryStore::open("locomo", ledger));
  const auto start = std::chrono::steady_clock::now();
  const auto conversations = TRY(ingest(*store, all));
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();

  std::unique_ptr<Embedder> embedder;
  if (std::filesystem::exists(embeddings))
    embedder = TRY(open_static_embedder(posix_env(), embeddings, ledger));
  std::vector<Profile> profiles{{"bm25", "bm25:date=0", false}};
  if (options.options.contains("recipe")) {  // this one instead of those that ship
    profiles.push_back({"recipe", option(options, "recipe", ""), embedder != nullptr});
  } else {
    profiles.push_back({"default", "default", false});
    if (embedder != nullptr) profiles.push_back({"default+embeddings", "default", true});
  }

  std::vector<Measure> out;
  Outcome bm25;
  for (const Profile& profile : profiles) {
    const Outcome outcome = TRY(measure(profile, *store, embedder.get(), ledger, conversations));
    if (profile.name == "bm25") {
      bm25 = outcome;
      const Score& score = outcome.all.at(0);
      out.push_back({"questions", double(score.questions), "", "published count", 1982});
      out.push_back({"bm25 R@10 (parity)", score.percent(score.r10), "%", "public BM25 figure", 64.0});
    }
    report(profile, outcome, bm25, out);
  }
  size_t turns = 0;
  for (const Conversation& one : conversations) turns += one.turn_of.size();
  out.push_back({"ingest, durable", double(turns) / seconds, "turns/s", {}, 0});
  return out;
}

}  // namespace varve::eval
