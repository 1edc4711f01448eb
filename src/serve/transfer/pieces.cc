#include "serve/transfer/pieces.h"

#include <algorithm>
#include <cstring>

namespace varve {
namespace {

constexpr size_t kBlock = 64 << 10, kAhead = 64 << 10;
// Keys whose array holds the records, when they are wrapped in an object.
constexpr std::string_view kWrappers[] = {"results", "memories", "conversations", "data"};

bool space(char c) {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

}  // namespace

ByteSource bytes_of_file(const File& file, int64_t size) {
  return [&file, size, at = int64_t(0)](std::span<char> out) mutable -> Result<size_t> {
    const size_t count = size_t(std::min<int64_t>(int64_t(out.size()), size - at));
    TRY(file.read(at, std::as_writable_bytes(out.first(count))));
    at += int64_t(count);
    return count;
  };
}

ByteSource bytes_of_text(std::string_view text) {
  return [text](std::span<char> out) mutable -> Result<size_t> {
    const size_t count = std::min(out.size(), text.size());
    std::copy_n(text.data(), count, out.data());
    text.remove_prefix(count);
    return count;
  };
}

Result<bool> Pieces::fill(size_t bytes) {
  while (buffer_.size() - at_ < bytes) {
    buffer_.erase(0, at_);
    at_ = 0;
    const size_t before = buffer_.size();
    buffer_.resize(before + kBlock);
    auto got = source_(std::span(buffer_).subspan(before));
    buffer_.resize(before + (got.ok() ? *got : 0));
    if (TRY(std::move(got)) == 0) return false;
  }
  return true;
}

void Pieces::take(size_t bytes) {
  line_ += std::count(buffer_.begin() + int64_t(at_), buffer_.begin() + int64_t(at_ + bytes), '\n');
  at_ += bytes;
  offset_ += int64_t(bytes);
}

Result<char> Pieces::skip_space() {
  for (;;) {
    size_t spaces = 0;
    while (at_ + spaces < buffer_.size() && space(buffer_[at_ + spaces])) ++spaces;
    take(spaces);
    if (at_ < buffer_.size()) return buffer_[at_];
    if (!TRY(fill(1))) return '\0';
  }
}

Status Pieces::cut() const {
  return Status(Code::corrupt, "it ends in the middle of its list of records");
}

// The offset in the buffer behind the '[' of a wrapper's list, or 0: looks no further than what is read.
size_t Pieces::wrapped_list() const {
  const std::string_view text = std::string_view(buffer_).substr(at_);
  size_t key = 0, key_end = 0;
  bool quoted = false;
  int depth = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') ++i;
      if (c == '"') quoted = false, key_end = i;
    } else if (c == '"') {
      quoted = true, key = i + 1;
    } else if (c == '[' && depth == 1) {
      const std::string_view name = text.substr(key, key_end - std::min(key, key_end));
      if (std::find(std::begin(kWrappers), std::end(kWrappers), name) != std::end(kWrappers)) return i + 1;
      ++depth;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if ((c == '}' || c == ']') && --depth == 0) {
      return 0;
    }
  }
  return 0;
}

Status Pieces::begin() {
  TRY(fill(kAhead));
  if (std::string_view(buffer_).starts_with("\xEF\xBB\xBF")) take(3);
  const char first = TRY(skip_space());
  if (first == '\0') return Status(Code::corrupt, "it is empty");
  if (first != '[' && first != '{')
    return Status(Code::corrupt, "it is no JSON: no list of records begins it");
  const size_t inside = first == '[' ? 1 : wrapped_list();
  take(inside);
  shape_ = inside > 0 ? Shape::list : Shape::sequence;
  return {};
}

// To the front of the next element; false at the end of the list.
Result<bool> Pieces::next_in_list() {
  char c = TRY(skip_space());
  if (c == ']') return false;
  if (!first_) {
    if (c == '\0') return cut();
    if (c != ',') return Status(Code::corrupt, "a comma is missing between two records");
    take(1);
    c = TRY(skip_space());
  }
  first_ = false;
  if (c == '\0') return cut();
  if (c == ']' || c == ',') return Status(Code::corrupt, "a record is missing before or after a comma");
  return true;
}

// How many bytes from here belong to the value; `ended` when it ends with them.
size_t Pieces::scan(bool& ended) {
  size_t i = at_;
  for (; i < buffer_.size() && !ended; ++i) {
    const char c = buffer_[i];
    if (in_string_) {
      if (escaped_) {
        escaped_ = false;
      } else if (c == '\\') {
        escaped_ = true;
      } else if (c == '"') {
        in_string_ = false;
        ended = depth_ == 0;
      }
    } else if (bare_ && (space(c) || c == ',' || c == ']' || c == '}')) {
      ended = true;
      break;  // this byte is not part of it
    } else if (c == '"') {
      in_string_ = true;
    } else if (c == '{' || c == '[') {
      ++depth_;
    } else if (c == '}' || c == ']') {
      ended = --depth_ <= 0;
    } else if (depth_ == 0) {
      bare_ = true;
    }
  }
  return i - at_;
}

Result<RawRecord> Pieces::value() {
  RawRecord piece{.offset = offset_, .line = line_};
  depth_ = 0;
  in_string_ = escaped_ = bare_ = false;
  for (bool ended = false; !ended;) {
    const size_t bytes = scan(ended);
    if (!piece.too_long) piece.text.append(buffer_, at_, bytes);
    take(bytes);
    if (piece.text.size() > most_bytes_) piece.too_long = true, piece.text = std::string();
    if (!ended && !TRY(fill(1))) {
      if (!bare_) return Status(Code::corrupt, "it ends in the middle of a record");
      ended = true;
    }
  }
  return piece;
}

Result<std::optional<RawRecord>> Pieces::next() {
  if (shape_ == Shape::unknown) TRY(begin());
  if (shape_ == Shape::ended) return std::optional<RawRecord>();
  const bool more = shape_ == Shape::list ? TRY(next_in_list()) : TRY(skip_space()) != '\0';
  if (!more) {
    shape_ = Shape::ended;
    return std::optional<RawRecord>();
  }
  RawRecord piece = TRY(value());
  whole_bytes_ = offset_;
  whole_line_ = line_;
  return std::optional(std::move(piece));
}

}  // namespace varve
