// World: an endless sequence of items, each a function of (seed, split, index) alone, so that any of them can
// be made again and a stream can begin anywhere. Training and evaluation share no seed, name, made value or
// question.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "learn/world/kind.h"

namespace varve::world {

// The mixture that the embedded model learns from.
extern const std::string_view kUsualKinds;

class World {
 public:
  // `mixture`: kinds joined by '+', each with its weight in front when that is not 1 and its own options:
  // "4*single+needle:most=8000". Empty: the usual one.
  static Result<World> make(std::string_view mixture, Split split, uint64_t seed);
  Item item(uint64_t index) const;
  Json to_json(const Item& item, uint64_t index) const;  // one line of a feed

 private:
  struct Part {
    double until;  // of [0, 1)
    std::shared_ptr<const Kind> kind;
  };
  World(Split split, uint64_t seed) : split_(split), seed_(seed) {}

  Split split_;
  uint64_t seed_;
  std::vector<Part> parts_;
};

}  // namespace varve::world
