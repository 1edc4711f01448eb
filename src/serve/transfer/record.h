// Records: one piece of an export to what the store would be told. A format is a row of a table: how it is
// recognised, and how it is read. Nothing here is believed: who claims trust, and what for, is the importer's
// business.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/format/json.h"
#include "memory/cube/cube_store.h"

namespace varve {

struct Record {
  CubeDraft draft;                 // its origin says what it is; its trust is the file's claim
  std::vector<CubeDraft> earlier;  // versions before it, oldest first
  std::vector<std::string> from;   // origins of what it was derived from
};

struct RecordFormat {
  std::string_view name;  // "chatgpt", also the beginning of origins
  bool (*recognises)(const Json& piece);
  Result<std::vector<Record>> (*read)(const Json& piece);
};
std::span<const RecordFormat> record_formats();
const RecordFormat* format_of(const Json& piece);  // null: none recognises it

// The formats, by file.
bool is_chatgpt(const Json& piece);
Result<std::vector<Record>> read_chatgpt(const Json& piece);
bool is_claude(const Json& piece);
Result<std::vector<Record>> read_claude(const Json& piece);
bool is_mem0(const Json& piece);
Result<std::vector<Record>> read_mem0(const Json& piece);
bool is_own(const Json& piece);
Result<std::vector<Record>> read_own(const Json& piece);

// Shared by them. A conversation's messages: who, what, when.
struct ReadMessage {
  std::string id;
  bool user = false;
  std::string text;
  std::optional<TimeMs> time;
};
std::vector<Record> conversation_records(std::string_view format, std::string_view id, std::string_view title,
                                         std::vector<ReadMessage> messages);
std::string text_at(const Json& json, std::string_view key);  // empty unless a string
// Seconds since 1970, or a date in words.
std::optional<TimeMs> time_at(const Json& json, std::string_view key);
// An origin as short as the store wants it: "chatgpt:ID", of a long id its hash.
std::string origin_of(std::string_view format, std::string_view id);
std::string cut_text(std::string_view text, size_t bytes);  // whole characters, no control characters

}  // namespace varve
