#include "run/decode/subtasks.h"

#include <algorithm>

#include "core/base/options.h"

namespace varve {

std::string SubtaskMarks::words() const {
  return "Work through what has several steps in subtasks, each written as\n" + open +
         "what it is, in one line\nthe work; it may hold subtasks of its own\n" + result +
         "what came of it, complete in itself" + close +
         "\nOf a finished subtask only its first line and its result stay before you. Then answer.";
}

Result<SubtaskMarks> parse_subtasks(std::string_view text) {
  Spec spec = TRY(parse_spec(text));
  if (spec.name != "tim")
    return Status(Code::invalid, "no way of subtasks '" + spec.name + "'; there is tim");
  SubtaskMarks marks;
  const auto take = [&](std::string_view key, std::string& value) {
    if (auto found = spec.options.find(key); found != spec.options.end())
      value = found->second, spec.options.erase(found);
  };
  take("open", marks.open), take("result", marks.result), take("close", marks.close);
  TRY(OptionReader(spec)
          .read("keep", marks.keep, 0, 1024)
          .read("head", marks.head, 0, 1 << 16)
          .read("ask", marks.ask, 0, 1)
          .done());
  for (const std::string* mark : {&marks.open, &marks.result, &marks.close})
    if (mark->empty() || mark->size() > 256)
      return Status(Code::invalid, "a mark of subtasks has 1 to 256 bytes");
  if (marks.open == marks.result || marks.open == marks.close || marks.result == marks.close)
    return Status(Code::invalid, "open, result and close must be three different marks");
  return marks;
}

Subtasks::Subtasks(SubtaskMarks marks)
    : marks_(std::move(marks)),
      longest_(std::max({marks_.open.size(), marks_.result.size(), marks_.close.size()})) {}

bool Subtasks::ends_with(const std::string& mark) const {
  return tail_.size() >= mark.size() && tail_.compare(tail_.size() - mark.size(), mark.size(), mark) == 0;
}

void Subtasks::hear(int32_t place, std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) hear_byte(place, i == 0, text[i]);
}

void Subtasks::hear_byte(int32_t place, bool first, char byte) {
  if (tail_.size() == longest_) tail_.erase(0, 1), places_.erase(places_.begin());
  tail_ += byte;
  places_.push_back(place);
  if (!open_.empty() && open_.back().work < 0) {
    Open& inner = open_.back();
    const bool inside = (uint8_t(byte) & 0xC0) == 0x80;  // a character
    if (byte == '\n')
      inner.work = place + 1;
    else if (++inner.line > marks_.head && !inside)
      inner.work = first ? place : place + 1;
  }
  if (ends_with(marks_.open)) {
    open_.push_back({});
  } else if (!open_.empty() && ends_with(marks_.result)) {
    if (open_.back().result < 0) open_.back().result = start_of(marks_.result);
  } else if (!open_.empty() && ends_with(marks_.close)) {
    close();
  } else {
    return;
  }
  tail_.clear(), places_.clear();  // no mark is part of two
}

void Subtasks::close() {
  const Open ended = open_.back();
  open_.pop_back();
  ++finished_;
  if (ended.work < 0 || ended.result <= ended.work) return;
  std::erase_if(done_, [&](const Stretch& s) { return s.first >= ended.work && s.end <= ended.result; });
  done_.push_back({ended.work, ended.result});
}

std::optional<Subtasks::Stretch> Subtasks::next(bool full) {
  if (done_.empty() || (!full && int32_t(done_.size()) <= marks_.keep)) return std::nullopt;
  const Stretch gone = done_.front();
  done_.erase(done_.begin());
  const auto move_up = [&](int32_t& place) {
    if (place >= gone.end) place -= gone.end - gone.first;
  };
  for (Stretch& one : done_) move_up(one.first), move_up(one.end);
  for (Open& one : open_) move_up(one.work), move_up(one.result);
  for (int32_t& place : places_) move_up(place);
  return gone;
}

std::string without_work(const SubtaskMarks& marks, std::string_view text) {
  Subtasks read(marks);
  std::string left;
  for (size_t i = 0; i < text.size(); ++i) {
    left += text[i];
    read.hear(int32_t(left.size()) - 1, text.substr(i, 1));
    while (const auto gone = read.next(false))
      left.erase(size_t(gone->first), size_t(gone->end - gone->first));
  }
  return left;
}

}  // namespace varve
