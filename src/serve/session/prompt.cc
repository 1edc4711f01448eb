#include "serve/session/prompt.h"

namespace varve {
namespace {

Json fused(const Json& messages) {
  Json out = Json::array();
  for (const Json& one : messages.as_array()) {
    Json* last = out.size() == 0 ? nullptr : &out.as_array().back();
    const bool joins = last && one["role"] == (*last)["role"] && one["content"].is_string() &&
                       (*last)["content"].is_string() && one["role"].is_string() &&
                       one["role"].as_string() != "tool";
    if (joins) {
      last->set("content", (*last)["content"].as_string() + "\n\n" + one["content"].as_string());
    } else {
      out.push(one);
    }
  }
  return out;
}

// For templates that refuse a system message: its words open the first message instead.
Json without_system(Json messages) {
  Json::Array& all = messages.as_array();
  if (all.size() < 2 || !all[0]["content"].is_string() || !all[1]["content"].is_string()) return messages;
  all[1].set("content", all[0]["content"].as_string() + "\n\n" + all[1]["content"].as_string());
  all.erase(all.begin());
  return messages;
}
bool has_system(const Json& messages) {
  return messages.size() > 0 && messages.as_array()[0]["role"] == Json("system");
}

std::string words_of(const Json& content) {
  if (content.is_string()) return content.as_string();
  std::string all;
  if (content.is_array()) {
    for (const Json& part : content.as_array()) {
      if (part["text"].is_string()) all += part["text"].as_string();
    }
  }
  return all;
}

std::string plain_text(const Json& messages) {
  std::string text;
  for (const Json& one : messages.as_array()) {
    const std::string words = words_of(one["content"]);
    if (one["role"] == Json("system")) {
      text += words + "\n\n";
    } else {
      text += (one["role"] == Json("assistant") ? "Assistant: " : "User: ") + words + "\n";
    }
  }
  return text + "Assistant:";
}

std::string shown(const Tokenizer& tokenizer, std::optional<Token> token) {
  std::string text;
  if (token) tokenizer.decode(*token, true, text);
  return text;
}

}  // namespace

Json message(std::string_view role, std::string_view content) {
  return Json::object().set("role", role).set("content", content);
}

Prompter::Prompter(const Model& model) : model_(model) {
  const Tokenizer& tokenizer = *model.tokenizer();
  for (Token token = 0; token < tokenizer.size(); ++token) {
    if (!tokenizer.is_control(token)) continue;
    std::string text = shown(tokenizer, token);
    if (text.size() < 3) continue;  // no marker is that short
    begins_control_[uint8_t(text[0])] = true;
    controls_.push_back(std::move(text));
  }
}

// A zero-width space after the first byte of a marker: the words stay readable, the token is gone.
std::string Prompter::harmless(std::string_view text) const {
  std::string out;
  for (size_t at = 0; at < text.size(); ++at) {
    out += text[at];
    if (!begins_control_[uint8_t(text[at])]) continue;
    for (const std::string& control : controls_) {
      if (text.substr(at, control.size()) != control) continue;
      out += "\u200B";
      break;
    }
  }
  return out;
}

void Prompter::make_harmless(Json& value) const {
  if (value.is_string()) {
    value = harmless(value.as_string());
  } else if (value.is_array()) {
    for (Json& item : value.as_array()) make_harmless(item);
  } else if (value.is_object()) {
    for (auto& [key, item] : value.as_object()) {
      if (key != "role") make_harmless(item);
    }
  }
}

Result<Prompt> Prompter::write(const Json& messages, const Json& tools, const Json& extra, TimeMs now) const {
  const Tokenizer& tokenizer = *model_.tokenizer();
  ChatInput input;
  input.messages = fused(messages);
  make_harmless(input.messages);
  const ChatTemplate* form = model_.chat_template();
  if (form == nullptr) return Prompt{tokenize_prompt(tokenizer, plain_text(input.messages)), {"\nUser:"}};
  input.tools = tools;
  input.extra = extra;
  input.bos = shown(tokenizer, tokenizer.special().bos);
  input.eos = shown(tokenizer, tokenizer.special().eos);
  input.now = now;
  auto text = form->render(input);
  if (!text.ok() && has_system(input.messages)) {
    input.messages = without_system(std::move(input.messages));
    if (auto again = form->render(input); again.ok()) text = std::move(again);
  }
  return Prompt{tokenize_prompt(tokenizer, TRY(std::move(text))), {}};
}

int32_t Prompter::count(std::string_view text) const {
  std::vector<Token> tokens;
  model_.tokenizer()->encode(text, false, tokens);
  return int32_t(tokens.size());
}

}  // namespace varve
