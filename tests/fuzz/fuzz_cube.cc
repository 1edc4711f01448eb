// .cube files: as they come; with the right hash behind them, so that the search gets past it; and as a
// header alone. What is accepted could be stored, and is written and read back the same.
#include "memory/cube/cube_file.h"
#include "tests/fuzz/fuzz.h"

using namespace varve;

namespace {

void parse(std::string_view file) {
  auto draft = parse_cube_file(file);
  if (!draft.ok()) {
    const Code code = draft.code();
    CHECK(code == Code::invalid || code == Code::corrupt || code == Code::unsupported, "a code not promised");
    return;
  }
  CHECK(check_draft(*draft).ok(), "accepted, and yet it could not be stored");
  const std::string written = encode_cube_file(draft->header, draft->payload);
  auto again = parse_cube_file(written);
  CHECK(again.ok(), "what was written does not parse");
  CHECK(encode_cube_file(again->header, again->payload) == written,
        "what was written reads back differently");
}

std::string sealed(std::string_view bytes) {
  const Hash256 hash = sha256(bytes);
  return std::string(bytes).append(reinterpret_cast<const char*>(hash.bytes.data()), hash.bytes.size());
}

std::string with_header(std::string_view header) {
  std::string file = encode_cube_file({}, "").substr(0, 24);  // magic, version, lengths
  for (int i = 0; i < 4; ++i) file[size_t(12 + i)] = char(uint8_t(header.size() >> (8 * i)));
  return sealed(file.append(header));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string_view text = text_of(bytes, size);
  parse(text);
  parse(sealed(text));
  parse(with_header(text));
  return 0;
}
