// The first byte chooses GBNF, a JSON schema or a pattern; what compiles is walked by its own mask, and every
// token that the mask lets through must be accepted.
#include <cmath>

#include "core/format/json.h"
#include "run/decode/constraint.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/fake_tokenizer.h"

using namespace varve;

namespace {

const FakeTokenizer& vocabulary() {
  static const FakeTokenizer tokenizer({"{\"", "\"}", "\": ", "ab", "true", "123", "日本", "\xE6\x97", "  "});
  return tokenizer;
}

Result<std::shared_ptr<const Grammar>> compile(uint8_t kind, std::string_view text) {
  if (kind % 3 == 0) return grammar_from_gbnf(text, vocabulary());
  if (kind % 3 == 1)
    return grammar_from_json_schema(TRY(parse_json(text, {.max_bytes = 1 << 16})), vocabulary());
  Json schema = Json::object();
  schema.set("type", "string").set("pattern", text);
  return grammar_from_json_schema(schema, vocabulary());
}

void walk(const Grammar& grammar, uint8_t salt) {
  const FakeTokenizer& tokens = vocabulary();
  const auto answer = grammar.start();
  std::vector<float> logits(size_t(tokens.size()));
  for (int step = 0; step < 40; ++step) {
    std::fill(logits.begin(), logits.end(), 0.0f);
    const bool any = answer->mask(logits);
    std::vector<Token> open;
    for (Token t = 0; t < tokens.size(); ++t) {
      if (!std::isinf(logits[size_t(t)])) open.push_back(t);
    }
    CHECK(any == !open.empty(), "the mask and its answer differ");
    if (!any) return;
    const bool may_end = !std::isinf(logits[size_t(tokens.end())]);
    CHECK(may_end == answer->complete(), "the end is offered when it may not come, or the other way round");
    const Token chosen = open[size_t(step * 37 + salt) % open.size()];
    const Status accepted = answer->accept(chosen);
    CHECK(accepted.ok() || accepted.code() == Code::unsupported, "a token that was offered is refused");
    if (!accepted.ok() || chosen == tokens.end()) return;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  if (size == 0) return 0;
  const auto made = compile(bytes[0], text_of(bytes + 1, size - 1));
  if (made.ok()) {
    walk(**made, bytes[0]);
  } else {
    CHECK(made.code() == Code::invalid || made.code() == Code::unsupported, "a code that was not promised");
  }
  return 0;
}
