#include "learn/world/world.h"

#include <charconv>

#include "learn/world/language/text.h"

namespace varve::world {
namespace {

// "4*single:most=3" -> 4, the kind.
Result<std::pair<double, std::shared_ptr<const Kind>>> weighted(std::string_view text) {
  double weight = 1;
  if (const size_t star = text.find('*'); star != text.npos) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + star, weight);
    if (error != std::errc() || end != text.data() + star || !(weight > 0 && weight <= 1e6)) {
      return Status(Code::invalid,
                    "'" + std::string(text.substr(0, star)) + "' is no weight of a kind; write 4*single");
    }
    text.remove_prefix(star + 1);
  }
  std::unique_ptr<Kind> kind = TRY(kinds().make(text));
  return std::pair(weight, std::shared_ptr<const Kind>(std::move(kind)));
}

}  // namespace

const std::string_view kUsualKinds =
    "4*single+3*distract+3*two_hop+3*update+1*before+3*unknown+2*whether+1*who+1*when_told+1*tell+1*several+"
    "1*order+3*chat+1*small_"
    "talk+"
    "1*about+1*needle+2*extract+2*decide+1*prose";

Result<World> World::make(std::string_view mixture, Split split, uint64_t seed) {
  if (mixture.empty()) mixture = kUsualKinds;
  World world(split, seed);
  double sum = 0;
  for (std::string_view one : world::split(mixture, '+')) {
    auto [weight, kind] = TRY(weighted(trimmed(one)));
    sum += weight;
    world.parts_.push_back({sum, std::move(kind)});
  }
  for (Part& part : world.parts_) part.until /= sum;
  return world;
}

Item World::item(uint64_t index) const {
  const Site site = split_ == Split::train ? Site::world_train : Site::world_eval;
  const RngKey key{.seed = seed_, .step = index, .site = site};
  const double at = random_unit(key, uint64_t(1) << 30);  // far from what the scene draws
  const Part* part = &parts_.front();
  while (part->until <= at && part != &parts_.back()) ++part;
  Scene scene(split_, key);
  return part->kind->make(scene);
}

Json World::to_json(const Item& item, uint64_t index) const {
  Json line = Json::object();
  if (item.messages.size() > 0) {
    line.set("messages", item.messages);
  } else {
    line.set("text", item.text);
  }
  line.set("kind", item.kind);
  if (!item.answer.empty()) line.set("answer", item.answer);
  Json meta = Json::object();
  meta.set("split", split_ == Split::train ? "train" : "eval")
      .set("seed", int64_t(seed_))
      .set("index", int64_t(index));
  if (!item.core.empty()) meta.set("question", item.core).set("frame", item.frame);
  if (!item.wrong.empty()) {
    Json wrong = Json::array();
    for (const std::string& one : item.wrong) wrong.push(one);
    meta.set("wrong", std::move(wrong));
  }
  if (!item.schema.empty()) meta.set("schema", item.schema);
  return line.set("meta", std::move(meta));
}

}  // namespace varve::world
