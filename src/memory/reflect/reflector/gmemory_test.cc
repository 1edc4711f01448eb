#include "memory/reflect/reflector/scripted_test.h"
#include "memory/reflect/shared/playbook.h"

namespace varve {
namespace {

using GMemoryTest = Reflected;

std::string drawn(const char* insights, const char* confirmed, const char* refuted) {
  return std::string(R"({"status": "solved", "insights": [)") + insights + R"(], "confirmed": [)" +
         confirmed + R"(], "refuted": [)" + refuted + "]}";
}

TEST_F(GMemoryTest, QueriesAreLinkedAndInsightsStandOnThem) {
  const auto gmemory = make("gmemory");
  ScriptedWriter writer;
  writer.answers = {drawn(R"("Kettles must be descaled")", "", ""), drawn("", "0", "")};
  const Turn first = say("Why is the kettle slow?", "It needs descaling, kettles do.");
  ASSERT_TRUE(run(*gmemory, first, &writer).ok());
  ASSERT_TRUE(run(*gmemory, say("Why is the kettle loud? Kettles again!", "Descale it."), &writer).ok());
  const auto queries = cubes("gmemory.query");
  ASSERT_EQ(queries.size(), 2u);
  EXPECT_EQ(*store->payload(alice, queries[0].id), "Query: Why is the kettle slow?\nStatus: solved");
  EXPECT_EQ(words("gmemory.insight"), std::vector<std::string>{"Kettles must be descaled"});
  EXPECT_EQ(cubes("gmemory.link").size(), 2u) << "to the query like it, to the insight it confirms";
  const CubeId insight = cubes("gmemory.insight")[0].id;
  EXPECT_EQ(usage_of(*store, alice, insight)->helped, 1);
  ASSERT_TRUE(store->erase(alice, *first.user_cube, "").ok());
  EXPECT_TRUE(cubes("gmemory.insight").empty());
  EXPECT_TRUE(cubes("gmemory.link").empty());
  EXPECT_EQ(cubes("gmemory.query").size(), 1u);
}

TEST_F(GMemoryTest, AnInsightThatIsRefutedIsArchived) {
  const auto gmemory = make("gmemory");
  ScriptedWriter writer;
  writer.answers = {drawn(R"("Kettles whistle")", "", ""), drawn("", "", "0"), drawn("", "", "0"),
                    drawn("", "", "0")};
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(cubes("gmemory.insight").size(), i == 0 ? 0u : 1u);
    ASSERT_TRUE(
        run(*gmemory, say("Do kettles whistle, test " + std::to_string(i) + "?", "No."), &writer).ok());
  }
  EXPECT_TRUE(cubes("gmemory.insight").empty());
  EXPECT_EQ(cubes("gmemory.insight", Life::archived).size(), 1u);
}

}  // namespace
}  // namespace varve
