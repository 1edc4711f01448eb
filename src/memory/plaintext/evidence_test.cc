#include "memory/plaintext/evidence.h"

#include <gtest/gtest.h>

#include "core/base/rng.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

TEST(Evidence, ATurnKeepsWhereByWhomAndWhenItWasSaid) {
  const CubeDraft draft = turn_draft({"s1", 4, "assistant", "Hello.", 42}, "alice");
  EXPECT_TRUE(check_draft(draft).ok());
  EXPECT_TRUE(is_evidence(draft.header.kind));
  EXPECT_EQ(draft.header.session, "s1");
  EXPECT_EQ(draft.header.turn, 4);
  EXPECT_EQ(draft.header.speaker, "assistant");
  EXPECT_EQ(draft.header.event, 42);
  EXPECT_EQ(draft.header.trust, Trust::model);
  EXPECT_EQ(turn_draft({"s1", 4, "Caroline", "Hi.", {}}).header.trust, Trust::user);
}

TEST(Passages, CutAtTheLargestBorderAndLoseNothing) {
  const std::string text = "One two three.\n\nFour five six. Seven eight nine ten eleven twelve.";
  const auto cut = split_passages(text, 34);
  ASSERT_EQ(cut.size(), 3u);
  EXPECT_EQ(cut[0], "One two three.\n\nFour five six. ");
  EXPECT_EQ(cut[1], "Seven eight nine ten eleven ");
  EXPECT_EQ(split_passages("Aaaaaaaaaaa bb.\n\nCccc ddd. Eee", 20)[0], "Aaaaaaaaaaa bb.\n\n");
  EXPECT_EQ(split_passages("", 40).size(), 0u);
}

TEST(Passages, AnyTextComesBackWholeInSmallValidPieces) {
  const std::string_view letters[] = {"a", " ", "\n", ". ", "\xC3\xA9", "\xE3\x80\x82", "\xF0\x9F\x98\x80"};
  for (uint64_t seed = 0; seed < 50; ++seed) {
    std::string text, joined;
    for (uint64_t i = 0; i < 400; ++i) text += letters[random_bits({.seed = seed}, i) % std::size(letters)];
    for (const std::string_view piece : split_passages(text, 16 + seed % 40)) {
      EXPECT_LE(piece.size(), 16 + seed % 40);
      EXPECT_TRUE(check_text("a piece", piece, 1000).ok()) << seed;
      joined += piece;
    }
    EXPECT_EQ(joined, text);
  }
}

TEST(Evidence, ErasingADocumentTakesItsPassages) {
  const TempFolder folder{TempFolder::in_ram()};
  Ledger ledger{64 << 20};
  const Principal who{"alice"};
  auto store = CubeStore::open(posix_env(), folder / "cubes", ledger);
  ASSERT_TRUE(store.ok());
  Document book{.title = "Tea", .text = ""};
  for (int i = 0; i < 100; ++i) book.text += "Sentence number " + std::to_string(i) + " is about tea. ";
  auto ids = (*store)->apply(who, document_ops(book, 400));
  ASSERT_TRUE(ids.ok()) << std::move(ids).status().text();
  ASSERT_GT(ids->size(), 8u);
  auto recalled = (*store)->list(who, {});
  EXPECT_EQ(recalled->size(), ids->size() - 1) << "the whole is kept, but not recalled";
  EXPECT_EQ((*recalled)[0].trust, Trust::outside);
  EXPECT_EQ((*recalled)[0].title, "Tea (1/" + std::to_string(ids->size() - 1) + ")");
  ASSERT_TRUE((*store)->erase(who, (*ids)[0], "").ok());
  EXPECT_EQ((*store)->list(who, {})->size(), 0u);
}

}  // namespace
}  // namespace varve
