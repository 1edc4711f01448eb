// ChatGPT's conversations.json: each conversation is a tree of messages. What was said is the path from its
// current node to the root; the branches beside it were given up.
#include <algorithm>
#include <set>

#include "serve/transfer/record.h"

namespace varve {
namespace {

// Words of a message: the parts that are strings, or hold text.
std::string words_of(const Json& content) {
  std::string text;
  const Json& parts = content["parts"];
  if (!parts.is_array()) return text_at(content, "text");
  for (const Json& part : parts.as_array()) {
    const std::string words = part.is_string() ? part.as_string() : text_at(part, "text");
    if (words.empty()) continue;
    text += (text.empty() ? "" : "\n") + words;
  }
  return text;
}

// Nobody said what is hidden, what a tool was told, or what was thought.
bool is_said(const Json& message) {
  const std::string type = text_at(message["content"], "content_type"), to = text_at(message, "recipient");
  return (type == "text" || type == "multimodal_text") && (to.empty() || to == "all") &&
         message["metadata"]["is_visually_hidden_from_conversation"] != Json(true);
}

// Where a conversation without a current node ends: the newest node without children.
std::string newest_leaf(const Json& mapping) {
  std::string leaf;
  TimeMs newest = 0;
  for (const auto& [id, node] : mapping.as_object()) {
    if (node["children"].size() > 0) continue;
    const TimeMs time = time_at(node["message"], "create_time").value_or(0);
    if (leaf.empty() || time > newest) leaf = id, newest = time;
  }
  return leaf;
}

}  // namespace

bool is_chatgpt(const Json& piece) {
  return piece["mapping"].is_object();
}

Result<std::vector<Record>> read_chatgpt(const Json& piece) {
  const Json& mapping = piece["mapping"];
  std::string at = text_at(piece, "current_node");
  if (mapping.find(at) == nullptr) at = newest_leaf(mapping);
  const std::optional<TimeMs> begun = time_at(piece, "create_time");
  std::vector<ReadMessage> messages;
  std::set<std::string> seen;
  for (; !at.empty(); at = text_at(mapping[at], "parent")) {
    if (!seen.insert(at).second) return Status(Code::invalid, "the conversation's tree has a circle");
    const Json& message = mapping[at]["message"];
    const std::string role = text_at(message["author"], "role");
    if ((role != "user" && role != "assistant") || !is_said(message)) continue;
    const auto time = time_at(message, "create_time");
    messages.push_back({at, role == "user", words_of(message["content"]), time ? time : begun});
  }
  std::reverse(messages.begin(), messages.end());
  std::string id = text_at(piece, "conversation_id");
  if (id.empty()) id = text_at(piece, "id");
  if (id.empty()) id = messages.empty() ? "" : messages.front().id;
  return conversation_records("chatgpt", id, text_at(piece, "title"), std::move(messages));
}

}  // namespace varve
