#include "serve/home/control.h"

#include <gtest/gtest.h>

#include "tests/support/temp_folder.h"

namespace varve {
namespace {

TEST(Control, ABackupIsMadeByTheProcessThatHasTheHome) {
  const Principal who{"alice"};
  const TempFolder folder{TempFolder::in_ram()};
  Ledger ledger{64 << 20};
  auto store = std::move(CubeStore::open(posix_env(), folder / "cubes", ledger)).value();
  CubeDraft draft;
  draft.header.kind = "note";
  draft.payload = "words";
  const CubeId id = *store->put(who, draft);
  EXPECT_EQ(ask_for_backup(folder.path(), who, folder / "b").code(), Code::not_found);
  for (int again = 0; again < 2; ++again) {  // the place is free again afterwards
    auto control = Control::open(folder.path(), store->governance());
    ASSERT_TRUE(control.ok()) << std::move(control).status().text();
    const std::string to = folder / ("b" + std::to_string(again));
    EXPECT_EQ(ask_for_backup(folder.path(), who, to)->files, 1);
    EXPECT_EQ(ask_for_backup(folder.path(), who, to).code(), Code::exists);
    EXPECT_EQ(ask_for_backup(folder.path(), {"No Name!"}, folder / "c").code(), Code::invalid);
  }
  EXPECT_FALSE(*posix_env().exists(folder / "control"));
  ASSERT_TRUE(restore_backup(posix_env(), folder / "b1", folder / "again", ledger).ok());
  auto copy = CubeStore::open(posix_env(), folder / "again", ledger);
  EXPECT_EQ(*(*copy)->payload(who, id), "words");
}

}  // namespace
}  // namespace varve
