#include "memory/recall/entries.h"

#include <gtest/gtest.h>

namespace varve {
namespace {

CubeHeader turn(int number, const std::string& session, const std::string& space = "s") {
  CubeHeader header;
  header.id = CubeId::make(number);
  header.space = space;
  header.session = session;
  header.turn = number;
  header.speaker = "Ann Lee";
  return header;
}

TEST(Entries, WhatWasRemovedIsInNoStatistic) {
  Entries entries;
  const CubeHeader first = turn(1, "a"), second = turn(2, "a");
  entries.add(first, "green apple apple", std::vector<float>{1, 0});
  entries.add(second, "red apple", std::vector<float>{0, 1});
  const Entries::Space* space = entries.space("s");
  ASSERT_NE(space, nullptr);
  const uint32_t apple = space->keys.find(term_key("appl"));
  ASSERT_NE(apple, Entries::kNone);
  EXPECT_EQ(space->cubes_with[apple], 2u);
  EXPECT_EQ(entries[entries.find(first.id)].times(apple), 2u);
  EXPECT_TRUE(space->is_name(term_key("ann")));
  const double before = space->idf(apple);
  entries.remove(first.id);
  EXPECT_EQ(space->cubes_with[apple], 1u);
  EXPECT_EQ(space->keys.find(term_key("green")), Entries::kNone);
  EXPECT_EQ(space->total_length, 2u);
  EXPECT_NE(space->idf(apple), before);
  entries.remove(second.id);
  EXPECT_EQ(entries.space("s"), nullptr);
  EXPECT_EQ(entries.size(), 0u);
}

TEST(Entries, NeighboursAreThoseOfTheSessionAndTheTurn) {
  Entries entries;
  for (int number : {3, 1, 2}) entries.add(turn(number, "a"), "x", {});
  entries.add(turn(2, "a", "other"), "x", {});
  entries.add(turn(4, "b"), "x", {});
  CubeHeader two = turn(2, "a");
  entries.add(two, "x", {});
  const uint32_t slot = entries.find(two.id);
  EXPECT_EQ(entries.beside(slot, INT32_MAX), Entries::kNone);
  EXPECT_EQ(entries[entries.beside(slot, -1)].turn, 1);
  EXPECT_EQ(entries[entries.beside(slot, 1)].turn, 3);
  EXPECT_EQ(entries.beside(slot, 2), Entries::kNone);
}

TEST(Entries, CosineOfShortenedVectorsIsClose) {
  Entries entries;
  const CubeHeader header = turn(1, "a");
  entries.add(header, "x", std::vector<float>{0.6f, -0.8f});
  std::vector<int8_t> room;
  const auto vector = entries.vector(entries.find(header.id), room);
  EXPECT_NEAR(VectorRows::cosine(vector, std::vector<float>{0.6f, -0.8f}), 1, 0.01);
  EXPECT_EQ(VectorRows::cosine(vector, std::vector<float>{1, 0, 0}), 0);
}

}  // namespace
}  // namespace varve
