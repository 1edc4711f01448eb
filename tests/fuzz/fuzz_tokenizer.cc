// Vocabularies from anywhere, and text for them: a tokenizer.json or a GGUF file, a zero byte, and the text.
#include "core/format/gguf.h"
#include "run/model/tokenizer.h"
#include "tests/fuzz/fuzz.h"

using namespace varve;

namespace {

void use(const Tokenizer& tokenizer, std::string_view text) {
  for (const bool parse_special : {false, true}) {
    std::vector<Token> tokens;
    tokenizer.encode(text, parse_special, tokens);
    for (const Token token : tokens) {
      CHECK(token >= 0 && token < tokenizer.size(), "a token outside the vocabulary");
      const bool unknown = token == tokenizer.special().unknown;
      CHECK(parse_special || unknown || !tokenizer.is_control(token), "plain text became a control token");
    }
    Utf8Stream stream;
    stream.push(detokenize(tokenizer, tokens, parse_special));
    stream.finish();
  }
  for (const Token token : tokenize_prompt(tokenizer, text)) {
    CHECK(token >= 0 && token < tokenizer.size(), "a token outside the vocabulary");
  }
  for (const Token token : tokenizer.special().end_of_generation) {
    CHECK(token >= 0 && token < tokenizer.size(), "an end outside the vocabulary");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string_view input = text_of(bytes, size);
  Ledger ledger(int64_t(1) << 40);
  if (input.starts_with("GGUF")) {
    auto gguf = Gguf::parse(std::as_bytes(std::span(bytes, size)));
    if (!gguf.ok()) return 0;
    auto tokenizer = open_tokenizer(*gguf, ledger);
    if (tokenizer.ok()) use(**tokenizer, input.substr(size_t(gguf->head_bytes())));
    return 0;
  }
  const size_t end = std::min(input.find('\0'), input.size());
  auto tokenizer = open_tokenizer_json(input.substr(0, end), ledger);
  if (tokenizer.ok()) use(**tokenizer, input.substr(std::min(end + 1, size)));
  return 0;
}
