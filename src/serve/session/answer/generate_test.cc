#include "serve/session/answer/generate.h"

#include <gtest/gtest.h>

#include "serve/session/scripted_engine_test.h"

namespace varve {
namespace {

Request request(int32_t max_tokens = 512) {
  return {.tokens = {65}, .max_tokens = max_tokens};
}

TEST(Generate, streams_whole_characters_and_returns_them_all) {
  ScriptedEngine engine([](const std::string&) { return "caf\u00e9 \U0001F600!"; });
  Interrupt interrupt;
  std::vector<std::string> pieces;
  const OnPiece keep = [&](const Piece& piece) {
    pieces.emplace_back(piece.text);
    return true;
  };
  auto made = generate(engine, request(), {}, keep, interrupt);
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(made->text, "caf\u00e9 \U0001F600!");
  EXPECT_EQ(made->finish, Finish::stop);
  std::string all;
  for (const std::string& piece : pieces) {
    EXPECT_NE(uint8_t(piece[0]) & 0xC0, 0x80) << "a piece begins inside a character";
    all += piece;
  }
  EXPECT_EQ(all, made->text);
}

TEST(Generate, ends_before_a_stop_string_that_spans_tokens) {
  ScriptedEngine engine([](const std::string&) { return "Hello.\nUser: more"; });
  Interrupt interrupt;
  auto made = generate(engine, request(), {"\nUser:"}, nullptr, interrupt);
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(made->text, "Hello.");
  EXPECT_EQ(made->finish, Finish::stop);
}

TEST(Generate, says_what_was_held_back_when_the_answer_ends) {
  ScriptedEngine engine([](const std::string&) { return "Hello.\nUse"; });
  Interrupt interrupt;
  EXPECT_EQ(generate(engine, request(), {"\nUser:"}, nullptr, interrupt)->text, "Hello.\nUse");
}

TEST(Generate, an_interrupt_keeps_what_was_said_so_far) {
  ScriptedEngine engine([](const std::string&) { return "so far~"; });
  Interrupt interrupt;
  const OnPiece stop = [&](const Piece& piece) {
    if (piece.text.find('r') != std::string_view::npos) interrupt.raise();
    return true;
  };
  auto made = generate(engine, request(), {}, stop, interrupt);
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(made->text, "so far");
  EXPECT_EQ(made->finish, Finish::cancelled);
}

TEST(Generate, a_listener_that_had_enough_ends_it) {
  ScriptedEngine engine([](const std::string&) { return "abc~"; });
  Interrupt interrupt;
  const OnPiece once = [](const Piece&) { return false; };
  auto made = generate(engine, request(), {}, once, interrupt);
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(made->finish, Finish::cancelled);
  EXPECT_EQ(made->text, "a");
}

TEST(Generate, an_interrupt_before_the_beginning_counts) {
  ScriptedEngine engine([](const std::string&) { return "~"; });
  Interrupt interrupt;
  interrupt.raise();
  EXPECT_EQ(generate(engine, request(), {}, nullptr, interrupt)->finish, Finish::cancelled);
}

TEST(Generate, a_failure_of_the_engine_is_passed_on) {
  ScriptedEngine engine([](const std::string&) { return "!"; });
  Interrupt interrupt;
  EXPECT_EQ(generate(engine, request(), {}, nullptr, interrupt).code(), Code::over_budget);
}

TEST(Generate, a_limit_on_tokens_is_named_as_the_reason) {
  ScriptedEngine engine([](const std::string&) { return "abcdef"; });
  Interrupt interrupt;
  auto made = generate(engine, request(3), {}, nullptr, interrupt);
  EXPECT_EQ(made->text, "abc");
  EXPECT_EQ(made->finish, Finish::length);
}

TEST(Generate, an_empty_stop_string_is_invalid) {
  ScriptedEngine engine([](const std::string&) { return "abc"; });
  Interrupt interrupt;
  EXPECT_EQ(generate(engine, request(), {""}, nullptr, interrupt).code(), Code::invalid);
}

}  // namespace
}  // namespace varve
