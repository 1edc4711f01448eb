#include "memory/reflect/shared/playbook.h"

#include <algorithm>

namespace varve {
namespace {

constexpr std::string_view kHelped = "it was used and helped", kUseless = "it was used and did not help";

bool poor(const Uses& usage, const Worth& worth) {
  return usage.used >= worth.trials && usage.helped < worth.least * usage.used;
}

std::string poor_why(const Uses& usage) {
  return "it helped in " + std::to_string(usage.helped) + " of " + std::to_string(usage.used) + " uses";
}

bool seen(const Turn& turn, CubeId id) {
  return std::any_of(turn.recalled.begin(), turn.recalled.end(),
                     [&](const Recalled& one) { return one.header.id == id; });
}

}  // namespace

Result<Uses> usage_of(const CubeStore& cubes, const Principal& who, CubeId id) {
  Uses usage;
  for (const JournalEntry& entry : TRY(cubes.journal(who, id))) {
    if (entry.action != "strengthen") continue;
    usage.used += entry.why == kHelped || entry.why == kUseless;
    usage.helped += entry.why == kHelped;
  }
  return usage;
}

MemoryOp used(CubeId id, bool helped) {
  MemoryOp op;
  op.kind = MemoryOp::Kind::strengthen;
  op.target = id;
  op.strength = helped ? 1 : -0.5;
  op.why = helped ? kHelped : kUseless;
  return op;
}

Status feedback(CubeStore& cubes, const Principal& who, CubeId id, bool helped) {
  const CubeHeader header = TRY(cubes.head(who, id));
  if (is_evidence(header.kind) || header.from.empty()) {
    return Status(Code::invalid, "cube " + id.text() + " is a " + header.kind +
                                     ", kept for what it says; feedback is on what was derived");
  }
  std::vector<MemoryOp> ops{used(id, helped)};
  Uses usage = TRY(usage_of(cubes, who, id));
  ++usage.used;
  usage.helped += helped;
  if (poor(usage, {})) ops.push_back(archived(id, poor_why(usage)));
  TRY(cubes.apply(who, std::move(ops)));
  return {};
}

Result<std::vector<Unit>> shown(const Principal& who, const Turn& turn, const Known& known,
                                std::string_view kind, size_t most) {
  std::vector<Unit> units;
  for (const Recalled& one : turn.recalled) {
    if (one.header.kind == kind && one.header.space == turn.space && units.size() < most)
      units.push_back({one.header, one.text});
  }
  for (Unit& unit : TRY(nearest(who, turn, known, words_of(turn), kind, most))) {
    if (units.size() < most && !seen(turn, unit.header.id)) units.push_back(std::move(unit));
  }
  return units;
}

Result<std::vector<MemoryOp>> judged(const Principal& who, const Turn& turn, const Known& known,
                                     const std::vector<Unit>& strategies, const Json& helped,
                                     const Worth& worth) {
  std::vector<MemoryOp> ops;
  const Json::Array& list = helped.as_array();
  for (size_t i = 0; i < strategies.size(); ++i) {
    const CubeId id = strategies[i].header.id;
    if (!seen(turn, id)) continue;
    const bool good = std::find(list.begin(), list.end(), Json(int64_t(i))) != list.end();
    Uses usage = TRY(usage_of(known.cubes, who, id));
    ++usage.used;
    usage.helped += good;
    ops.push_back(used(id, good));
    if (poor(usage, worth)) ops.push_back(archived(id, poor_why(usage)));
  }
  return ops;
}

Json as_material(const std::vector<Unit>& strategies, std::string_view name) {
  Json all = Json::array();
  for (size_t i = 0; i < strategies.size(); ++i)
    all.push(Json::object().set(name, int64_t(i)).set("text", clipped(strategies[i].text, 500)));
  return all;
}

}  // namespace varve
