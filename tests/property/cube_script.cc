#include "tests/property/cube_script.h"

#include "memory/cube/governance.h"

#include <algorithm>
#include <set>

namespace varve {
namespace {

class Dice {
 public:
  explicit Dice(const RngKey& key) : key_(key) {}
  uint32_t below(size_t limit) { return random_bits(key_, drawn_++) % uint32_t(limit); }
  template <class T>
  const T& of(const std::vector<T>& all) {
    return all[below(all.size())];
  }

 private:
  RngKey key_;
  uint64_t drawn_ = 0;
};

CubeDraft make_draft(Dice& dice, const RngKey& key, std::string_view kind) {
  CubeDraft draft;
  draft.header.kind = kind;
  draft.header.title = "step " + std::to_string(key.step);
  draft.header.event = TimeMs(key.step);  // so that what is told later also holds from later on
  std::string text = "text " + std::to_string(key.step) + "/" + std::to_string(dice.below(1000000)) + " ";
  const size_t repeats =
      dice.below(6) == 0 ? 2000 + dice.below(2000) : 1 + dice.below(20);  // some become blobs
  for (size_t i = 0; i < repeats; ++i) draft.payload += text;
  return draft;
}

CubeDraft make_addition(Dice& dice, const CubeModel& model, const RngKey& key) {
  CubeDraft draft = make_draft(dice, key, dice.of(std::vector<std::string>{"turn", "note", "fact"}));
  const auto living = model.living();
  if (living.empty()) return draft;
  std::set<CubeId> from;
  for (uint32_t n = dice.below(3); n > 0; --n) from.insert(dice.of(living));
  for (const CubeId& id : from) draft.header.from.push_back({id, 1});
  if (dice.below(4) == 0)
    (dice.below(3) == 0 ? draft.header.contradicts : draft.header.supersedes) = {dice.of(living)};
  return draft;
}

MemoryOp make_op(MemoryOp::Kind kind, CubeId target) {
  MemoryOp op;
  op.kind = kind;
  op.target = target;
  return op;
}

std::vector<MemoryOp> make_ops(Dice& dice, const CubeModel& model, const RngKey& key) {
  std::vector<MemoryOp> ops(1);
  ops[0].draft = make_addition(dice, model, key);
  const auto living = model.living(), revisable = model.living(true);
  if (!living.empty()) {
    ops.push_back(make_op(MemoryOp::Kind::expire, dice.of(living)));
    ops.push_back(make_op(MemoryOp::Kind::strengthen, dice.of(living)));
    ops.back().strength = 0.25;
  }
  if (!revisable.empty()) {
    ops.push_back(make_op(MemoryOp::Kind::revise, dice.of(revisable)));
    ops.back().draft = make_draft(dice, key, "");
  }
  return ops;
}

}  // namespace

const Principal& script_principal() {
  static const Principal who{"alice"};
  return who;
}

std::vector<CubeId> CubeModel::living(bool revisable) const {
  std::vector<CubeId> ids;
  for (const auto& [id, cube] : cubes) {
    if (cube.life != Life::erased && !(revisable && is_evidence(cube.kind))) ids.push_back(id);
  }
  return ids;
}

void CubeModel::add(CubeId id, const CubeDraft& draft) {
  Cube& cube = cubes[id];
  cube.kind = draft.header.kind;
  cube.versions = {draft.payload};
  for (const Source& source : draft.header.from) cube.from.push_back(source.cube);
  std::vector<CubeId> olders = draft.header.supersedes;
  olders.insert(olders.end(), draft.header.contradicts.begin(), draft.header.contradicts.end());
  for (const CubeId& older : olders) {
    superseders[older].push_back(id);
    Cube& old = cubes[older];
    if (old.life == Life::expired) continue;
    old.superseded = true;
    old.before = old.life;
    old.life = Life::expired;
  }
}

void CubeModel::advance(CubeId id, Life to) {
  cubes[id].life = to;
  cubes[id].superseded = false;
}

void CubeModel::erase(CubeId id) {
  std::set<CubeId> doomed{id};
  for (bool grown = true; grown;) {
    grown = false;
    for (const auto& [child, cube] : cubes) {
      if (cube.life == Life::erased) continue;
      for (const CubeId& parent : cube.from) grown |= doomed.contains(parent) && doomed.insert(child).second;
    }
  }
  for (const CubeId& gone : doomed) cubes[gone] = {.kind = cubes[gone].kind, .life = Life::erased};
  for (auto& [older, cube] : cubes) {
    if (!cube.superseded) continue;
    bool still = false;  // does a living cube supersede it, directly or through erased ones?
    std::set<CubeId> seen{older};
    std::vector<CubeId> climb{older};
    for (size_t i = 0; i < climb.size(); ++i) {
      for (const CubeId& up : superseders[climb[i]]) {
        if (!seen.insert(up).second) continue;
        if (cubes[up].life == Life::erased) {
          climb.push_back(up);
        } else {
          still = true;
        }
      }
    }
    if (still) continue;
    cube.life = cube.before;
    cube.superseded = false;
  }
}

Plan make_plan(const CubeModel& model, const RngKey& key) {
  Dice dice(key);
  Plan plan;
  const auto living = model.living(), revisable = model.living(true);
  const uint32_t roll = dice.below(100);
  if (roll < 45 || living.empty() || (roll < 60 && revisable.empty())) {
    plan.draft = make_addition(dice, model, key);
  } else if (roll < 60) {
    plan.kind = Plan::Kind::revise;
    plan.target = dice.of(revisable);
    plan.draft = make_draft(dice, key, "");
  } else if (roll < 64 && !revisable.empty()) {
    plan.kind = Plan::Kind::restore;
    plan.target = dice.of(revisable);
    plan.version = 1 + dice.below(uint32_t(model.cubes.at(plan.target).versions.size()));
  } else if (roll < 72) {
    plan.kind = Plan::Kind::advance;
    plan.target = dice.of(living);
    plan.life = Life(dice.below(4));
  } else if (roll < 88) {
    plan.kind = Plan::Kind::ops;
    plan.ops = make_ops(dice, model, key);
  } else {
    plan.kind = Plan::Kind::erase;
    plan.target = dice.of(living);
  }
  return plan;
}

Result<std::vector<CubeId>> execute(CubeStore& store, const Plan& plan) {
  const Principal& who = script_principal();
  std::vector<CubeId> made;
  switch (plan.kind) {
    case Plan::Kind::put: made.push_back(TRY(store.put(who, plan.draft))); break;
    case Plan::Kind::revise: TRY(store.revise(who, plan.target, 0, plan.draft, "")); break;
    case Plan::Kind::advance: TRY(store.advance(who, plan.target, plan.life, "")); break;
    case Plan::Kind::erase: TRY(store.erase(who, plan.target, "")); break;
    case Plan::Kind::restore: TRY(store.governance().restore(who, plan.target, plan.version, 0, "")); break;
    case Plan::Kind::ops: made.push_back(TRY(store.apply(who, plan.ops))[0]); break;
  }
  return made;
}

CubeModel after(CubeModel model, const Plan& plan, const std::vector<CubeId>& made) {
  switch (plan.kind) {
    case Plan::Kind::put: model.add(made[0], plan.draft); break;
    case Plan::Kind::revise: model.cubes[plan.target].versions.push_back(plan.draft.payload); break;
    case Plan::Kind::advance: model.advance(plan.target, plan.life); break;
    case Plan::Kind::erase: model.erase(plan.target); break;
    case Plan::Kind::restore: {
      auto& versions = model.cubes[plan.target].versions;
      versions.push_back(std::string(versions[plan.version - 1]));
      break;
    }
    case Plan::Kind::ops:
      for (const MemoryOp& op : plan.ops) {
        if (op.kind == MemoryOp::Kind::add) model.add(made[0], op.draft);
        if (op.kind == MemoryOp::Kind::expire) model.advance(op.target, Life::expired);
        if (op.kind == MemoryOp::Kind::strengthen) model.cubes[op.target].strength += op.strength;
        if (op.kind == MemoryOp::Kind::revise) model.cubes[op.target].versions.push_back(op.draft.payload);
      }
  }
  return model;
}

namespace {

std::string compare(const CubeStore& store, CubeId id, const CubeModel::Cube& cube) {
  const Principal& who = script_principal();
  auto header = store.head(who, id);
  if (!header.ok()) return std::move(header).status().text();
  if (header->life != cube.life || header->kind != cube.kind) return "life or kind";
  auto payload = store.payload(who, id);
  if (cube.life == Life::erased)
    return payload.code() == Code::not_found ? "" : "an erased cube still has words";
  if (header->version != cube.versions.size()) return "number of versions";
  if (header->strength != cube.strength) return "strength";
  for (uint32_t version = 1; version <= cube.versions.size(); ++version) {
    auto words = store.payload(who, id, version);
    if (!words.ok()) return std::move(words).status().text();
    if (*words != cube.versions[version - 1]) return "words of version " + std::to_string(version);
  }
  return "";
}

Result<std::vector<CubeHeader>> everything(const CubeStore& store) {
  CubeFilter filter;
  filter.life.reset();
  filter.limit = 10000;
  return store.list(script_principal(), filter);
}

}  // namespace

std::string difference(const CubeStore& store, const CubeModel& model) {
  auto listed = everything(store);
  if (!listed.ok()) return "list: " + std::move(listed).status().text();
  std::vector<CubeId> ids, expected;
  for (const CubeHeader& header : *listed) ids.push_back(header.id);
  for (const auto& [id, cube] : model.cubes) expected.push_back(id);
  if (ids != expected) {
    return "the store has " + std::to_string(ids.size()) + " cubes, not the " +
           std::to_string(expected.size());
  }
  for (const auto& [id, cube] : model.cubes) {
    const std::string wrong = compare(store, id, cube);
    if (!wrong.empty()) return "cube " + id.text() + ": " + wrong;
  }
  auto problems = store.check();
  if (!problems.ok()) return "check: " + std::move(problems).status().text();
  return problems->empty() ? "" : "check: " + problems->front();
}

std::string settle(const CubeStore& store, CubeModel& model, const Plan& plan) {
  const std::string unchanged = difference(store, model);
  if (unchanged.empty()) return "";
  std::vector<CubeId> made;  // a put whose answer never came: its cube is the one nobody knows
  auto listed = everything(store);
  if (!listed.ok()) return "list: " + std::move(listed).status().text();
  for (const CubeHeader& header : *listed) {
    if (!model.cubes.contains(header.id)) made.push_back(header.id);
  }
  const bool adds = plan.kind == Plan::Kind::put || plan.kind == Plan::Kind::ops;
  if (made.size() != (adds ? 1 : 0)) return "neither before nor after: " + unchanged;
  CubeModel changed = after(model, plan, made);
  const std::string wrong = difference(store, changed);
  if (!wrong.empty()) return "neither before (" + unchanged + ") nor after (" + wrong + ")";
  model = std::move(changed);
  return "";
}

}  // namespace varve
