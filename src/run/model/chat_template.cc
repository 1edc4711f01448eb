#include "run/model/chat_template.h"

#include "run/model/template/eval.h"

namespace varve {

using jinja::None;
using jinja::Run;
using jinja::Value;

namespace {

// The strings of the input outlive the render and are not copied. Depth is bounded by whoever made the Json.
Result<Value> value_of(Run& run, const Json& json, int depth = 0) {
  if (depth > jinja::kNesting) return run.fail("the input is nested too deeply");
  if (json.is_bool()) return Value(json.as_bool());
  if (json.is_int()) return Value(json.as_int());
  if (json.is_number()) return Value(json.as_double());
  if (json.is_string()) return run.borrow(json.as_string());
  if (json.is_array()) {
    std::vector<Value> items;
    for (const Json& item : json.as_array()) items.push_back(TRY(value_of(run, item, depth + 1)));
    return Value(TRY(run.list(std::move(items))));
  }
  if (json.is_object()) {
    jinja::Dict* dict = TRY(run.dict());
    for (const auto& [key, item] : json.as_object()) {
      TRY(jinja::dict_set(run, *dict, run.borrow(key), TRY(value_of(run, item, depth + 1))));
    }
    return Value(dict);
  }
  return Value(None{});
}

}  // namespace

struct ChatTemplate::Impl {
  jinja::Block block;
};

ChatTemplate::ChatTemplate(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;
ChatTemplate::~ChatTemplate() = default;

Result<ChatTemplate> ChatTemplate::parse(std::string_view source) {
  auto impl = std::make_unique<Impl>();
  impl->block = TRY(jinja::parse(source));
  return ChatTemplate(std::move(impl));
}

Result<std::string> ChatTemplate::render(const ChatInput& input) const {
  Run run(input.now);
  auto scope = std::make_shared<jinja::Scope>();
  auto& variables = scope->variables;
  if (input.extra.is_object()) {
    for (const auto& [name, value] : input.extra.as_object()) variables[name] = TRY(value_of(run, value));
  }
  variables["messages"] = TRY(value_of(run, input.messages));
  if (!input.tools.is_null()) variables["tools"] = TRY(value_of(run, input.tools));
  variables["add_generation_prompt"] = Value(input.add_generation_prompt);
  variables["bos_token"] = run.borrow(input.bos);
  variables["eos_token"] = run.borrow(input.eos);
  TRY(jinja::Evaluator(run, std::move(scope)).exec(impl_->block));
  return std::move(run.out);
}

}  // namespace varve
