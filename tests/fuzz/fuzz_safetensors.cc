// Adapters and tables from anywhere: what is accepted covers the file exactly.
#include "core/format/safetensors.h"
#include "tests/fuzz/fuzz.h"

using namespace varve;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  auto parsed = SafeTensors::parse(std::as_bytes(std::span(bytes, size)));
  if (!parsed.ok()) {
    CHECK(parsed.code() == Code::corrupt || parsed.code() == Code::unsupported,
          "a code that was not promised");
    return 0;
  }
  int64_t left = int64_t(size);
  for (const SafeTensor& tensor : parsed->tensors()) {
    CHECK(tensor.bytes >= 0 && tensor.offset >= 8 && tensor.bytes <= int64_t(size) - tensor.offset,
          "a tensor beyond the file");
    CHECK(parsed->find(tensor.name) == &tensor, "a tensor that is not found");
    left -= tensor.bytes;
  }
  CHECK(left >= 8 + 2, "more bytes than the file has");
  return 0;
}
