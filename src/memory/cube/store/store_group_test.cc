// Callers who write at once share transactions, and still each gets his own verdict.
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <set>
#include <thread>

#include "memory/cube/cube_store.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

struct Order : CubeObserver {
  void changed(const CubeHeader& header, std::string_view) override {
    sorted = sorted && last < header.id;
    last = header.id;
    ++seen;
  }
  void erased(const CubeHeader&) override {}
  CubeId last;
  int seen = 0;
  bool sorted = true;
};

TEST(CubeStoreGroups, EachWriterGetsItsOwnVerdictAndOthersDoNotSuffer) {
  constexpr int kWriters = 8, kPuts = 40;
  TempFolder folder{TempFolder::in_ram()};
  Ledger ledger{64 << 20};
  FixedClock clock;
  clock.time = 1'700'000'000'000;
  auto store = CubeStore::open(posix_env(), folder / "cubes", ledger, clock);
  ASSERT_TRUE(store.ok());
  Order order;
  ASSERT_TRUE((*store)->observe(&order).ok());
  std::mutex mutex;
  std::set<CubeId> ids;
  std::atomic<int> wrong{0};
  std::vector<std::thread> writers;
  for (int writer = 0; writer < kWriters; ++writer) {
    writers.emplace_back([&, writer] {
      for (int i = 0; i < kPuts; ++i) {
        CubeDraft draft;
        draft.header.kind = "note";
        draft.payload = std::string(i % 7 == 0 ? 20000 : 20, 'x') + std::to_string(writer * 1000 + i);
        const int fault = i % 5;
        if (fault == 1) draft.header.space = "foreign";
        if (fault == 2) draft.header.from.push_back({CubeId::make(5), 1});  // after its words were written
        const Principal who{fault == 3 ? "No Name!" : "alice"};
        auto id = (*store)->put(who, std::move(draft));
        wrong += id.code() != (fault == 0 || fault == 4 ? Code::ok
                               : fault == 3             ? Code::invalid
                                                        : Code::not_found);
        std::lock_guard lock(mutex);
        if (id.ok()) ids.insert(*id);
      }
    });
  }
  for (std::thread& one : writers) one.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(ids.size(), size_t(kWriters * kPuts * 2 / 5));
  EXPECT_EQ(order.seen, kWriters * kPuts * 2 / 5);
  EXPECT_TRUE(order.sorted);
  for (const CubeId& id : ids) EXPECT_TRUE((*store)->payload({"alice"}, id).ok());
  EXPECT_EQ(*(*store)->check(), std::vector<std::string>{});
  ASSERT_TRUE((*store)->observe(nullptr).ok());
}

}  // namespace
}  // namespace varve
