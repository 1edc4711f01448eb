// A model file from anywhere: parsed, or refused; never believed.
#include "core/format/gguf.h"
#include "tests/fuzz/fuzz.h"

using namespace varve;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  auto parsed = Gguf::parse(std::as_bytes(std::span(bytes, size)));
  if (!parsed.ok()) {
    CHECK(parsed.code() == Code::corrupt || parsed.code() == Code::unsupported,
          "a code that was not promised");
    return 0;
  }
  for (const GgufTensor& tensor : parsed->tensors()) {
    CHECK(tensor.offset >= parsed->head_bytes() && tensor.bytes > 0, "a tensor in the head");
    CHECK(tensor.bytes <= int64_t(size) - tensor.offset, "a tensor beyond the file");
    CHECK(tensor.elements() > 0, "a tensor without elements");
    CHECK(parsed->tensor(tensor.name) == &tensor, "a tensor that is not found");
  }
  for (const auto& [key, value] : parsed->metadata()) {
    const bool read = parsed->integer(key).ok() + parsed->number(key).ok() + parsed->boolean(key).ok() +
                      parsed->string(key).ok() + parsed->strings(key).ok() + parsed->integers(key).ok() +
                      parsed->numbers(key).ok();
    CHECK(read, "a value that cannot be read");
  }
  return 0;
}
