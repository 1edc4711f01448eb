#include <gtest/gtest.h>

#include "memory/cube/governance.h"
#include "serve/home/show.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

TEST(Receipt, HoldsWhileNothingThatItListsIsThere) {
  const Principal who{"alice"};
  const TempFolder folder{TempFolder::in_ram()};
  Ledger ledger{64 << 20};
  auto store = std::move(CubeStore::open(posix_env(), folder / "cubes", ledger)).value();
  CubeDraft said, learnt;
  said.header.kind = "turn";
  said.payload = "words";
  const CubeId id = *store->put(who, said);
  learnt.header.kind = "adapter";
  learnt.header.form = Form::parametric;
  learnt.header.model = Hash256{};
  learnt.header.from = {{id, 1}};
  learnt.payload = "weights";
  const CubeId weights = *store->put(who, learnt);
  ASSERT_TRUE(store->governance().backup(who, folder / "before").ok());
  const Json receipt = to_json(*store->erase(who, id, ""));
  EXPECT_EQ(receipt["erased"].size(), 2u);
  EXPECT_EQ(receipt["erased"].as_array()[0]["method"], Json("deleted"));
  EXPECT_TRUE(receipt["erased"].as_array()[0]["sha256_after"].is_null());
  EXPECT_EQ(receipt["erased"].as_array()[1]["sha256_after"], Json(sha256("weights").hex()));
  EXPECT_NE(receipt["not_reached"].dump().find("backup"), std::string::npos);
  const Json all = Json::array().push(*parse_json(receipt.dump()));
  EXPECT_EQ(*verify_receipts(*store, who, all), std::vector<std::string>{});

  EXPECT_EQ(store->advance(who, weights, Life::active, "").code(), Code::denied);
  learnt.header.from.clear();
  learnt.header.kind.clear();
  ASSERT_TRUE(store->revise(who, weights, 0, learnt, "learnt again").ok());
  ASSERT_TRUE(store->advance(who, weights, Life::active, "").ok());
  EXPECT_EQ(*verify_receipts(*store, who, all), std::vector<std::string>{});

  ASSERT_TRUE(restore_backup(posix_env(), folder / "before", folder / "old", ledger).ok());
  auto old = std::move(CubeStore::open(posix_env(), folder / "old", ledger)).value();
  EXPECT_EQ(verify_receipts(*old, who, all)->size(), 3u) << "words, weights and the journal";
  EXPECT_EQ(verify_receipts(*store, who, *parse_json("{}")).code(), Code::invalid);
  EXPECT_EQ(verify_receipts(*store, who, *parse_json(R"([{"erased":[{}]}])")).code(), Code::invalid);
}

}  // namespace
}  // namespace varve
