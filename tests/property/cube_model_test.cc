// The store against a map, under random work, reopened at random.
#include <gtest/gtest.h>

#include "tests/property/cube_script.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

TEST(CubeModel, TheStoreDoesWhatAMapDoes) {
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    const TempFolder folder{TempFolder::in_ram()};
    Ledger ledger{256 << 20};
    FixedClock clock;
    CubeModel model;
    std::unique_ptr<CubeStore> store;
    for (uint64_t step = 0; step < 400; ++step) {
      const RngKey key{.seed = seed, .step = step};
      const uint32_t chance = random_bits(key, 1000);
      clock.time += int64_t(chance % 5) - 2;  // stands still and goes back at times
      if (!store || chance % 40 == 0) {
        store.reset();
        auto opened = CubeStore::open(posix_env(), folder / "cubes", ledger, clock);
        ASSERT_TRUE(opened.ok()) << std::move(opened).status().text();
        store = std::move(opened).value();
        ASSERT_EQ(difference(*store, model), "") << "seed " << seed << ", reopened at step " << step;
      }
      const Plan plan = make_plan(model, key);
      auto made = execute(*store, plan);
      ASSERT_TRUE(made.ok()) << std::move(made).status().text() << " at step " << step;
      model = after(std::move(model), plan, *made);
    }
    EXPECT_EQ(difference(*store, model), "") << "seed " << seed;
    EXPECT_GT(model.cubes.size(), 100u);
    EXPECT_GT(model.cubes.size() - model.living().size(), 30u) << "erasing was tried";
  }
}

}  // namespace
}  // namespace varve
