#include "serve/cli/terminal/line_editor.h"

#include <gtest/gtest.h>

#include "core/base/rng.h"

namespace varve {
namespace {

constexpr const char* kUp = "\x1b[A";
constexpr const char* kDown = "\x1b[B";
constexpr const char* kLeft = "\x1b[D";

void type(LineEditor& editor, std::string_view keys) {
  for (char key : keys) EXPECT_EQ(editor.feed(key), LineEditor::Event::none);
}
std::string typed(std::string_view keys) {
  LineEditor editor;
  type(editor, keys);
  return editor.take();
}

TEST(LineEditor, inserts_where_the_cursor_stands) {
  EXPECT_EQ(typed("helo" + std::string(kLeft) + "l"), "hello");
  EXPECT_EQ(typed("world\x01hello \x05!"), "hello world!");
}

TEST(LineEditor, erases_whole_characters_and_words) {
  EXPECT_EQ(typed("caf\u00e9\x7f"), "caf");
  EXPECT_EQ(typed("one two \x17three"), "one three");
  EXPECT_EQ(typed("abc\x15x"), "x");
  EXPECT_EQ(typed("abc" + std::string(kLeft) + kLeft + "\x0b"), "a");
  EXPECT_EQ(typed("ab\x01\x1b[3~"), "b");
  EXPECT_EQ(typed("\x7f\x7f"), "");
}

TEST(LineEditor, goes_through_the_lines_before_and_comes_back) {
  LineEditor editor;
  for (const char* line : {"one", "two", "two"}) {
    type(editor, line);
    editor.take();
  }
  type(editor, "new" + std::string(kUp) + kUp);
  EXPECT_EQ(editor.take(), "one");
  type(editor, "new" + std::string(kUp) + kUp + kUp + kUp + kDown + kDown + kDown);
  EXPECT_EQ(editor.take(), "new");
}

TEST(LineEditor, swallows_keys_that_it_does_not_know) {
  EXPECT_EQ(typed("a\x1b[1;5Cb\x1b[24~c\x1bxd"), "abcd");
}

TEST(LineEditor, ends_only_on_an_empty_line) {
  LineEditor editor;
  EXPECT_EQ(editor.feed('\x04'), LineEditor::Event::end);
  type(editor, "ab\x01\x04");
  EXPECT_EQ(editor.feed('\r'), LineEditor::Event::line);
  EXPECT_EQ(editor.take(), "b");
}

TEST(LineEditor, draws_the_part_around_the_cursor) {
  LineEditor editor;
  type(editor, "hello");
  EXPECT_EQ(editor.screen("> ", 80), "\r> hello\x1b[K\r\x1b[7C");
  type(editor, kLeft);
  EXPECT_EQ(editor.screen("> ", 80), "\r> hello\x1b[K\r\x1b[6C");
  type(editor, "\x05 and much more");
  const std::string narrow = editor.screen("> ", 12);
  EXPECT_EQ(narrow, "\r> much more\x1b[K\r\x1b[11C");
}

TEST(LineEditor, wide_characters_take_two_columns) {
  LineEditor editor;
  type(editor, "\u4f60\u597d");
  EXPECT_EQ(editor.screen("> ", 80), "\r> \u4f60\u597d\x1b[K\r\x1b[6C");
}

TEST(LineEditor, any_keys_at_all_are_harmless) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    LineEditor editor;
    for (uint32_t i = 0; i < 200; ++i) {
      const uint32_t bits = random_bits({seed, 0, Site::test}, i);
      static constexpr std::string_view likely = "ab \x1b[ABCD3~\x7f\x01\x05\x15\x0b\x17\x04\xc3\xa9\xe4";
      const char key = bits % 4 == 0 ? char(bits >> 8) : likely[(bits >> 8) % likely.size()];
      if (editor.feed(key) == LineEditor::Event::line) editor.take();
      ASSERT_FALSE(editor.screen("> ", int(bits >> 16) % 40).empty());
    }
  }
}

}  // namespace
}  // namespace varve
