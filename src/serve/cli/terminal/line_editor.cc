#include "serve/cli/terminal/line_editor.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdint>
#include <utility>

namespace varve {
namespace {

constexpr size_t kLinesBefore = 1000;

size_t bytes_of_character(char first) {
  const auto byte = uint8_t(first);
  return byte < 0xC0 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

int width_of(const std::string& character) {
  utf8proc_int32_t code = 0;
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(character.data());
  if (utf8proc_iterate(bytes, utf8proc_ssize_t(character.size()), &code) <= 0) return 1;
  return utf8proc_charwidth(code);
}

}  // namespace

LineEditor::Event LineEditor::feed(char byte) {
  if (!half_.empty() && half_[0] == '\x1b') {
    escape(byte);
  } else if (byte == '\r' || byte == '\n') {
    return Event::line;
  } else if (byte == 4 && text_.empty()) {  // Ctrl-D
    return Event::end;
  } else if (uint8_t(byte) >= ' ' && byte != 0x7F) {
    insert(byte);
  } else {
    control(byte);
  }
  return Event::none;
}

void LineEditor::insert(char byte) {
  half_ += byte;
  if (half_.size() < bytes_of_character(half_[0])) return;
  text_.insert(text_.begin() + long(cursor_++), std::exchange(half_, ""));
}

void LineEditor::control(char byte) {
  const auto ctrl = [](char letter) { return char(letter - 'A' + 1); };
  half_ = byte == '\x1b' ? "\x1b" : "";
  if (byte == ctrl('A')) cursor_ = 0;
  if (byte == ctrl('E')) cursor_ = text_.size();
  if (byte == ctrl('B') && cursor_ > 0) --cursor_;
  if (byte == ctrl('F') && cursor_ < text_.size()) ++cursor_;
  if (byte == ctrl('P')) step(-1);
  if (byte == ctrl('N')) step(1);
  if (byte == ctrl('U')) erase(0, cursor_);
  if (byte == ctrl('K')) erase(cursor_, text_.size());
  if (byte == ctrl('W')) word_back();
  if (byte == ctrl('D') && cursor_ < text_.size()) erase(cursor_, cursor_ + 1);
  if ((byte == ctrl('H') || byte == 0x7F) && cursor_ > 0) erase(cursor_ - 1, cursor_);
}

// "\x1b[A" is up, "\x1b[3~" is Delete, ...; a sequence that is not known is swallowed whole.
void LineEditor::escape(char byte) {
  half_ += byte;
  if (half_.size() == 2 && (byte == '[' || byte == 'O')) return;
  if (half_.size() > 2 && half_.size() < 16 && (byte < '@' || byte > '~')) return;
  const std::string sequence = std::exchange(half_, "").substr(1);
  if (sequence == "[A" || sequence == "OA") step(-1);
  if (sequence == "[B" || sequence == "OB") step(1);
  if (sequence == "[C" && cursor_ < text_.size()) ++cursor_;
  if (sequence == "[D" && cursor_ > 0) --cursor_;
  if (sequence == "[H" || sequence == "OH" || sequence == "[1~") cursor_ = 0;
  if (sequence == "[F" || sequence == "OF" || sequence == "[4~") cursor_ = text_.size();
  if (sequence == "[3~" && cursor_ < text_.size()) erase(cursor_, cursor_ + 1);
}

void LineEditor::step(int by) {
  if ((by < 0 && shown_ == 0) || (by > 0 && shown_ == before_.size())) return;
  if (shown_ == before_.size()) kept_ = text_;
  shown_ += size_t(by);
  text_ = shown_ == before_.size() ? kept_ : before_[shown_];
  cursor_ = text_.size();
}

void LineEditor::erase(size_t from, size_t to) {
  text_.erase(text_.begin() + long(from), text_.begin() + long(to));
  cursor_ = from;
}

void LineEditor::word_back() {
  size_t from = cursor_;
  while (from > 0 && text_[from - 1] == " ") --from;
  while (from > 0 && text_[from - 1] != " ") --from;
  erase(from, cursor_);
}

std::string LineEditor::take() {
  std::string line;
  for (const std::string& character : text_) line += character;
  if (!text_.empty() && (before_.empty() || before_.back() != text_)) before_.push_back(text_);
  if (before_.size() > kLinesBefore) before_.erase(before_.begin());
  clear();
  return line;
}

void LineEditor::clear() {
  text_.clear();
  half_.clear();
  cursor_ = 0;
  shown_ = before_.size();
}

std::string LineEditor::screen(std::string_view prompt, int columns) const {
  const int room = std::max(4, columns - int(prompt.size()) - 1);
  size_t from = cursor_;
  for (int used = 0; from > 0 && used + width_of(text_[from - 1]) <= room; --from)
    used += width_of(text_[from - 1]);
  std::string out = "\r" + std::string(prompt);
  int used = 0, cursor = 0;
  for (size_t i = from; i < text_.size() && used + width_of(text_[i]) <= room; ++i) {
    if (i < cursor_) cursor += width_of(text_[i]);
    used += width_of(text_[i]);
    out += text_[i];
  }
  return out + "\x1b[K\r\x1b[" + std::to_string(int(prompt.size()) + cursor) + "C";
}

}  // namespace varve
