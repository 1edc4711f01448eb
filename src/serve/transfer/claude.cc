// Claude's conversations.json: each conversation is a list of messages in order.
#include "serve/transfer/record.h"

namespace varve {
namespace {

std::string words_of(const Json& message) {
  std::string text;
  if (message["content"].is_array()) {
    for (const Json& part : message["content"].as_array()) {
      if (text_at(part, "type") != "text") continue;
      const std::string words = text_at(part, "text");
      if (!words.empty()) text += (text.empty() ? "" : "\n") + words;
    }
  }
  return text.empty() ? text_at(message, "text") : text;
}

}  // namespace

bool is_claude(const Json& piece) {
  return piece["chat_messages"].is_array();
}

Result<std::vector<Record>> read_claude(const Json& piece) {
  const std::optional<TimeMs> begun = time_at(piece, "created_at");
  std::vector<ReadMessage> messages;
  for (const Json& message : piece["chat_messages"].as_array()) {
    const std::string sender = text_at(message, "sender");
    if (sender != "human" && sender != "assistant") continue;
    const auto time = time_at(message, "created_at");
    messages.push_back({text_at(message, "uuid"), sender == "human", words_of(message), time ? time : begun});
  }
  std::string id = text_at(piece, "uuid");
  if (id.empty()) id = messages.empty() ? "" : messages.front().id;
  return conversation_records("claude", id, text_at(piece, "name"), std::move(messages));
}

}  // namespace varve
