// Every write point of a backup, of its restoring, of upkeep and of settling fails once, in every way: what
// was there stays, a backup is whole or refused, and nothing is half done.
#include <gtest/gtest.h>

#include "core/io/fault_env.h"
#include "memory/cube/governance.h"
#include "tests/support/fault_vfs.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

const Principal kAlice{"alice"};
constexpr Fault kFaults[] = {Fault::no_space, Fault::io_error, Fault::short_write, Fault::after};

CubeDraft words(std::string text, TimeMs event) {
  CubeDraft draft;
  draft.header.kind = "fact";
  draft.header.event = event;
  draft.payload = std::move(text);
  return draft;
}

struct Home {
  Home(FaultPlan& faults) : env(posix_env(), faults) {
    open();
    EXPECT_TRUE(store->governance().set_rules(kAlice, "alice", {.cap_bytes = 40000}).ok());
    small = *store->put(kAlice, words("small", 1));
    large = *store->put(kAlice, words(std::string(20000, 'l'), 2));
    CubeDraft other = words("other", 3);
    other.header.contradicts = {small};
    newer = *store->put(kAlice, std::move(other));
  }
  void open() {
    store.reset();
    auto opened = CubeStore::open(env, folder / "cubes", ledger, clock);
    ASSERT_TRUE(opened.ok()) << std::move(opened).status().text();
    store = std::move(opened).value();
  }
  // What must be so whatever happened; opens the store anew.
  void expect_whole() {
    open();
    EXPECT_EQ(*store->check(), std::vector<std::string>{});
    EXPECT_EQ(*store->payload(kAlice, small), "small");
    EXPECT_EQ(store->payload(kAlice, large)->size(), 20000u);
  }
  TempFolder folder{TempFolder::in_ram()};
  FixedClock clock;
  Ledger ledger{256 << 20};
  FaultEnv env;
  std::unique_ptr<CubeStore> store;
  CubeId small, large, newer;
};

// Runs `work` with each of its calls failing in each way, then `after`, with a sound disk again.
template <class Work, class After>
void fail_everywhere(Work work, After after) {
  int64_t calls = 1, runs = 0;
  for (const Fault fault : kFaults) {
    for (int64_t at = 0; at < calls; ++at, ++runs) {
      FaultPlan faults;
      const FaultVfs vfs(faults);
      Home home(faults);
      faults.fail_at(at, fault, false);
      const bool ok = work(home);
      calls = std::max(calls, faults.calls());
      faults.heal();
      after(home, ok);
      if (testing::Test::HasFailure()) FAIL() << "fault " << int(fault) << " at call " << at;
    }
  }
  EXPECT_GT(runs, 40);
}

TEST(GovernFaults, ABackupIsWholeOrRefused) {
  fail_everywhere([](Home& home) { return home.store->governance().backup(kAlice, home.folder / "b").ok(); },
                  [](Home& home, bool ok) {
                    auto restored =
                        restore_backup(posix_env(), home.folder / "b", home.folder / "again", home.ledger);
                    EXPECT_TRUE(!ok || restored.ok()) << std::move(restored).status().text();
                    home.expect_whole();
                  });
}

TEST(GovernFaults, ARestoredStoreIsWholeOrNotThere) {
  fail_everywhere(
      [](Home& home) {
        const bool made = home.store->governance().backup(kAlice, home.folder / "b").ok();
        return made && restore_backup(home.env, home.folder / "b", home.folder / "again", home.ledger).ok();
      },
      [](Home& home, bool) {
        if (*posix_env().exists(home.folder / "again")) {
          auto store = CubeStore::open(posix_env(), home.folder / "again", home.ledger);
          ASSERT_TRUE(store.ok());
          EXPECT_EQ(*(*store)->check(), std::vector<std::string>{});
          EXPECT_EQ((*store)->payload(kAlice, home.large)->size(), 20000u);
        }
        home.expect_whole();
      });
}

TEST(GovernFaults, UpkeepAndSettlingHappenWhollyOrNotAtAll) {
  fail_everywhere(
      [](Home& home) {
        Governance& govern = home.store->governance();
        bool ok = govern.set_rules(kAlice, "alice", {.cap_bytes = 10000}).ok();
        ok = govern.tend(kAlice, "alice").ok() && ok;
        return govern.settle(kAlice, home.newer, home.small, Verdict::older, "").ok() && ok;
      },
      [](Home& home, bool ok) {
        home.expect_whole();
        const Life newer = home.store->head(kAlice, home.newer)->life;
        const Life small = home.store->head(kAlice, home.small)->life;
        const bool settled = newer == Life::expired && small == Life::active;
        EXPECT_TRUE(settled || (newer == Life::active && small == Life::expired));
        EXPECT_EQ(home.store->governance().conflicts(kAlice, "")->empty(), settled);
        EXPECT_TRUE(!ok || (settled && home.store->head(kAlice, home.large)->life == Life::archived));
      });
}

}  // namespace
}  // namespace varve
