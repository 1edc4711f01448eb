// TIM (Luo et al. 2025): a model that writes its work as a tree of subtasks needs of a finished one what it
// was and what came of it. Here is which tokens of an answer the others are; the engine takes them out of the
// KV, and what follows them is read again in their place, so that an answer may be longer than the context.
//
//   <subtask>what it is
//   the work, with subtasks of its own
//   <result>what came of it</subtask>
//
// Nothing of the prompt ever goes, nor a subtask that is open or says no result.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "run/model/tokenizer.h"

namespace varve {

struct SubtaskMarks {
  std::string open = "<subtask>", result = "<result>", close = "</subtask>";
  int32_t keep = 0;           // finished ones that stay whole, the newest, while there is room
  int32_t head = 160;         // bytes of a subtask's first line that stay
  int32_t ask = 1;            // 1: the model is told to write so
  std::string words() const;  // that tell it
};
Result<SubtaskMarks> parse_subtasks(
    std::string_view spec);  // "tim", "tim:open=<think>,result=</think>,keep=1"

// Of one answer. Places are those of tokens in their sequence.
class Subtasks {
 public:
  struct Stretch {
    int32_t first = 0, end = 0;
  };
  explicit Subtasks(SubtaskMarks marks);
  void hear(int32_t place, std::string_view text);  // the next token of the answer
  // What goes now, the oldest first; places after it move up. `full`: whatever can go.
  std::optional<Stretch> next(bool full);
  int32_t finished() const { return finished_; }

 private:
  struct Open {
    int32_t line = 0;                // bytes of its first line so far
    int32_t work = -1, result = -1;  // first tokens of both
  };
  void hear_byte(int32_t place, bool first, char byte);
  bool ends_with(const std::string& mark) const;
  int32_t start_of(const std::string& mark) const { return places_[places_.size() - mark.size()]; }
  void close();

  const SubtaskMarks marks_;
  size_t longest_ = 0;
  std::string tail_;             // as many bytes as the longest mark has
  std::vector<int32_t> places_;  // of its bytes
  std::vector<Open> open_;
  std::vector<Stretch> done_;  // that may go, in the order in which they ended
  int32_t finished_ = 0;
};

// What an answer that was written so leaves.
std::string without_work(const SubtaskMarks& marks, std::string_view text);

}  // namespace varve
