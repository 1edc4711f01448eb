// What lists that were made with queries find, where queries lie elsewhere than keys: along few directions
// that are no channel's, while keys are loudest along others.
#include <cmath>
#include <random>

#include "run/kv/select/recall_test.h"

namespace varve {
namespace {

constexpr size_t kDim = 64;
constexpr int32_t kTokens = 4096, kBest = 64, kQueries = 32;
constexpr size_t kLooked = 8, kLoud = 16, kShared = 56;  // axes: [0, 8) watched, [8, 16) not, [56, 64) both

struct World {
  explicit World(uint32_t seed) : random(seed) {
    for (size_t i = 0; i < kDim; ++i) {  // a random rotation (Gram and Schmidt)
      std::vector<float> axis = draw(kDim);
      for (const auto& other : axes) {
        const float part = std::inner_product(axis.begin(), axis.end(), other.begin(), 0.f);
        for (size_t d = 0; d < kDim; ++d) axis[d] -= part * other[d];
      }
      const float size = std::sqrt(std::inner_product(axis.begin(), axis.end(), axis.begin(), 0.f));
      for (float& one : axis) one /= size;
      axes.push_back(std::move(axis));
    }
    const std::vector<float> mean = draw(kDim);
    std::vector<float> state(kDim);
    for (int32_t i = 0; i < kTokens; ++i) {  // keys resemble their neighbours
      const std::vector<float> fresh = draw(kDim);
      std::vector<float> key(kDim);
      for (size_t d = 0; d < kDim; ++d) {
        state[d] = 0.5f * state[d] + 0.866f * fresh[d];
        key[d] = 2 * mean[d] + state[d] * (d < kLoud ? 1 : 2);
      }
      place(key, lane.keys);
    }
    lane.dim = kDim;
    lane.watched = queries(0, 3, kTokens);
  }
  std::vector<float> draw(size_t count) {
    std::normal_distribution<float> normal;
    std::vector<float> values(count);
    for (float& one : values) one = normal(random);
    return values;
  }
  // Loud along 8 axes from `first` on, and all on one side of the shared ones.
  std::vector<float> queries(size_t first, float shared, int32_t count = kQueries) {
    std::vector<float> all;
    for (int32_t i = 0; i < count; ++i) {
      std::vector<float> query = draw(kDim);
      for (size_t d = 0; d < kDim; ++d) {
        query[d] *= d >= first && d < first + kLooked ? 3.f : 0.2f;
        if (d >= kShared) query[d] -= shared;
      }
      place(query, all);
    }
    return all;
  }
  void place(const std::vector<float>& along, std::vector<float>& to) const {
    for (size_t d = 0; d < kDim; ++d) {
      float sum = 0;
      for (size_t axis = 0; axis < kDim; ++axis) sum += along[axis] * axes[axis][d];
      to.push_back(sum);
    }
  }
  std::mt19937 random;
  std::vector<std::vector<float>> axes;
  RecallLane lane;
};

TEST(Ann, FindsTheKeysOfQueriesThatLieElsewhereThanKeys) {
  for (const uint32_t seed : {1u, 2u}) {
    World world(seed);
    RecallLane unwatched = world.lane;
    unwatched.watched.clear();
    const auto of = [&](const char* select, const std::vector<float>& asked) {
      return recall(std::string(select) + ":pages=4", world.lane, asked, kBest);
    };
    const auto like = world.queries(0, 3), partly = world.queries(kLooked, 3),
               unlike = world.queries(kLooked, 0);
    // A page, or a few keys of it, says little: by chance .07 are read.
    ASSERT_NEAR(recall_by_chance(world.lane, 4), 0.068, 0.001);
    for (const char* other : {"centroid", "landmark", "box"}) {
      EXPECT_LT(of(other, like), 0.3) << other;
      EXPECT_LT(of(other, unlike), 0.2) << other;
    }
    EXPECT_GT(of("ann", like), 0.9);
    EXPECT_GT(of("ann", partly), 0.85) << "queries have one mean, and look along other axes";
    EXPECT_GT(of("ann", unlike), 0.35) << "nothing like them was watched";
    EXPECT_GT(recall("ann:pages=4", unwatched, like, kBest), 0.5) << "nothing was watched";
    EXPECT_GT(of("ann", like), recall("ann:pages=4", unwatched, like, kBest) + 0.2);
  }
}

}  // namespace
}  // namespace varve
