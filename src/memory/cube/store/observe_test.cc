// An observer that kept something may go on from where it was.
#include <gtest/gtest.h>

#include "memory/cube/cube_store.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

const Principal kAlice{"alice"};

struct Told : CubeObserver {
  std::vector<std::string> lines;
  JournalMark mark;
  void changed(const CubeHeader& header, std::string_view payload) override {
    lines.push_back(std::string(to_string(header.life)) + " " + std::string(payload));
  }
  void erased(const CubeHeader&) override { lines.push_back("erased"); }
  void reached(const JournalMark& now) override { mark = now; }
  void account(EraseReceipt& receipt) override { receipt.indexes.push_back("lines kept"); }
};

class Observing : public testing::Test {
 protected:
  void SetUp() override { open(folder_ / "cubes"); }
  void open(const std::string& path) {
    store_.reset();
    auto opened = CubeStore::open(posix_env(), path, ledger_);
    ASSERT_TRUE(opened.ok());
    store_ = std::move(opened).value();
  }
  CubeId put(std::string text) {
    CubeDraft draft;
    draft.header.kind = "note";
    draft.payload = std::move(text);
    return *store_->put(kAlice, std::move(draft));
  }
  TempFolder folder_{TempFolder::in_ram()};
  Ledger ledger_{64 << 20};
  std::unique_ptr<CubeStore> store_;
};

TEST_F(Observing, GoesOnFromAMark) {
  const CubeId one = put("one"), two = put("two");
  put("three");
  Told told;
  ASSERT_TRUE(store_->observe(&told).ok());
  EXPECT_EQ(told.lines.size(), 3u);
  put("four");
  ASSERT_TRUE(store_->observe(nullptr).ok());
  const JournalMark mark = told.mark;
  ASSERT_TRUE(store_->advance(kAlice, one, Life::archived, "").ok());
  ASSERT_TRUE(store_->erase(kAlice, two, "").ok());
  put("five");
  open(folder_ / "cubes");
  Told later;
  ASSERT_TRUE(store_->observe(&later, &mark).ok());
  EXPECT_EQ(later.lines, (std::vector<std::string>{"archived one", "erased", "active five"}));
  const auto receipt = store_->erase(kAlice, one, "");
  ASSERT_TRUE(receipt.ok());
  EXPECT_EQ(receipt->indexes, std::vector<std::string>{"lines kept"});
  ASSERT_TRUE(store_->observe(nullptr).ok());
}

TEST_F(Observing, AMarkOfAnotherStoreIsRefusedAndNothingIsTold) {
  put("one");
  Told told;
  ASSERT_TRUE(store_->observe(&told).ok());
  ASSERT_TRUE(store_->observe(nullptr).ok());
  open(folder_ / "other");
  put("another");
  Told later;
  EXPECT_EQ(store_->observe(&later, &told.mark).code(), Code::not_found);
  put("more");
  EXPECT_TRUE(later.lines.empty());
}

TEST_F(Observing, ShowsPages) {
  std::vector<CubeId> ids;
  for (int i = 0; i < 5; ++i) ids.push_back(put(std::to_string(i)));
  Told told;
  EXPECT_EQ(*store_->show(told, {}, 2), ids[1]);
  EXPECT_EQ(*store_->show(told, ids[1], 2), ids[3]);
  EXPECT_EQ(*store_->show(told, ids[3], 2), ids[4]);
  EXPECT_EQ(*store_->show(told, ids[4], 2), std::nullopt);
  EXPECT_EQ(told.lines.size(), 5u);
}

}  // namespace
}  // namespace varve
