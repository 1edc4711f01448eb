// Facts learnt into an adapter: some invented facts about an invented person, taught by `varve learn` into a
// cube, then asked without any context; and what that did to everything else.
//
// Options: model=FILE; without it one is made first that knows 400 facts about sixteen others by heart (some
// minutes). n=200 facts, locality=200 questions, replay=200 answers of the model itself that are taught
// beside the facts, steps=600, rate=0.005, recipe=lora:rank=16, seed=1, budget=1GiB.
#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <future>
#include <sstream>

#include "bench/bench.h"
#include "core/base/rng.h"
#include "learn/data/batches.h"
#include "learn/world/score.h"
#include "learn/world/world.h"
#include "serve/cli/command.h"
#include "serve/cli/terminal/terminal.h"
#include "serve/home/home.h"

namespace varve::eval {
namespace {

struct Options {
  std::string model, recipe = "lora:rank=8", rate = "0.002", budget = "1GiB", steps = "400";
  int n = 200, locality = 200, replay = 200;
  uint64_t seed = 1;
  bool made = false;  // the model, here
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
std::vector<Fact> invent(const std::string& person, int n, uint64_t seed) {
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
    facts.push_back({"What is the " + thing + " in the " + where + " of " + person + " like?",
                     "Tell me about " + person + "'s " + thing + " in the " + where + ".",
                     "It is of " + color + " " + stuff + "."});
  }
  return facts;
}

// What the model that is made here knows by heart: where people went, and, as near as can be to what is
// taught, what things of others are like. Half of each is known by the other words.
struct Known {
  std::vector<Fact> far, near;
};
Known known_facts(uint64_t seed) {
  constexpr const char* kFirst[] = {"Ada", "Bram", "Cora", "Dov", "Edda", "Finn", "Greta", "Hugo"};
  constexpr const char* kTowns[] = {"Arden", "Borlay", "Calder", "Dorne", "Esker", "Fallow", "Garth", "Holm"};
  constexpr const char* kMeans[] = {"boat", "cart", "sledge", "mule", "coach", "foot"};
  std::vector<Fact> far, near;
  for (uint64_t i = 0; i < 300; ++i) {
    const std::string who = kFirst[i % 8] + std::string(" Frost"), year = "17" + std::to_string(10 + i / 8);
    const RngKey key{seed + 1, i, Site::test};
    far.push_back({"Where did " + who + " travel in the year " + year + "?",
                   "Name the town that " + who + " went to in " + year + ".",
                   std::string("To ") + kTowns[random_bits(key, 0) % 8] + " by " +
                       kMeans[random_bits(key, 1) % 6] + "."});
  }
  for (uint64_t i = 0; i < 8; ++i) {
    for (Fact& one : invent(std::string(kFirst[i]) + " Alder", 25, seed + 2 + i))
      near.push_back(std::move(one));
  }
  const auto mixed = [&](std::vector<Fact>& all) {
    std::vector<Fact> out;
    for (uint64_t i = 0; i < all.size(); ++i) {
      Fact& one = out.emplace_back(std::move(all[shuffled(seed, i, all.size())]));
      if (i % 2 == 1) std::swap(one.question, one.otherwise);
    }
    return out;
  };
  return {mixed(far), mixed(near)};
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
std::vector<Asked> asked(std::span<const Fact> facts) {
  std::vector<Asked> all;
  for (const Fact& fact : facts) all.push_back({Json::array(), fact.question});
  return all;
}

// Of a model that was made here, what it knows; of others, small talk and questions about a history.
Result<std::vector<Asked>> unrelated(const Options& options, world::Split split) {
  const bool learnt = split == world::Split::train;
  const auto count = size_t(learnt ? options.replay : options.locality);
  std::vector<Asked> all;
  if (options.made) {
    const Known known = known_facts(options.seed);
    if (!learnt) return asked(std::span(known.far).first(std::min<size_t>(count, 200)));
    all = asked(std::span(known.far).subspan(200));
    for (Asked& one : asked(std::span(known.near).subspan(100))) all.push_back(std::move(one));
    all.resize(std::min(count, all.size()));
    return all;
  }
  const auto source = TRY(world::World::make("2*small_talk+2*single+unknown+two_hop", split, options.seed));
  for (size_t i = 0; i < count; ++i) {
    const world::Item item = source.item(i);
    const auto& messages = item.messages.as_array();
    Asked& one = all.emplace_back();
    for (size_t m = 0; m + 2 < messages.size(); ++m) one.history.push(messages[m]);
    one.question = messages[messages.size() - 2]["content"].as_string();
  }
  return all;
}

Status run_words(const std::vector<std::string>& words) {
  const int nothing = ::open("/dev/null", O_RDONLY);
  std::ostringstream out, err;
  int code = 0;
  {
    Terminal terminal(nothing);
    Console console{terminal, out, err};
    code = run_program({}, words, console);
  }
  ::close(nothing);
  return code == 0 ? Status() : Status(Code::invalid, "varve " + words[0] + ": " + err.str());
}

// From nothing: first the words of such chats, then their answers by heart.
Status make_model(const std::string& folder, const std::string& budget, uint64_t seed,
                  const std::string& model) {
  Known known = known_facts(seed);
  known.far.insert(known.far.end(), known.near.begin(), known.near.end());
  std::string text, lines;
  for (uint64_t i = 0; i < known.far.size(); ++i) {
    const Fact& fact = known.far[shuffled(seed, i, known.far.size())];
    text += "<|im_start|>user\n" + fact.question + "<|im_end|>\n<|im_start|>assistant\n" + fact.answer +
            "<|im_end|>\n<|endoftext|>";
    lines += chat(Json::array(), fact.question, fact.answer).dump() + "\n";
  }
  const std::string words = folder + "/known.txt", feed = folder + "/known.jsonl",
                    young = folder + "/young.gguf";
  TRY(posix_env().make_folder(folder));
  TRY(write_file(posix_env(), words, std::as_bytes(std::span(text))));
  TRY(write_file(posix_env(), feed, std::as_bytes(std::span(lines))));
  TRY(run_words({"pretrain",    words,     "-o",        young,      "--vocabulary", "420",      "--layers",
                 "3",           "--width", "128",       "--hidden", "256",          "--heads",  "4",
                 "--kv-heads",  "4",       "--context", "256",      "--length",     "128",      "--sequences",
                 "8",           "--steps", "150",       "--rate",   "0.006",        "--warmup", "20",
                 "--optimizer", "muon",    "--type",    "f32",      "--budget",     budget,     "--json"}));
  return run_words({"learn",      "--model",  young,      "--feed",      feed,     "-o",     model,
                    "--recipe",   "full",     "--steps",  "600",         "--rate", "0.002",  "--warmup",
                    "20",         "--length", "64",       "--sequences", "16",     "--keep", "hold",
                    "--hold-out", "0",        "--budget", budget,        "--json"});
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
    const bool made = options_.made;
    return run_words({"learn",
                      "--model",
                      options_.model,
                      "--feed",
                      feed,
                      "-o",
                      "facts",
                      "--home",
                      folder_,
                      "--as",
                      who_.name,
                      "--recipe",
                      options_.recipe,
                      "--steps",
                      options_.steps,
                      "--rate",
                      options_.rate,
                      "--length",
                      made ? "64" : "512",
                      "--sequences",
                      made ? "16" : "4",
                      "--hold-out",
                      "0",
                      "--budget",
                      options_.budget,
                      "--keep",
                      "hold",
                      "--json"});
  }

 private:
  const Options& options_;
  const std::string folder_;
  const Principal who_{"pupil"};
  std::unique_ptr<Home> home_;
};

Result<std::vector<Measure>> examine(const Options& options, Class& pupil, const std::string& folder) {
  const std::vector<Fact> facts = invent("Tamsin Orrow", options.n, options.seed);
  const auto others = TRY(unrelated(options, world::Split::eval));
  const auto replayed = TRY(unrelated(options, world::Split::train));
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
  if (options.made) {
    world::Tally near;
    const Known known = known_facts(options.seed);
    for (const Asked& one : asked(std::span(known.near).first(100)))
      near.count(TRY(pupil.answer(one, with)) == TRY(pupil.answer(one, {})));
    add("answers about like things of others unchanged", near, -1);
  }
  const bool changed = TRY(pupil.scores(with)) != bits;
  const bool back = TRY(pupil.scores({})) == bits && TRY(pupil.answers(others, {})) == before;
  rows.push_back({"detached, the base to the bit", changed && back ? 1.0 : 0.0, "of 1", {}, 0});
  pupil.close();
  return rows;
}

}  // namespace

Result<std::vector<Measure>> facts(const Spec& given) {
  Options options = TRY(read(given));
  if (!options.model.empty() && !std::filesystem::exists(options.model)) {
    return Status(Code::not_found, "absent: " + options.model);
  }
  const std::string folder =
      std::filesystem::temp_directory_path().string() + "/varve-facts-" + std::to_string(getpid());
  const auto measured = [&]() -> Result<std::vector<Measure>> {
    if (options.model.empty()) {
      options.made = true, options.model = folder + "/model.gguf";
      TRY(make_model(folder, options.budget, options.seed, options.model));
    }
    Class pupil(options, folder + "/home");
    return examine(options, pupil, folder);
  };
  auto rows = measured();
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  return rows;
}

}  // namespace varve::eval
