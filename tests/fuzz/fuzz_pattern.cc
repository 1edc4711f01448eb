// Splitting patterns come with model files: an expression, a zero byte, and the text to cut.
#include "run/model/tokenizer/split/pattern.h"
#include "tests/fuzz/fuzz.h"

using namespace varve;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string_view input = text_of(bytes, size);
  const size_t end = std::min(input.find('\0'), size);
  auto pattern = Pattern::compile(input.substr(0, end));
  if (!pattern.ok()) {
    CHECK(pattern.code() == Code::invalid || pattern.code() == Code::unsupported,
          "a code that was not promised");
    return 0;
  }
  const std::string_view text = input.substr(std::min(end + 1, size));
  std::vector<std::string_view> pieces;
  pattern->split(text, pieces);
  size_t at = 0;
  for (const std::string_view piece : pieces) {
    CHECK(!piece.empty() && piece.data() == text.data() + at, "a piece that is not next");
    at += piece.size();
  }
  CHECK(at == text.size(), "text was lost");
  return 0;
}
