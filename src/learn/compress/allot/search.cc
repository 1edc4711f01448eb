#include "learn/compress/allot/search.h"

#include <algorithm>
#include <cmath>

#include "core/format/json.h"
#include "learn/compress/answers.h"

namespace varve {
namespace {

constexpr int64_t kMostState = int64_t(1) << 26;
constexpr int32_t kCoarse = 2;     // steps between versions in the first round
constexpr size_t kShortShare = 4;  // one text in so many is a short look

Json json_of(std::span<const size_t> numbers) {
  Json json = Json::array();
  for (const size_t one : numbers) json.push(int64_t(one));
  return json;
}

bool are_places(const Json& list) {
  return list.is_array() && std::all_of(list.as_array().begin(), list.as_array().end(),
                                        [](const Json& one) { return one.is_int() && one.as_int() >= 0; });
}
bool is_round(const Json& json) {
  return json.is_object() && json["round"].is_int() && json["generation"].is_int() &&
         are_places(json["centre"]) && are_places(json["chosen"]) &&
         (json["loss"].is_null() || json["loss"].is_number());
}

std::vector<size_t> numbers_of(const Json& json) {
  std::vector<size_t> numbers;
  for (const Json& one : json.as_array()) numbers.push_back(size_t(one.as_int()));
  return numbers;
}

}  // namespace

// What a model's answers lose, by some of the texts and by all of them.
class FormatSearch::Examiner {
 public:
  static Result<Examiner> make(const Model& base, const CalibrationText& text, int64_t tokens, Ops& ops,
                               Ledger& ledger) {
    const int64_t room = (ledger.limit() - ledger.used()) / 4 / 4 / base.shape().vocabulary;
    const int64_t most = std::min(tokens, room);
    const double step = std::max(1.0, double(text.tokens) / double(std::max<int64_t>(1, most)));
    std::vector<std::vector<Token>> some, others;
    for (double at = 0; at < double(text.texts.size()); at += step) {
      auto& into = (some.size() + others.size()) % kShortShare == 0 ? some : others;
      into.push_back(text.texts[size_t(at)]);
    }
    Examiner made(ops, ledger);
    made.some_ = TRY(Answers::make(base, some, ops, ledger));
    made.others_ = TRY(Answers::make(base, others, ops, ledger));
    return made;
  }
  Result<double> loss(const Model& model, bool whole) const {
    const Compared some = TRY(some_.compare(model, nullptr, *ops_, *ledger_));
    if (!whole) return some.kl;
    const Compared others = TRY(others_.compare(model, nullptr, *ops_, *ledger_));
    return (some.kl * double(some.places) + others.kl * double(others.places)) /
           double(std::max<int64_t>(1, some.places + others.places));
  }

 private:
  Examiner(Ops& ops, Ledger& ledger) : ops_(&ops), ledger_(&ledger) {}
  Ops* ops_;
  Ledger* ledger_;
  Answers some_, others_;
};

std::vector<size_t> FormatSearch::steps_around(size_t unit, size_t centre, int32_t round) const {
  const auto step = size_t(round == 0 && how_.rounds > 1 ? kCoarse : 1);
  const size_t last = choice_.ladders[unit].size() - 1;
  std::vector<size_t> steps{centre};
  if (centre > 0) steps.insert(steps.begin(), centre - std::min(centre, step));
  if (centre < last) steps.push_back(std::min(last, centre + step));
  return steps;
}

Result<Supernet> FormatSearch::open_net(const Found& found) const {
  std::vector<Supernet::Unit> units;
  for (size_t i = 0; i < choice_.weights.size(); ++i) {
    Supernet::Unit& unit = units.emplace_back();
    unit.weight = choice_.weights[i];
    for (const size_t step : steps_around(i, found.centre[i], found.round))
      unit.versions.push_back(choice_.ladders[i][step]);
  }
  const char* file = found.round % 2 == 0 ? "versions.0" : "versions.1";
  return Supernet::open(tools_.draft, std::move(units), path(file), found.round);
}

Result<FormatSearch::Found> FormatSearch::read(const Json& json) const {
  if (!is_round(json)) return Status(Code::corrupt, path("search") + " is damaged");
  Found found{int32_t(json["round"].as_int()), numbers_of(json["centre"]), {}};
  found.best.chosen = numbers_of(json["chosen"]);
  found.best.generation = int32_t(json["generation"].as_int());
  if (!json["loss"].is_null()) found.best.loss = json["loss"].as_double();
  const std::vector<size_t>& chosen = found.best.chosen;
  bool fits = found.centre.size() == choice_.weights.size() &&
              (chosen.empty() || chosen.size() == found.centre.size());
  for (size_t i = 0; fits && i < found.centre.size(); ++i) {
    fits = found.centre[i] < choice_.ladders[i].size() &&
           (chosen.empty() || chosen[i] < steps_around(i, found.centre[i], found.round).size());
  }
  if (!fits) return Status(Code::corrupt, path("search") + " is of another model");
  return found;
}

Result<FormatSearch::State> FormatSearch::load() const {
  State state;
  if (!TRY(tools_.draft.env().exists(path("search")))) {
    state.now.centre = choice_.chosen;
    return state;
  }
  const auto bytes = TRY(read_file(tools_.draft.env(), path("search"), kMostState));
  const Json json = TRY(parse_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
  if (!json.is_object() || !json["ended"].is_bool())
    return Status(Code::corrupt, path("search") + " is damaged");
  state.ended = json["ended"].as_bool();
  state.now = TRY(read(json["now"]));
  if (!json["before"].is_null()) state.before = TRY(read(json["before"]));
  return state;
}

Status FormatSearch::save(const State& state) const {
  const auto json_of_round = [](const Found& found) {
    Json json = Json::object();
    json.set("round", int64_t(found.round)).set("centre", json_of(found.centre));
    json.set("chosen", json_of(found.best.chosen)).set("generation", int64_t(found.best.generation));
    if (std::isfinite(found.best.loss)) json.set("loss", found.best.loss);
    return json;
  };
  Json json = Json::object();
  json.set("ended", state.ended).set("now", json_of_round(state.now));
  if (!state.before.centre.empty()) json.set("before", json_of_round(state.before));
  const std::string text = json.dump();
  return write_file(tools_.draft.env(), path("search"), std::as_bytes(std::span(text)));
}

Status FormatSearch::search_round(State& state, Supernet& net, const Examiner& examiner) const {
  Found& now = state.now;
  SearchSpace space{{}, choice_.limit};
  for (size_t i = 0; i < choice_.weights.size(); ++i) {
    const Weight& weight = tools_.draft.weights()[choice_.weights[i]];
    space.bytes.emplace_back();
    for (const size_t step : steps_around(i, now.centre[i], now.round))
      space.bytes.back().push_back(
          choice_.ladders[i][step]->bytes_for(int64_t(weight.rows()) * weight.cols()));
  }
  if (now.best.chosen.empty()) {
    for (size_t i = 0; i < now.centre.size(); ++i)
      now.best.chosen.push_back(now.centre[i] > 0 ? 1 : 0);  // the middle of steps_around()
  }
  const Judge judge = [&](std::span<const size_t> chosen, bool whole) -> Result<double> {
    TRY(net.compose(chosen, tools_.product));
    const auto model = TRY(open_to_read(tools_.draft.env(), path("model"), tools_.draft.ledger()));
    return examiner.loss(*model, whole);
  };
  const Evolution how{.generations = how_.generations,
                      .children = how_.children,
                      .seed = how_.seed,
                      .round = uint64_t(now.round)};
  const std::string where =
      ", round " + std::to_string(now.round + 1) + " of " + std::to_string(how_.rounds) + ": divergence ";
  now.best = TRY(evolve(space, how, now.best, judge, [&](const Candidate& best) -> Status {
    now.best = best;
    TRY(save(state));
    tools_.progress("searching" + where + std::to_string(best.loss), best.generation, how_.generations);
    return {};
  }));
  return {};
}

Status FormatSearch::end_round(State& state, Supernet& net) const {
  Found& now = state.now;
  const bool worse = !(now.best.loss < state.before.best.loss);  // which in the first round is infinite
  state.ended = worse || now.round + 1 == how_.rounds;
  if (worse && !state.before.centre.empty()) now = state.before;
  if (!state.ended) {
    TRY(net.compose(now.best.chosen, tools_.product));  // who reads the text in the next round
    state.before = now;
    for (size_t i = 0; i < now.centre.size(); ++i)
      now.centre[i] = steps_around(i, now.centre[i], now.round)[now.best.chosen[i]];
    now.best = {};
    ++now.round;
  }
  return save(state);
}

Status FormatSearch::run(std::shared_ptr<const Model> base) {
  Draft& draft = tools_.draft;
  State state = TRY(load());
  std::optional<Examiner> examiner;
  while (!state.ended) {
    Supernet net = TRY(open_net(state.now));
    if (!net.whole()) {
      const bool first = state.now.round == 0;
      const auto reader = first ? base : TRY(open_to_read(draft.env(), path("model"), draft.ledger()));
      const Reading reading{*reader, tools_.train, tools_.text};
      TRY(net.fill({draft, tools_.sight, &reading, !first, tools_.progress}));
    }
    if (!examiner) {
      examiner = TRY(Examiner::make(*base, tools_.text, how_.tokens, draft.ops(), draft.ledger()));
      base.reset();
    }
    TRY(search_round(state, net, *examiner));
    TRY(end_round(state, net));
  }
  TRY(open_net(state.now)).choose(state.now.best.chosen);
  return {};
}

Status FormatSearch::write() {
  const State state = TRY(load());
  return TRY(open_net(state.now)).finish(state.now.best.chosen, tools_.product, tools_.progress);
}

}  // namespace varve
