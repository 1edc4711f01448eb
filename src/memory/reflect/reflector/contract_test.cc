// What every reflector owes, whatever its writer says.
#include <gtest/gtest.h>

#include <algorithm>

#include "core/base/rng.h"
#include "memory/reflect/reflector/scripted_test.h"

namespace varve {
namespace {

const Principal kAlice{"alice"};
constexpr TimeMs kThen = 1'600'000'000'000;

std::string random_text(uint64_t seed) {
  static const std::string_view pieces[] = {
      "{",      "}",    "[",      "]",       "\"",   ":",          ",",      "facts", "decisions",
      "action", "add",  "update", "target",  "fact", "text",       "0",      "-1",    "99",
      "1e9",    "null", " ",      "\\u0000", "\xFF", "<recalled>", "peanuts"};
  std::string text;
  const uint32_t length = random_bits({.seed = seed}, 0) % 60;
  for (uint64_t i = 1; i <= length; ++i) text += pieces[random_bits({.seed = seed}, i) % std::size(pieces)];
  return text;
}

class Contract : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { reflector = std::move(reflectors().make(GetParam())).value(); }
  // A plan may add from the turn's evidence, at the turn's time, in the turn's space, and nothing marked as
  // recalled.
  void expect_honest(const std::vector<MemoryOp>& ops, const Turn& turn) {
    for (const MemoryOp& op : ops) {
      EXPECT_NE(op.kind, MemoryOp::Kind::erase);
      if (op.kind != MemoryOp::Kind::add && op.kind != MemoryOp::Kind::revise) continue;
      const CubeHeader& h = op.draft.header;
      EXPECT_TRUE(check_draft(op.draft).ok());
      ASSERT_FALSE(h.from.empty());
      for (const Source& source : h.from) {
        EXPECT_TRUE(source.cube == turn.user_cube || source.cube == turn.assistant_cube);
      }
      EXPECT_EQ(h.event, turn.time);
      EXPECT_EQ(h.space, turn.space);
      EXPECT_NE(h.trust, Trust::user) << "a model's words are not the user's";
      EXPECT_FALSE(is_evidence(h.kind));
      EXPECT_EQ(op.draft.payload.find("<recalled>"), std::string::npos);
    }
  }
  std::unique_ptr<Reflector> reflector;
  KnownFacts known;
};

TEST_P(Contract, WithoutAWriterItDoesWhatItCanOrNothing) {
  const Turn turn = said("I am allergic to peanuts.", "Noted.", kThen);
  auto ops = reflector->reflect(kAlice, turn, known, nullptr);
  ASSERT_TRUE(ops.ok()) << std::move(ops).status().text();
  expect_honest(*ops, turn);
}

TEST_P(Contract, ARamblingWriterNeitherBreaksItNorMakesItLie) {
  const Turn turn = said("I am allergic to peanuts.", "Noted.", kThen);
  known.know(CubeId::make(3), "likes tea", kThen - 1);
  for (uint64_t seed = 0; seed < 500; ++seed) {
    ScriptedWriter writer;
    writer.answers = {random_text(2 * seed), random_text(2 * seed + 1)};
    auto ops = reflector->reflect(kAlice, turn, known, &writer);
    if (ops.ok()) expect_honest(*ops, turn);
  }
}

TEST_P(Contract, WithoutEvidenceNothingIsDerived) {
  Turn turn = said("I am allergic to peanuts.", "Noted.", kThen);
  turn.user_cube.reset();
  turn.assistant_cube.reset();
  ScriptedWriter writer;
  writer.answers = {R"({"facts":["allergic to peanuts"]})"};
  auto ops = reflector->reflect(kAlice, turn, known, &writer);
  ASSERT_TRUE(ops.ok());
  EXPECT_TRUE(ops->empty());
}

TEST_P(Contract, UnknownOptionsAreRefused) {
  EXPECT_EQ(reflectors().make(GetParam() + ":nonsense=1").code(), Code::invalid);
}

INSTANTIATE_TEST_SUITE_P(Reflectors, Contract, testing::ValuesIn(reflectors().names()),
                         [](const auto& one) { return one.param; });

}  // namespace
}  // namespace varve
