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

float score_of(const std::vector<Hit>& hits, CubeId id) {
  for (const Hit& hit : hits) {
    if (hit.id == id) return hit.score;
  }
  return 0;
}

// "Where does the owner of Rex live?" needs two memories, of which the second shares no word with the
// question.
TEST(Graph, AMemoryIsReachedThroughAnother) {
  auto made = retrievers().make("graph");
  ASSERT_TRUE(made.ok());
  auto& graph = **made;
  const CubeHeader owner = cube(1), home = cube(2), other = cube(3);
  ASSERT_TRUE(graph.add(owner, "Rex belongs to Marianne", {}).ok());
  ASSERT_TRUE(graph.add(home, "Marianne moved to Bergen", {}).ok());
  ASSERT_TRUE(graph.add(other, "Peter bakes bread", {}).ok());
  const std::vector<std::string> spaces{"s"};
  const auto hits = graph.search({"the owner of Rex", {}, spaces, {}}, 10);
  ASSERT_TRUE(hits.ok());
  EXPECT_EQ(hits->front().id, owner.id);
  EXPECT_GT(score_of(*hits, home.id), 0);
  EXPECT_EQ(score_of(*hits, other.id), 0);
  graph.remove(owner.id);
  EXPECT_TRUE(graph.search({"the owner of Rex", {}, spaces, {}}, 10)->empty());
}

TEST(Graph, ProvenanceLinksBothWaysInsideASpace) {
  auto made = retrievers().make("graph");
  ASSERT_TRUE(made.ok());
  auto& graph = **made;
  const CubeHeader evidence = cube(1);
  CubeHeader fact = cube(2), foreign = cube(3);
  fact.from = foreign.from = {{evidence.id, 1}};
  foreign.space = "t";
  ASSERT_TRUE(graph.add(evidence, "we sailed", {}).ok());
  ASSERT_TRUE(graph.add(fact, "a holiday at sea", {}).ok());
  ASSERT_TRUE(graph.add(foreign, "a secret", {}).ok());
  const std::vector<std::string> spaces{"s"};
  EXPECT_GT(score_of(*graph.search({"sailed", {}, spaces, {}}, 10), fact.id), 0);
  EXPECT_GT(score_of(*graph.search({"holiday", {}, spaces, {}}, 10), evidence.id), 0);
  EXPECT_EQ(score_of(*graph.search({"sailed", {}, spaces, {}}, 10), foreign.id), 0);
}

}  // namespace
}  // namespace varve
