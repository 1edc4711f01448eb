// What every vector index owes its callers. A new one is in this test the moment it is in all.def.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>

#include "core/base/rng.h"
#include "memory/recall/index/vector_index.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

constexpr size_t kWidth = 24;
using Vectors = std::map<uint32_t, std::vector<float>>;

// Around forty centres, as embeddings of real text lie: not evenly.
std::vector<float> vector_of(uint32_t number) {
  const RngKey centre{.seed = 5, .step = number % 40}, own{.seed = 6, .step = number};
  std::vector<float> values;
  double square = 0;
  for (uint64_t i = 0; i < kWidth; ++i) {
    values.push_back(float(random_normal(centre, i) + 0.5 * random_normal(own, i)));
    square += double(values.back()) * values.back();
  }
  for (float& value : values) value /= float(std::sqrt(square));
  return values;
}

class EveryVectorIndex : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { index_ = fresh(ledger_); }
  std::unique_ptr<VectorIndex> fresh(Ledger& ledger) {
    auto made = vector_indexes().make(GetParam());
    EXPECT_TRUE(made.ok());
    EXPECT_TRUE((*made)->settle({&ledger, &posix_env(), folder_ / ".", "space", kWidth}).ok());
    return std::move(made).value();
  }
  void add(uint32_t slot, uint32_t number) {
    ASSERT_TRUE(index_->add(slot, vector_of(number)).ok());
    model_[slot] = vector_of(number);
  }
  void remove(uint32_t slot) {
    index_->remove(slot);
    model_.erase(slot);
  }
  std::vector<VectorIndex::Near> exact(std::span<const float> query, int32_t k) const {
    std::vector<VectorIndex::Near> all;
    for (const auto& [slot, vector] : model_) {
      float sum = 0;
      for (size_t i = 0; i < kWidth; ++i) sum += vector[i] * query[i];
      all.push_back({slot, sum});
    }
    keep_best(all, k);
    return all;
  }
  // The share of the exact ten best that is found, over queries near what is stored; nothing foreign.
  double recall(const VectorIndex& index) const {
    double found = 0, wanted = 0;
    for (uint32_t query = 0; query < 50; ++query) {
      const auto near = index.search(vector_of(100000 + query), 10);
      EXPECT_TRUE(near.ok());
      if (!near.ok()) return 0;
      for (size_t i = 1; i < near->size(); ++i) EXPECT_GE((*near)[i - 1].score, (*near)[i].score);
      for (const auto& one : *near) EXPECT_TRUE(model_.contains(one.slot));
      for (const auto& one : exact(vector_of(100000 + query), 10)) {
        wanted += 1;
        found += std::any_of(near->begin(), near->end(), [&](const auto& it) { return it.slot == one.slot; });
      }
    }
    return wanted == 0 ? 1 : found / wanted;
  }
  Status save(const std::string& path) {
    auto out = TRY(SnapshotWriter::begin(posix_env(), path));
    TRY(index_->save(out));
    return out.commit();
  }
  Status load(VectorIndex& index, const std::string& path) {
    auto in = TRY(SnapshotReader::open(posix_env(), path));
    return index.load(in);
  }

  TempFolder folder_{TempFolder::in_ram()};
  Ledger ledger_{256 << 20};
  std::unique_ptr<VectorIndex> index_;
  Vectors model_;
};

TEST_P(EveryVectorIndex, FindsWhatWasAddedWithItsScore) {
  EXPECT_TRUE(index_->search(vector_of(0), 5)->empty());
  for (uint32_t slot = 0; slot < 600; ++slot) add(slot, slot);
  for (uint32_t slot = 0; slot < 600; slot += 7) {
    const auto near = index_->search(vector_of(slot), 1);
    ASSERT_EQ(near->size(), 1u);
    EXPECT_EQ(near->front().slot, slot);
    EXPECT_NEAR(near->front().score, 1, 2e-3);
  }
  EXPECT_TRUE(index_->search(vector_of(0), 0)->empty());
  EXPECT_EQ(index_->size(), 600u);
}

TEST_P(EveryVectorIndex, FindsNearlyAllThatComparingEverythingFindsWhileVectorsComeAndGo) {
  uint32_t number = 0;
  for (int round = 0; round < 4; ++round) {
    for (uint32_t i = 0; i < 700; ++i) {
      const uint32_t slot = uint32_t(round) * 500 + i;
      if (!model_.contains(slot)) add(slot, number++);
    }
    for (uint32_t slot = uint32_t(round); slot < 2600; slot += 3) remove(slot);
    EXPECT_EQ(index_->size(), model_.size());
    EXPECT_GE(recall(*index_), 0.95);
  }
}

TEST_P(EveryVectorIndex, GivesEachOfItsVectorsOnce) {
  for (uint32_t slot = 0; slot < 500; ++slot) add(slot, slot);
  for (uint32_t slot = 0; slot < 500; slot += 4) remove(slot);
  Vectors seen;
  ASSERT_TRUE(index_
                  ->each([&](uint32_t slot, std::span<const float> vector) -> Status {
                    EXPECT_TRUE(seen.emplace(slot, std::vector(vector.begin(), vector.end())).second);
                    return {};
                  })
                  .ok());
  ASSERT_EQ(seen.size(), model_.size());
  for (const auto& [slot, vector] : model_) {
    for (size_t i = 0; i < kWidth; ++i) EXPECT_NEAR(seen.at(slot)[i], vector[i], 1e-3);
  }
}

TEST_P(EveryVectorIndex, HoldsNothingWhenAllIsRemoved) {
  for (uint32_t slot = 0; slot < 500; ++slot) add(slot, slot);
  const int64_t full = index_->bytes();
  EXPECT_GT(full, 0);
  EXPECT_EQ(ledger_.used(Tag::index) >= full, true);
  for (uint32_t slot = 0; slot < 500; ++slot) remove(slot);
  remove(77);  // and what is not there
  EXPECT_TRUE(index_->search(vector_of(3), 10)->empty());
  EXPECT_LT(index_->bytes(), full / 10 + 1);
  add(3, 3);
  EXPECT_EQ(index_->search(vector_of(3), 10)->size(), 1u);
}

TEST_P(EveryVectorIndex, IsTheSameAfterSavingAndLoading) {
  for (uint32_t slot = 0; slot < 900; ++slot) add(slot, slot);
  for (uint32_t slot = 0; slot < 900; slot += 9) remove(slot);
  ASSERT_TRUE(save(folder_ / "snapshot").ok());
  std::vector<std::vector<VectorIndex::Near>> before;
  for (uint32_t query = 0; query < 20; ++query)
    before.push_back(*index_->search(vector_of(5000 + query), 10));
  index_.reset();
  index_ = fresh(ledger_);
  const Status loaded = load(*index_, folder_ / "snapshot");
  ASSERT_TRUE(loaded.ok()) << loaded.text();
  for (uint32_t query = 0; query < 20; ++query) {
    const auto after = *index_->search(vector_of(5000 + query), 10);
    ASSERT_EQ(after.size(), before[query].size());
    for (size_t i = 0; i < after.size(); ++i) EXPECT_EQ(after[i].slot, before[query][i].slot);
  }
  for (uint32_t slot = 2000; slot < 2100; ++slot) add(slot, slot);  // and goes on
  for (uint32_t slot = 1; slot < 900; slot += 9) remove(slot);
  EXPECT_GE(recall(*index_), 0.95);
}

TEST_P(EveryVectorIndex, ADamagedFileIsToldFromAWholeOneAndNeverTrusted) {
  for (uint32_t slot = 0; slot < 300; ++slot) add(slot, slot);
  ASSERT_TRUE(save(folder_ / "snapshot").ok());
  index_.reset();
  std::vector<std::string> files;
  const auto names = posix_env().list(folder_ / ".");
  for (const std::string& name : *names) files.push_back(folder_ / name);
  for (const std::string& path : files) {
    const auto whole = *read_file(posix_env(), path, 64 << 20);
    for (uint32_t trial = 0; trial < 24; ++trial) {
      auto bytes = whole;
      const size_t at = random_bits({.seed = 9}, trial) % bytes.size();
      if (trial % 3 == 0) {
        bytes.resize(at);
      } else {
        bytes[at] ^= std::byte(1 + random_bits({.seed = 10}, trial) % 255);
      }
      ASSERT_TRUE(write_file(posix_env(), path, bytes).ok());
      auto index = fresh(ledger_);
      bool noticed = !load(*index, folder_ / "snapshot").ok();
      // An index may look at a piece of its file only when a search needs it.
      for (uint32_t query = 0; !noticed && query < 300; ++query) {
        noticed = !index->search(vector_of(query), 10).ok();
      }
      EXPECT_TRUE(noticed) << path << " trial " << trial;
    }
    ASSERT_TRUE(write_file(posix_env(), path, whole).ok());
  }
}

TEST_P(EveryVectorIndex, OverTheBudgetIsRefusedAndChangesNothing) {
  index_.reset();
  // Of vectors on disk, places and what waits are in RAM.
  Ledger small{GetParam().starts_with("spann") ? 400 << 10 : 6 << 20};
  auto index = fresh(small);
  uint32_t slot = 0;
  Status last;
  for (; slot < 400000 && last.ok(); ++slot) last = index->add(slot, vector_of(slot % 64));
  EXPECT_EQ(last.code(), Code::over_budget);
  EXPECT_EQ(index->size(), slot - 1);
  EXPECT_LE(small.peak(), small.limit());
  EXPECT_TRUE(index->search(vector_of(1), 3).ok());
}

TEST_P(EveryVectorIndex, IsTheSameForTheSameHistory) {
  auto other = fresh(ledger_);
  for (uint32_t slot = 0; slot < 500; ++slot) {
    add(slot, slot);
    ASSERT_TRUE(other->add(slot, vector_of(slot)).ok());
  }
  for (uint32_t query = 0; query < 20; ++query) {
    const auto a = *index_->search(vector_of(9000 + query), 10),
               b = *other->search(vector_of(9000 + query), 10);
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) EXPECT_EQ(a[i].slot, b[i].slot);
  }
}

INSTANTIATE_TEST_SUITE_P(All, EveryVectorIndex, testing::ValuesIn([] {
                           auto all = vector_indexes().names();
                           all.push_back("spann:wait=64");  // merged often
                           return all;
                         }()),
                         [](const auto& one) {
                           return one.param.substr(0, one.param.find(':')) + std::to_string(one.index);
                         });

}  // namespace
}  // namespace varve
