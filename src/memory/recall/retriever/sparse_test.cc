#include <gtest/gtest.h>

#include "memory/recall/retriever.h"

namespace varve {
namespace {

CubeHeader cube(int number) {
  CubeHeader header;
  header.id = CubeId::make(number);
  header.space = "s";
  return header;
}

struct Words : Embedder {  // "car" and "auto" are near, "tree" is not
  std::string_view name() const override { return "words"; }
  int width() const override { return 2; }
  Result<std::vector<float>> embed(std::string_view text) const override {
    if (text == "car") return std::vector<float>{1, 0};
    if (text == "auto") return std::vector<float>{0.8f, 0.6f};
    return std::vector<float>{0, 1};
  }
};

TEST(Sparse, AWordFindsItsKinWhicheverCameFirst) {
  const Words words;
  auto made = retrievers().make("sparse:near=0.7,share=0.5");
  ASSERT_TRUE(made.ok());
  auto& index = **made;
  ASSERT_TRUE(index.settle({.embedder = &words}).ok());
  const CubeHeader car = cube(1), tree = cube(2), automobile = cube(3), later = cube(4);
  ASSERT_TRUE(index.add(car, "car", {}).ok());
  ASSERT_TRUE(index.add(tree, "tree", {}).ok());
  ASSERT_TRUE(index.add(automobile, "auto", {}).ok());
  ASSERT_TRUE(index.add(later, "car", {}).ok());
  const std::vector<std::string> spaces{"s"};
  for (const char* text : {"auto", "car"}) {
    const auto hits = index.search({text, {}, spaces, {}}, 10);
    ASSERT_TRUE(hits.ok());
    ASSERT_EQ(hits->size(), 3u) << text;
    EXPECT_GT(hits->front().score, hits->back().score);  // the word itself counts more
  }
  EXPECT_EQ(index.search({"auto", {}, spaces, {}}, 10)->front().id, automobile.id);
  index.remove(automobile.id);
  EXPECT_TRUE(index.search({"auto", {}, spaces, {}}, 10)->empty());  // nobody uses the word
  EXPECT_EQ(index.search({"car", {}, spaces, {}}, 10)->size(), 2u);
}

}  // namespace
}  // namespace varve
