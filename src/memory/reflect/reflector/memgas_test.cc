#include "memory/reflect/reflector/scripted_test.h"

namespace varve {
namespace {

using MemGasTest = Reflected;

TEST_F(MemGasTest, ASegmentIsAssociatedWithItsLikeAndNotWithTheRest) {
  const auto memgas = make("memgas:segment=1");
  const char* topics[] = {"The telescope shows Saturn, Jupiter and their moons.",
                          "Bread needs flour, water, salt and a telescope of patience.",
                          "Chess openings such as the telescope gambit bore me.",
                          "Gardens want rain, a telescope of compost and worms.",
                          "The telescope shows Saturn, Jupiter and the rings."};
  for (const char* topic : topics) ASSERT_TRUE(run(*memgas, say(topic)).ok());
  const auto units = cubes("memgas.keywords");
  ASSERT_EQ(units.size(), 5u);
  const auto links = cubes("memgas.link");
  ASSERT_EQ(links.size(), 1u);
  std::set<CubeId> ends;
  for (const Source& source : links[0].from) ends.insert(source.cube);
  EXPECT_EQ(ends, (std::set<CubeId>{units[0].id, units[4].id}));
}

TEST_F(MemGasTest, TheWriterAddsASummaryOfAllTurnsOfTheSegment) {
  const auto memgas = make("memgas:segment=2");
  ScriptedWriter writer;
  writer.answers = {R"({"summary": "Ann's cat Tom is ill.", "keywords": ["cat", "Tom", "vet"]})"};
  ASSERT_TRUE(run(*memgas, say("Tom is ill."), &writer).ok());
  ASSERT_TRUE(run(*memgas, say("The cat must see a vet."), &writer).ok());
  EXPECT_EQ(words("memgas.summary"), std::vector<std::string>{"Ann's cat Tom is ill."});
  EXPECT_EQ(words("memgas.keywords"), std::vector<std::string>{"cat, Tom, vet"});
  EXPECT_EQ(cubes("memgas.summary")[0].from.size(), 2u);
  EXPECT_NE(writer.prompts[0].find("Tom is ill."), std::string::npos);
}

}  // namespace
}  // namespace varve
