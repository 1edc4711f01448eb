// A template that parses renders to text or ends in a Status, within its limits.
#include "core/format/json.h"
#include "run/model/chat_template.h"
#include "tests/fuzz/fuzz.h"

using namespace varve;

namespace {

ChatInput conversation() {
  ChatInput input;
  input.messages = *parse_json(
      R"([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Grüße, 日本"},
          {"role": "assistant", "content": null, "tool_calls": [{"id": "abcdefghi", "type": "function",
           "function": {"name": "f", "arguments": {"x": [1, 2.5, true]}}}]},
          {"role": "tool", "content": "<b>3</b>", "tool_call_id": "abcdefghi"}])");
  input.tools = *parse_json(R"([{"type": "function", "function": {"name": "f", "parameters": {}}}])");
  input.bos = "<s>";
  input.eos = "</s>";
  return input;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  static const ChatInput input = conversation();
  auto made = ChatTemplate::parse(text_of(bytes, size));
  if (!made.ok()) {
    CHECK(made.code() == Code::invalid, "a code that was not promised");
    return 0;
  }
  auto first = made->render(input), second = made->render(input);
  CHECK(first.ok() == second.ok(), "rendering is not the same twice");
  if (first.ok()) {
    CHECK(*first == *second, "rendering gives another text the second time");
    CHECK(first->size() <= 64u << 20, "more output than is allowed");
  } else {
    CHECK(first.code() == Code::invalid, "a code that was not promised");
  }
  return 0;
}
