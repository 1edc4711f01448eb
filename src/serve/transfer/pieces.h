// Pieces: a long JSON text cut into its records, one at a time, without ever holding the whole: the elements
// of an array, of an array inside an object ({"results": [...]}), or values one after the other (JSONL).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/base/status.h"
#include "core/io/env.h"

namespace varve {

// Fills the front of `out`; 0 at the end.
using ByteSource = std::function<Result<size_t>(std::span<char> out)>;
ByteSource bytes_of_file(const File& file, int64_t size);
ByteSource bytes_of_text(std::string_view text);  // which outlives the source

struct RawRecord {
  std::string text;
  int64_t offset = 0, line = 1;  // where it begins, the first line being 1
  bool too_long = false;         // more than the limit: its text is left out
};

class Pieces {
 public:
  explicit Pieces(ByteSource source, size_t most_bytes = 32 << 20)
      : source_(std::move(source)), most_bytes_(most_bytes) {}

  // nullopt after the last one. corrupt: the text ends inside a record or inside its list, or is no list of
  // records; what came before is whole.
  Result<std::optional<RawRecord>> next();
  int64_t offset() const { return offset_; }            // bytes read so far
  int64_t whole_bytes() const { return whole_bytes_; }  // up to the end of the last whole record
  int64_t whole_line() const { return whole_line_; }

 private:
  enum class Shape { unknown, list, sequence, ended };
  Result<bool> fill(size_t bytes);  // false: so many do not come any more
  void take(size_t bytes);
  Result<char> skip_space();  // the next byte, not taken; 0 at the end
  Status begin();
  size_t wrapped_list() const;
  Result<bool> next_in_list();
  Result<RawRecord> value();
  size_t scan(bool& ended);
  Status cut() const;

  ByteSource source_;
  const size_t most_bytes_;
  std::string buffer_;
  size_t at_ = 0;
  int64_t offset_ = 0, line_ = 1, whole_bytes_ = 0, whole_line_ = 1;
  Shape shape_ = Shape::unknown;
  bool first_ = true;
  // Of the value that is being scanned.
  int64_t depth_ = 0;
  bool in_string_ = false, escaped_ = false, bare_ = false;
};

}  // namespace varve
