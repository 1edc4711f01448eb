// What the contract of all indexes does not say: a merge is done in slices, and what goes meanwhile goes.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <set>

#include "core/base/rng.h"
#include "math/kernel/kernel.h"
#include "memory/recall/index/vector_index.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

constexpr size_t kWidth = 16;

std::vector<float> vector_of(uint32_t number) {
  std::vector<float> values;
  double square = 0;
  for (uint64_t i = 0; i < kWidth; ++i) {
    values.push_back(float(random_normal({.seed = 3, .step = number}, i)));
    square += double(values.back()) * values.back();
  }
  for (float& value : values) value /= float(std::sqrt(square));
  return values;
}

bool in_a_file(const TempFolder& folder, uint32_t number) {
  const auto vector = vector_of(number);
  std::string bytes(2 * kWidth, 0);
  kernels().encode_f16(vector.data(), kWidth, reinterpret_cast<uint16_t*>(bytes.data()));
  const auto names = posix_env().list(folder / ".");
  return std::any_of(names->begin(), names->end(), [&](const std::string& name) {
    std::ifstream in(folder / name, std::ios::binary);
    const std::string all{std::istreambuf_iterator<char>(in), {}};
    return all.find(bytes) != std::string::npos;
  });
}

TEST(Spann, WhatGoesAtAnyMomentOfAMergeIsInNoFileAndNothingElseIsLost) {
  const TempFolder folder{TempFolder::in_ram()};
  auto index = std::move(vector_indexes().make("spann:wait=100,probe=1000,reach=10")).value();
  ASSERT_TRUE(index->settle({nullptr, &posix_env(), folder / ".", "s", kWidth}).ok());
  std::set<uint32_t> there;
  size_t most_files = 0;
  for (uint32_t number = 0; number < 6000; ++number) {
    ASSERT_TRUE(index->add(number, vector_of(number)).ok());
    there.insert(number);
    if (number % 3 != 0) continue;
    // An old one, or one of those that wait.
    const uint32_t back = random_bits({.seed = 4}, number) % (number % 2 == 0 ? number + 1 : 300);
    const auto gone = there.lower_bound(number - std::min(number, back));
    index->remove(*gone);
    const size_t files = posix_env().list(folder / ".")->size();
    EXPECT_FALSE((files > 1 || number % 30 == 0) && in_a_file(folder, *gone)) << number;
    there.erase(gone);
    ASSERT_EQ(index->size(), there.size());
    most_files = std::max(most_files, files);
  }
  EXPECT_EQ(most_files, 2u);  // the lists, and those in the making
  std::set<uint32_t> seen;
  ASSERT_TRUE(index
                  ->each([&](uint32_t slot, std::span<const float>) {
                    EXPECT_TRUE(seen.insert(slot).second);
                    return Status();
                  })
                  .ok());
  EXPECT_EQ(seen, there);
  for (uint32_t number = 0; number < 6000; number += 7) {
    const auto near = index->search(vector_of(number), 1);
    ASSERT_EQ(near->size(), 1u);
    EXPECT_EQ(near->front().slot == number, there.contains(number));
  }
}

TEST(Spann, ASlotGivenAgainWhileListsAreMadeHasItsNewVector) {
  const TempFolder folder{TempFolder::in_ram()};
  auto index = std::move(vector_indexes().make("spann:wait=100,probe=1000,reach=10")).value();
  ASSERT_TRUE(index->settle({nullptr, &posix_env(), folder / ".", "s", kWidth}).ok());
  for (uint32_t slot = 0; slot < 600; ++slot) {
    ASSERT_TRUE(index->add(slot, vector_of(slot)).ok());
    const uint32_t again = slot / 2;
    index->remove(again);
    ASSERT_TRUE(index->add(again, vector_of(10000 + again)).ok());
    index->remove(slot);
    ASSERT_TRUE(index->add(slot, vector_of(slot)).ok());
  }
  for (uint32_t slot = 0; slot < 300; ++slot)
    EXPECT_EQ(index->search(vector_of(10000 + slot), 1)->front().slot, slot);
}

}  // namespace
}  // namespace varve
