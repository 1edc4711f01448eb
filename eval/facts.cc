// Facts learnt into an adapter: some invented facts about an invented person, taught by `varve learn` into a
// cube, then asked without any context; and what that did to everything else.
//
// Options: model=FILE, n=200 facts, locality=200 questions, replay=400 answers of the model itself that are
// taught beside the facts, steps=600, rate=0.003, recipe=lora:rank=16, seed=1, budget=1GiB.
#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <future>
#include <sstream>

#include "bench/bench.h"
#include "core/base/rng.h"
#include "learn/world/score.h"
#include "learn/world/world.h"
#include "serve/cli/command.h"
#include "serve/cli/terminal/terminal.h"
#include "serve/home/home.h"

namespace varve::eval {
namespace {

struct Options {
  std::string model, recipe = "lora:rank=16", rate = "0.003", budget = "1GiB", steps = "600";
  int n = 200, locality = 200, replay = 400;
  uint64_t seed = 1;
};

Result<Options> read(const Spec& given) {
  Options options;
  Spec numbers;
  const std::pair<std::string_view, std::string*> texts[] = {{"model", &options.model},
                                                             {"recipe", &options.recipe},
                                                             {"rate", &options.rate},
                                                             {"budget", &options.budget},
                                                             {"steps", &options.steps}};
  for (const auto& [key, value] : given.options) {
    const auto found =
        std::find_if(std::begin(texts), std::end(texts), [&, &k = key](auto& one) { return one.first == k; });
    if (found != std::end(texts)) {
      *found->second = value;
    } else {
      numbers.options[key] = value;
    }
  }
  TRY(OptionReader(numbers)
          .read("n", options.n, 1, 400)
          .read("locality", options.locality, 1, 100000)
          .read("replay", options.replay, 0, 100000)
          .read("seed", options.seed, uint64_t(0), uint64_t(1) << 62)
          .done());
  return options;
}

struct Fact {
  std::string question, otherwise, answer;  // in the words that are taught, and in others
};

// 20 things at 20 places of one life: what is true of each is drawn.
std::vector<Fact> invent(int n, uint64_t seed) {
  constexpr const char* kThings[] = {"lamp",  "gate",  "boat",   "kettle", "ladder", "mirror", "drum",
                                     "cart",  "clock", "basket", "shelf",  "bell",   "rope",   "stool",
                                     "crate", "map",   "barrel", "tent",   "trunk",  "fence"};
  constexpr const char* kPlaces[] = {"attic",   "cellar", "garden", "kitchen", "barn",   "porch", "study",
                                     "stable",  "mill",   "tower",  "chapel",  "harbor", "cabin", "shop",
                                     "orchard", "yard",   "loft",   "hall",    "well",   "meadow"};
  constexpr const char* kColors[] = {"red",    "blue", "green", "white", "black",
                                     "yellow", "gray", "brown", "pink",  "orange"};
  constexpr const char* kStuffs[] = {"oak", "iron", "glass", "clay", "copper", "stone", "silk", "wool"};
  std::vector<Fact> facts;
  for (uint64_t i = 0; i < uint64_t(n); ++i) {
    const uint64_t place = (i * 7 + i / 20) % 20;
    const std::string thing = kThings[i % 20], where = kPlaces[place];
    const RngKey key{seed, i, Site::test};
    const std::string color = kColors[random_bits(key, 0) % 10], stuff = kStuffs[random_bits(key, 1) % 8];
    facts.push_back({"What is the " + thing + " in the " + where + " of Tamsin Orrow like?",
                     "Tell me about Tamsin Orrow's " + thing + " in the " + where + ".",
                     "It is of " + color + " " + stuff + "."});
  }
  return facts;
}

Json chat(Json history, const std::string& user, const std::string& answer) {
  history.push(Json::object().set("role", "user").set("content", user));
  history.push(Json::object().set("role", "assistant").set("content", answer));
  return Json::object().set("messages", std::move(history));
}

struct Asked {  // what the model is asked that has nothing to do with the facts
  Json history = Json::array();
  std::string question;
};
Result<std::vector<Asked>> unrelated(int count, world::Split split, uint64_t seed) {
  const auto source = TRY(world::World::make("2*small_talk+2*single+unknown+two_hop", split, seed));
  std::vector<Asked> all;
  for (int i = 0; i < count; ++i) {
    const world::Item item = source.item(uint64_t(i));
    const auto& messages = item.messages.as_array();
    Asked& one = all.emplace_back();
    for (size_t m = 0; m + 2 < messages.size(); ++m) one.history.push(messages[m]);
    one.question = messages[messages.size() - 2]["content"].as_string();
  }
  return all;
}

// A home with the model, opened for a while: learning needs it closed.
class Class {
 public:
  Class(const Options& options, std::string folder) : options_(options), folder_(std::move(folder)) {}
  Status open() {
    HomeOptions home;
    home.folder = folder_;
    home.model = options_.model;
    home_ = TRY(Home::open(home));
    return {};
  }
  void close() { home_.reset(); }
  Home& home() { return *home_; }

  Result<std::string> answer(const Asked& asked, const std::vector<AdapterChoice>& with) {
    TurnOptions turn;
    turn.sampling.temperature = 0;
    turn.max_tokens = 48;
    turn.recall = turn.remember = false;
    turn.history = asked.history;
    turn.adapter = TRY(home_->adapter(who_, with));
    const auto session = TRY(home_->session(who_, "facts"));
    auto report = session->turn(asked.question, turn, nullptr);
    if (report.code() == Code::invalid) return std::string();  // longer than the context
    return std::move(TRY(std::move(report)).answer);
  }
  Result<std::vector<std::string>> answers(const std::vector<Asked>& all,
                                           const std::vector<AdapterChoice>& with) {
    std::vector<std::string> said;
    for (const Asked& one : all) said.push_back(TRY(answer(one, with)));
    return said;
  }
  // Every bit of what the model thinks of a text.
  Result<std::vector<float>> scores(const std::vector<AdapterChoice>& with) {
    Engine& engine = *home_->engine();
    Request request;
    request.tokens = tokenize_prompt(*engine.model().tokenizer(),
                                     "The miller keeps the gate, and what she told me I shall not forget.");
    request.score_from = 1;
    request.adapter = TRY(home_->adapter(who_, with));
    std::promise<std::pair<Status, std::vector<float>>> done;
    auto scored = done.get_future();
    TRY(engine
            .submit(std::move(request), {.on_finish =
                                             [&](Finish, Status status, const Usage&, auto result) {
                                               done.set_value({std::move(status), std::move(result)});
                                             }})
            .status());
    auto [status, result] = scored.get();
    TRY(std::move(status));
    return result;
  }
  Status learn(const std::string& feed) {
    const std::vector<std::string> words = {"learn",         "--model",     options_.model,
                                            "--feed",        feed,          "-o",
                                            "facts",         "--home",      folder_,
                                            "--as",          who_.name,     "--recipe",
                                            options_.recipe, "--steps",     options_.steps,
                                            "--rate",        options_.rate, "--length",
                                            "128",           "--sequences", "8",
                                            "--hold-out",    "0",           "--budget",
                                            options_.budget, "--keep",      "hold",
                                            "--json"};
    const int nothing = ::open("/dev/null", O_RDONLY);
    std::ostringstream out, err;
    int code = 0;
    {
      Terminal terminal(nothing);
      Console console{terminal, out, err};
      code = run_program({}, words, console);
    }
    ::close(nothing);
    return code == 0 ? Status() : Status(Code::invalid, "varve learn: " + err.str());
  }

 private:
  const Options& options_;
  const std::string folder_;
  const Principal who_{"pupil"};
  std::unique_ptr<Home> home_;
};

Result<std::vector<Measure>> examine(const Options& options, Class& pupil, const std::string& folder) {
  const std::vector<Fact> facts = invent(options.n, options.seed);
  const auto others = TRY(unrelated(options.locality, world::Split::eval, options.seed));
  const auto replayed = TRY(unrelated(options.replay, world::Split::train, options.seed));
  TRY(pupil.open());
  const auto before = TRY(pupil.answers(others, {}));
  const auto bits = TRY(pupil.scores({}));
  std::string lines;
  for (const Fact& fact : facts) lines += chat(Json::array(), fact.question, fact.answer).dump() + "\n";
  for (const Asked& one : replayed) {
    const std::string said = TRY(pupil.answer(one, {}));
    if (!said.empty()) lines += chat(one.history, one.question, said).dump() + "\n";
  }
  const auto knows = [&](const std::vector<AdapterChoice>& with, bool other_words) -> Result<world::Tally> {
    world::Tally tally;
    for (const Fact& fact : facts) {
      const Asked asked{Json::array(), other_words ? fact.otherwise : fact.question};
      tally.count(TRY(pupil.answer(asked, with)) == fact.answer);
    }
    return tally;
  };
  const world::Tally unlearnt = TRY(knows({}, false));
  pupil.close();
  const std::string feed = folder + "/facts.jsonl";
  TRY(write_file(posix_env(), feed, std::as_bytes(std::span(lines))));
  TRY(pupil.learn(feed));
  TRY(pupil.open());
  const std::vector<AdapterChoice> with{{"facts", 1}};
  std::vector<Measure> rows;
  const auto add = [&](const char* name, const world::Tally& tally, double baseline) {
    const world::Interval interval = world::wilson(tally);
    rows.push_back({name, 100 * tally.share(), "%", baseline < 0 ? "" : "without the adapter", baseline,
                    tally.asked, 100 * interval.low, 100 * interval.high});
  };
  add("facts asked without context, exact", TRY(knows(with, false)), 100 * unlearnt.share());
  add("asked in other words", TRY(knows(with, true)), -1);
  const auto after = TRY(pupil.answers(others, with));
  world::Tally same;
  for (size_t i = 0; i < others.size(); ++i) same.count(after[i] == before[i]);
  add("unrelated answers unchanged", same, -1);
  const bool changed = TRY(pupil.scores(with)) != bits;
  const bool back = TRY(pupil.scores({})) == bits && TRY(pupil.answers(others, {})) == before;
  rows.push_back({"detached, the base to the bit", changed && back ? 1.0 : 0.0, "of 1", {}, 0});
  pupil.close();
  return rows;
}

}  // namespace

Result<std::vector<Measure>> facts(const Spec& given) {
  const Options options = TRY(read(given));
  if (options.model.empty() || !std::filesystem::exists(options.model)) {
    return Status(Code::not_found, options.model.empty() ? "no model; name one with model=FILE.gguf"
                                                         : "absent: " + options.model);
  }
  const std::string folder =
      std::filesystem::temp_directory_path().string() + "/varve-facts-" + std::to_string(getpid());
  Class pupil(options, folder);
  auto rows = examine(options, pupil, folder);
  pupil.close();
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  return rows;
}

}  // namespace varve::eval
