#include "serve/session/prompt.h"

#include <algorithm>

namespace varve {
namespace {

// Stands before words that spell a control token, through the template to the tokenizer, and is left out
// there. Unicode promises that it is no character.
constexpr std::string_view kMark = "\uFDD0";

std::string without_marks(std::string_view text) {
  std::string out;
  for (size_t at; (at = text.find(kMark)) != std::string_view::npos; text.remove_prefix(at + kMark.size()))
    out += text.substr(0, at);
  return out.append(text);
}

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

const Json* begun_answer(const Json& messages) {
  if (messages.size() < 2) return nullptr;
  const Json& last = messages.as_array().back();
  const bool begun = last["role"] == Json("assistant") && last["content"].is_string() &&
                     !last["content"].as_string().empty() && last["tool_calls"].is_null();
  return begun ? &last : nullptr;
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

// Where words spell a control token, or end as one begins: the rest may stand in the next string.
std::string Prompter::marked(std::string_view text) const {
  std::string out;
  for (size_t at = 0; at < text.size(); ++at) {
    const std::string_view rest = text.substr(at);
    const bool near = begins_control_[uint8_t(text[at])] &&
                      std::any_of(controls_.begin(), controls_.end(), [&](const std::string& control) {
                        return rest.starts_with(control) || control.starts_with(rest);
                      });
    if (near) out += kMark;
    out += text[at];
  }
  return out;
}

void Prompter::mark(Json& value) const {
  if (value.is_string()) {
    value = marked(value.as_string());
  } else if (value.is_array()) {
    for (Json& item : value.as_array()) mark(item);
  } else if (value.is_object()) {
    for (auto& [key, item] : value.as_object()) {
      key = marked(key);
      mark(item);
    }
  }
}

// The control token's text that `text` begins with; empty: none.
std::string_view Prompter::control_at(std::string_view text) const {
  std::string_view longest;
  if (!begins_control_[uint8_t(text[0])]) return longest;
  for (const std::string& control : controls_) {
    if (control.size() > longest.size() && text.starts_with(control)) longest = control;
  }
  return longest;
}

// A stretch between two control tokens that holds a mark is plain text; all else is as the tokenizer reads
// it.
std::vector<Token> Prompter::tokens_of(std::string_view text) const {
  const Tokenizer& tokenizer = *model_.tokenizer();
  std::vector<Token> tokens;
  while (!text.empty()) {
    const size_t first_mark = std::min(text.find(kMark), text.size());
    size_t begin = 0, end = 0;
    while (first_mark < text.size() && end < text.size()) {
      const std::string_view control = control_at(text.substr(end));
      if (control.empty() || text.substr(0, end).ends_with(kMark)) {
        ++end;
      } else if (end < first_mark) {
        begin = end += control.size();
      } else {
        break;
      }
    }
    if (first_mark == text.size()) begin = end = text.size();
    tokenizer.encode(text.substr(0, begin), true, tokens);
    tokenizer.encode(without_marks(text.substr(begin, end - begin)), false, tokens);
    text.remove_prefix(end);
  }
  return as_prompt(tokenizer, std::move(tokens));
}

// An answer that was begun is gone on with: its words follow the template's own beginning of an answer.
Result<Prompt> Prompter::write(const Json& messages, const Json& tools, const Json& extra, TimeMs now) const {
  if (const Json* begun = begun_answer(messages)) {
    Json before = messages;
    before.as_array().pop_back();
    Prompt prompt = TRY(write(before, tools, extra, now));
    model_.tokenizer()->encode((*begun)["content"].as_string(), false, prompt.tokens);
    return prompt;
  }
  const Tokenizer& tokenizer = *model_.tokenizer();
  ChatInput input;
  input.messages = fused(messages);
  input.tools = tools;
  input.extra = extra;
  for (Json* part : {&input.messages, &input.tools, &input.extra}) mark(*part);
  const ChatTemplate* form = model_.chat_template();
  if (form == nullptr) return Prompt{tokens_of(plain_text(input.messages)), {"\nUser:"}};
  input.bos = shown(tokenizer, tokenizer.special().bos);
  input.eos = shown(tokenizer, tokenizer.special().eos);
  input.now = now;
  auto text = form->render(input);
  if (!text.ok() && has_system(input.messages)) {
    input.messages = without_system(std::move(input.messages));
    if (auto again = form->render(input); again.ok()) text = std::move(again);
  }
  return Prompt{tokens_of(TRY(std::move(text))), {}};
}

int32_t Prompter::count(std::string_view text) const {
  std::vector<Token> tokens;
  model_.tokenizer()->encode(text, false, tokens);
  return int32_t(tokens.size());
}

}  // namespace varve
