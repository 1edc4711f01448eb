#include <gtest/gtest.h>

#include <cmath>

#include "memory/recall/retriever.h"

namespace varve {
namespace {

CubeHeader cube(int number) {
  CubeHeader header;
  header.id = CubeId::make(number);
  header.space = "s";
  return header;
}

// The formula by hand: three documents of lengths 2, 2 and 4, one of them with the query's word twice.
TEST(Bm25, ScoresAreTheFormulas) {
  auto made = retrievers().make("bm25:k1=1.2,b=0.75");
  ASSERT_TRUE(made.ok());
  auto& index = **made;
  ASSERT_TRUE(index.add(cube(1), "cherry apple", {}).ok());
  ASSERT_TRUE(index.add(cube(2), "cherry plum", {}).ok());
  ASSERT_TRUE(index.add(cube(3), "apple apple tree garden", {}).ok());
  const std::vector<std::string> spaces{"s"};
  auto hits = index.search({"apples", {}, spaces, {}}, 10);
  ASSERT_TRUE(hits.ok());
  ASSERT_EQ(hits->size(), 2u);
  const double idf = std::log(1 + (3 - 2 + 0.5) / (2 + 0.5)), average = 8.0 / 3;
  const auto score = [&](double count, double length) {
    return idf * count * 2.2 / (count + 1.2 * (0.25 + 0.75 * length / average));
  };
  EXPECT_NEAR((*hits)[0].score, score(2, 4), 1e-5);
  EXPECT_NEAR((*hits)[1].score, score(1, 2), 1e-5);
}

TEST(Bm25, TheEventsDateAndSpeakerAreWordsToo) {
  auto made = retrievers().make("bm25");
  ASSERT_TRUE(made.ok());
  CubeHeader header = cube(1);
  header.event = *parse_time("2023-05-08");
  header.speaker = "Caroline";
  ASSERT_TRUE((*made)->add(header, "went hiking", {}).ok());
  const std::vector<std::string> spaces{"s"};
  EXPECT_EQ((*made)->search({"what happened in May 2023", {}, spaces, {}}, 3)->size(), 1u);
  EXPECT_EQ((*made)->search({"what did Caroline do", {}, spaces, {}}, 3)->size(), 1u);
}

TEST(Bm25, RefusesUnknownOptions) {
  EXPECT_EQ(retrievers().make("bm25:k3=1").code(), Code::invalid);
}

}  // namespace
}  // namespace varve
