#include "serve/transfer/record.h"

#include <cmath>

#include "core/base/hash.h"

namespace varve {
namespace {

constexpr RecordFormat kFormats[] = {{"varve", is_own, read_own},
                                     {"chatgpt", is_chatgpt, read_chatgpt},
                                     {"claude", is_claude, read_claude},
                                     {"mem0", is_mem0, read_mem0}};
constexpr double kLatestSeconds = 253402300799;  // the end of the year 9999

bool blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

// A second's fraction as three digits: exports write one to nine.
std::string in_milliseconds(std::string text) {
  const size_t point = text.find('.');
  if (point == std::string::npos) return text;
  size_t end = point + 1;
  while (end < text.size() && text[end] >= '0' && text[end] <= '9') ++end;
  std::string digits = text.substr(point + 1, end - point - 1);
  digits.resize(3, '0');
  return text.replace(point + 1, end - point - 1, digits);
}

std::string session_of(std::string_view format, std::string_view id) {
  const std::string name = std::string(format) + "-" + std::string(id);
  if (check_name("a session", name).ok()) return name;
  return std::string(format) + "-" + sha256(id).hex().substr(0, 32);
}

}  // namespace

std::span<const RecordFormat> record_formats() {
  return kFormats;
}

const RecordFormat* format_of(const Json& piece) {
  for (const RecordFormat& format : kFormats) {
    if (format.recognises(piece)) return &format;
  }
  return nullptr;
}

std::string text_at(const Json& json, std::string_view key) {
  return json[key].is_string() ? json[key].as_string() : std::string();
}

std::optional<TimeMs> time_at(const Json& json, std::string_view key) {
  const Json& value = json[key];
  if (value.is_number() && std::abs(value.as_double()) <= kLatestSeconds)
    return TimeMs(std::llround(value.as_double() * 1000));
  if (!value.is_string()) return std::nullopt;
  auto time = parse_time(in_milliseconds(value.as_string()));
  return time.ok() ? std::optional(*time) : std::nullopt;
}

std::string origin_of(std::string_view format, std::string_view id) {
  const std::string origin = std::string(format) + ":" + std::string(id);
  if (check_text("the origin", origin, kMaxNameBytes).ok()) return origin;
  return std::string(format) + ":sha256-" + sha256(id).hex();
}

std::string cut_text(std::string_view text, size_t bytes) {
  std::string out(text.substr(0, bytes));
  size_t end = out.size();
  while (end > 0 && text.size() > end && (uint8_t(text[end]) & 0xC0) == 0x80) --end;
  out.resize(end);
  for (char& c : out) c = uint8_t(c) < 0x20 || c == 0x7F ? ' ' : c;
  return out;
}

// A turn is what the user said and the answers to it.
std::vector<Record> conversation_records(std::string_view format, std::string_view id, std::string_view title,
                                         std::vector<ReadMessage> messages) {
  std::vector<Record> records;
  int32_t turn = -1, place = 0;
  for (ReadMessage& message : messages) {
    if (message.user || turn < 0) ++turn;
    ++place;
    if (blank(message.text)) continue;
    const std::string own = message.id.empty() ? std::to_string(place) : message.id;
    Record& record = records.emplace_back();
    CubeHeader& header = record.draft.header;
    header.kind = "turn";
    header.session = session_of(format, id);
    header.turn = turn;
    header.speaker = message.user ? "user" : "assistant";
    header.title = cut_text(title, kMaxTitleBytes);
    header.event = message.time;
    header.origin = origin_of(format, std::string(id) + "/" + own);
    header.trust = message.user ? Trust::user : Trust::model;
    record.draft.payload = std::move(message.text);
  }
  return records;
}

}  // namespace varve
