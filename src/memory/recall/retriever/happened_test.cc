#include <gtest/gtest.h>

#include "memory/recall/retriever.h"

namespace varve {
namespace {

TEST(Happened, FindsByTheTimeThatTheQuestionNames) {
  auto made = retrievers().make("happened");
  ASSERT_TRUE(made.ok());
  std::vector<CubeHeader> cubes;
  for (const char* date : {"2023-05-06", "2023-05-20", "2022-05-20"}) {
    CubeHeader header;
    header.id = CubeId::make(1);
    header.space = "s";
    header.event = *parse_time(date);
    ASSERT_TRUE((*made)->add(header, "words that say nothing", {}).ok());
    cubes.push_back(header);
  }
  const std::vector<std::string> spaces{"s"};
  const TimeMs reference = *parse_time("2023-06-14");
  const auto hits = (*made)->search({"what happened last May?", {}, spaces, {}, reference}, 10);
  ASSERT_TRUE(hits.ok());
  ASSERT_EQ(hits->size(), 2u);
  EXPECT_EQ(hits->front().id, cubes[1].id);  // nearer to the middle of the month
  EXPECT_EQ((*made)->search({"in 2022", {}, spaces, {}, reference}, 10)->front().id, cubes[2].id);
  EXPECT_TRUE((*made)->search({"what happened?", {}, spaces, {}, reference}, 10)->empty());
  EXPECT_EQ((*made)->search({"since 2020", {}, spaces, {}, reference}, 2)->size(), 2u);
}

}  // namespace
}  // namespace varve
