#include "memory/recall/index/vector_rows.h"

#include <gtest/gtest.h>

#include "tests/support/temp_folder.h"

namespace varve {
namespace {

std::vector<int8_t> row_of(uint32_t slot) {
  return {int8_t(slot % 100), int8_t(slot / 100), 1};
}

void expect_rows(const VectorRows& rows, uint32_t count) {
  std::vector<int8_t> room;
  for (uint32_t slot = 0; slot < count; ++slot) {
    const auto row = rows.read(slot, room);
    if (slot % 5 == 0) {
      EXPECT_TRUE(row.empty());
    } else {
      EXPECT_EQ(std::vector(row.begin(), row.end()), row_of(slot));
    }
  }
}

TEST(VectorRows, ManyLieInAFileThatNothingNames) {
  const TempFolder folder{TempFolder::in_ram()};
  VectorRows in_ram, rows(&posix_env(), folder / ".", 300);
  for (VectorRows* one : {&in_ram, &rows}) {
    for (uint32_t slot = 0; slot < 1000; ++slot) one->set(slot, row_of(slot));
    for (uint32_t slot = 0; slot < 1000; slot += 5) one->remove(slot);
    expect_rows(*one, 1000);
  }
  EXPECT_GE(in_ram.bytes(), 3000);
  EXPECT_LT(rows.bytes(), 300);
  EXPECT_TRUE(posix_env().list(folder / ".")->empty());
  for (uint32_t slot = 0; slot < 1000; ++slot) rows.remove(slot);
  EXPECT_EQ(rows.bytes(), 0);
  rows.set(7, std::vector<float>{0.6f, 0.8f});  // of another width, now that none is there
  std::vector<int8_t> room;
  EXPECT_NEAR(VectorRows::cosine(rows.read(7, room), std::vector<float>{0.6f, 0.8f}), 1, 0.01);
}

TEST(VectorRows, AnotherWidthIsNotKeptAndWhereNoFileCanBeTheyStayInRam) {
  VectorRows rows(&posix_env(), "/nowhere", 10);
  for (uint32_t slot = 0; slot < 100; ++slot) rows.set(slot, row_of(slot));
  for (uint32_t slot = 0; slot < 100; slot += 5) rows.set(slot, std::vector<int8_t>{1, 2});
  expect_rows(rows, 100);
}

}  // namespace
}  // namespace varve
