// Random work on a CubeStore, and a plain map that says what must come of it. The property, kill and fault
// tests share it: a Plan is made from the model and a random key alone, so that another process can make the
// same one.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/base/rng.h"
#include "memory/cube/cube_store.h"

namespace varve {

struct CubeModel {
  struct Cube {
    std::string kind;
    std::vector<std::string> versions;
    Life life = Life::active;
    bool superseded = false;  // expired by another cube and by nothing since
    Life before = Life::active;
    double strength = 1;
    std::vector<CubeId> from;
  };
  std::map<CubeId, Cube> cubes;
  std::map<CubeId, std::vector<CubeId>> superseders;  // also erased ones, for ever

  std::vector<CubeId> living(bool revisable = false) const;
  void add(CubeId id, const CubeDraft& draft);
  void advance(CubeId id, Life to);
  void erase(CubeId id);
};

struct Plan {
  enum class Kind { put, ops, revise, advance, erase, restore } kind = Kind::put;
  CubeId target;
  CubeDraft draft;
  Life life = Life::active;
  uint32_t version = 0;  // of restore
  std::vector<MemoryOp> ops;
};

const Principal& script_principal();
Plan make_plan(const CubeModel& model, const RngKey& key);
// The ids that the plan gave out: one of a put, those of its additions of ops.
Result<std::vector<CubeId>> execute(CubeStore& store, const Plan& plan);
CubeModel after(CubeModel model, const Plan& plan, const std::vector<CubeId>& made);

// How the store differs from the model, or empty. Includes check().
std::string difference(const CubeStore& store, const CubeModel& model);
// For a plan whose outcome is unknown: the store must show all of it or nothing. Brings `model` up to date.
std::string settle(const CubeStore& store, CubeModel& model, const Plan& plan);

}  // namespace varve
