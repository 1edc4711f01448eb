// Random numbers as a function, not as a state: the same (seed, step, site, index) gives the same bits on
// every machine, thread count and order of calls. There is no global generator anywhere in Varve.
// Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").
#pragma once

#include <array>
#include <cstdint>

namespace varve {

// Which use of randomness this is, so that two uses at one step never share bits. Append only.
enum class Site : uint32_t {
  test = 0,
  sampling = 1,
  init = 2,
  dropout = 3,
  data_order = 4,
  perturbation = 5,
  world_train = 6,
  world_eval = 7,
  selection = 8,
  rounding = 9,
  privacy = 10
};

struct RngKey {
  uint64_t seed = 0;
  uint64_t step = 0;  // token, optimizer step: what advances
  Site site = Site::test;
};

std::array<uint32_t, 4> random_block(const RngKey& key, uint32_t index);
uint32_t random_bits(const RngKey& key, uint64_t index);
double random_unit(const RngKey& key, uint64_t index);    // uniform in [0, 1), 53 bits
double random_normal(const RngKey& key, uint64_t index);  // mean 0, variance 1

}  // namespace varve
