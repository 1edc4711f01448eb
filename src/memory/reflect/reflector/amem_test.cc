#include "memory/reflect/reflector/scripted_test.h"

namespace varve {
namespace {

using AMemTest = Reflected;

TEST_F(AMemTest, ANoteLinksToItsLikeAndTheOlderOneEvolvesAsAVersion) {
  const auto amem = make("amem");
  ScriptedWriter writer;
  writer.answers = {R"({"context": "Alice adopts a dog", "keywords": ["dog", "Rex"], "tags": ["pets"]})",
                    R"({"context": "Rex the dog is ill", "keywords": ["dog", "vet"], "tags": ["health"]})",
                    R"({"links": [0], "tags": ["pets", "health"],
                        "changes": [{"note": 0, "context": "Alice's dog Rex, later ill", "tags": ["pets"]}]})"};
  ASSERT_TRUE(run(*amem, say("I adopted a dog called Rex."), &writer).ok());
  ASSERT_TRUE(run(*amem, say("The dog is at the vet."), &writer).ok());

  const auto notes = cubes("amem.note");
  ASSERT_EQ(notes.size(), 2u);
  EXPECT_EQ(*store->payload(alice, notes[0].id),
            "Context: Alice's dog Rex, later ill\nKeywords: dog, Rex\nTags: pets");
  EXPECT_EQ(*store->payload(alice, notes[0].id, 1),
            "Context: Alice adopts a dog\nKeywords: dog, Rex\nTags: pets");
  EXPECT_EQ(*store->payload(alice, notes[1].id),
            "Context: Rex the dog is ill\nKeywords: dog, vet\nTags: pets, health");
  const auto links = cubes("amem.link");
  ASSERT_EQ(links.size(), 1u);
  EXPECT_EQ(links[0].from.size(), 2u);
  EXPECT_EQ(links[0].payload_bytes, 0);
}

TEST_F(AMemTest, ErasingOneEndErasesTheLinkAndNotTheOtherEnd) {
  const auto amem = make("amem:alike=0.1");
  const Turn first = say("The telescope shows Saturn and Jupiter.");
  const Turn second = say("Saturn through the telescope again.");
  ASSERT_TRUE(run(*amem, first).ok());
  ASSERT_TRUE(run(*amem, second).ok());
  ASSERT_EQ(cubes("amem.link").size(), 1u);
  const auto note = cubes("amem.note")[1];
  ASSERT_TRUE(store->erase(alice, note.id, "").ok());
  EXPECT_EQ(cubes("amem.note").size(), 1u);
  EXPECT_TRUE(cubes("amem.link").empty());
}

TEST_F(AMemTest, WithoutAWriterLinkedNotesShareTheirWordsAsTags) {
  const auto amem = make("amem:alike=0.1");
  ASSERT_TRUE(run(*amem, say("The telescope shows Saturn.")).ok());
  ASSERT_TRUE(run(*amem, say("Saturn through the telescope again.")).ok());
  const auto texts = words("amem.note");
  ASSERT_EQ(texts.size(), 2u);
  EXPECT_NE(texts[0].find("Tags: telescope, saturn"), std::string::npos) << texts[0];
  EXPECT_NE(texts[1].find("Tags: telescope, saturn"), std::string::npos) << texts[1];
}

TEST_F(AMemTest, APlaceThatIsNotThereChangesNothing) {
  const auto amem = make("amem");
  ScriptedWriter writer;
  writer.answers = {R"({"context": "c", "keywords": ["dog"], "tags": []})",
                    R"({"context": "d", "keywords": ["dog"], "tags": []})",
                    R"({"links": [7], "tags": [], "changes": []})"};
  ASSERT_TRUE(run(*amem, say("A dog."), &writer).ok());
  EXPECT_EQ(run(*amem, say("The dog."), &writer).code(), Code::invalid);
  EXPECT_EQ(cubes("amem.note").size(), 1u);
}

}  // namespace
}  // namespace varve
