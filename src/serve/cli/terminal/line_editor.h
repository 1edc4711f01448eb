// LineEditor: one line under a person's hands: characters, cursor, and the lines before it. It knows no
// terminal: bytes of the keyboard go in, bytes for the screen come out.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace varve {

class LineEditor {
 public:
  enum class Event { none, line, end };
  // The keys: arrows, Home, End, Delete, Backspace, and Ctrl with A E B F P N U K W D. Up and Down go through
  // the lines before.
  Event feed(char byte);
  std::string take();  // the line, which joins the lines before; begins a new one
  void clear();        // begins a new one
  // Draws the line again in `columns` of one row; what does not fit scrolls sideways.
  std::string screen(std::string_view prompt, int columns) const;

 private:
  using Characters = std::vector<std::string>;  // one code point each
  void insert(char byte);
  void control(char byte);
  void escape(char byte);
  void step(int by);  // through the lines before
  void erase(size_t from, size_t to);
  void word_back();

  Characters text_, kept_;  // kept_: the new line while an older one is shown
  size_t cursor_ = 0;
  std::string half_;  // of a character or an escape sequence
  std::vector<Characters> before_;
  size_t shown_ = 0;  // index in before_; its size: the new line
};

}  // namespace varve
