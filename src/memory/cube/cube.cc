#include "memory/cube/cube.h"

#include <algorithm>
#include <cmath>

#include "core/format/json.h"

namespace varve {
namespace {

constexpr std::string_view kForms[] = {"plaintext", "activation", "parametric"};
constexpr std::string_view kLives[] = {"draft", "active", "archived", "expired", "erased"};
constexpr std::string_view kTrusts[] = {"outside", "model", "user"};

template <class Enum, size_t size>
Result<Enum> parse(std::string_view what, std::string_view text, const std::string_view (&names)[size]) {
  std::string known;
  for (size_t i = 0; i < size; ++i) {
    if (text == names[i]) return Enum(i);
    known.append(i == 0 ? "" : ", ").append(names[i]);
  }
  return Status(Code::invalid, "no " + std::string(what) + " is named so; there are " + known);
}

// The length of the well-formed UTF-8 character at the front of `text`, or 0 (Unicode 15, table 3-7).
size_t character_bytes(std::string_view text) {
  const auto at = [&](size_t i) { return i < text.size() ? uint8_t(text[i]) : 0u; };
  const auto tail = [&](size_t i) { return (at(i) & 0xC0) == 0x80; };
  const uint32_t first = at(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return tail(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    const uint32_t low = first == 0xE0 ? 0xA0 : 0x80, high = first == 0xED ? 0x9F : 0xBF;
    return at(1) >= low && at(1) <= high && tail(2) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const uint32_t low = first == 0xF0 ? 0x90 : 0x80, high = first == 0xF4 ? 0x8F : 0xBF;
    return at(1) >= low && at(1) <= high && tail(2) && tail(3) ? 4 : 0;
  }
  return 0;
}

Status check_utf8(std::string_view what, std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const size_t bytes = character_bytes(text.substr(i, 4));
    if (bytes == 0) {
      return Status(Code::invalid, std::string(what) + " is not UTF-8 at byte " + std::to_string(i));
    }
    i += bytes;
  }
  return {};
}

Status too_long(std::string_view what, int64_t bytes, int64_t limit) {
  return Status(Code::invalid, std::string(what) + " has " + std::to_string(bytes) + " bytes; the limit is " +
                                   std::to_string(limit));
}

Status check_labels(std::string_view labels) {
  if (labels.empty()) return {};
  const Json json = TRY(parse_json(labels, {.max_bytes = kMaxLabelBytes, .max_depth = 16, .max_items = 1000})
                            .with("reading the labels"));
  return json.is_object() ? Status() : Status(Code::invalid, "the labels must be one JSON object");
}

Status check_payload(const CubeDraft& draft) {
  const bool words = draft.header.form == Form::plaintext;
  const int64_t bytes = int64_t(draft.payload.size()), limit = words ? kMaxPlaintextBytes : kMaxPayloadBytes;
  if (bytes > limit) return too_long("the payload", bytes, limit);
  if (words) return check_utf8("the text", draft.payload);
  if (!draft.header.model) return Status(Code::invalid, "a cube that is not plaintext must name its model");
  return {};
}

}  // namespace

std::string_view to_string(Form form) {
  return kForms[size_t(form)];
}
std::string_view to_string(Life life) {
  return kLives[size_t(life)];
}
std::string_view to_string(Trust trust) {
  return kTrusts[size_t(trust)];
}
Result<Form> parse_form(std::string_view text) {
  return parse<Form>("form", text, kForms);
}
Result<Life> parse_life(std::string_view text) {
  return parse<Life>("life", text, kLives);
}
Result<Trust> parse_trust(std::string_view text) {
  return parse<Trust>("trust", text, kTrusts);
}

std::string CubeId::text() const {
  static const char digits[] = "0123456789abcdef";
  std::string text;
  for (uint8_t byte : bytes) text += {digits[byte >> 4], digits[byte & 15]};
  return text;
}

CubeId CubeId::make(TimeMs now) {
  CubeId id;
  secure_random(std::as_writable_bytes(std::span(id.bytes)));
  const uint64_t ms = now < 0 ? 0 : uint64_t(now);
  for (int i = 0; i < 6; ++i) id.bytes[i] = uint8_t(ms >> (40 - 8 * i));
  return id;
}

Result<CubeId> CubeId::parse(std::string_view text) {
  CubeId id;
  if (text.size() != 32) return Status(Code::invalid, "a cube's id has 32 hexadecimal digits");
  for (size_t i = 0; i < 32; ++i) {
    const char c = text[i];
    const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (digit < 0) return Status(Code::invalid, "a cube's id is written with 0-9 and a-f");
    id.bytes[i / 2] = uint8_t(id.bytes[i / 2] << 4 | digit);
  }
  return id;
}

Status check_name(std::string_view what, std::string_view name) {
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  bool good = !name.empty() && name.size() <= 64 && plain(name[0]);
  for (char c : name) good = good && (plain(c) || c == '_' || c == '.' || c == '-');
  if (good) return {};
  return Status(
      Code::invalid,
      std::string(what) + " must be 1 to 64 of a-z, 0-9, '_', '.', '-' and begin with a letter or digit");
}

Status check_space(std::string_view space) {
  const size_t colon = space.find(':');
  TRY(check_name("a space", space.substr(0, colon)));
  return colon == std::string_view::npos ? Status() : check_name("a space", space.substr(colon + 1));
}

std::string Principal::whole() const {  // no name holds a line's end
  if (agent.empty() && session.empty()) return name;
  return name + "\n" + agent + (session.empty() ? "" : "\n" + session);
}

Status check_text(std::string_view what, std::string_view text, size_t max_bytes) {
  if (text.size() > max_bytes) return too_long(what, int64_t(text.size()), int64_t(max_bytes));
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = uint8_t(text[i]);
    if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7F) {
      return Status(Code::invalid,
                    std::string(what) + " has a control character at byte " + std::to_string(i));
    }
  }
  return check_utf8(what, text);
}

bool is_evidence(std::string_view kind) {
  return kind == "turn" || kind == "document";
}

Status check_draft(const CubeDraft& draft) {
  const CubeHeader& h = draft.header;
  TRY(check_name("a kind", h.kind));
  if (!h.space.empty()) TRY(check_space(h.space));
  TRY(check_text("the title", h.title, kMaxTitleBytes));
  TRY(check_text("the session", h.session, kMaxNameBytes));
  TRY(check_text("the speaker", h.speaker, kMaxNameBytes));
  TRY(check_text("the reason", h.why, kMaxWhyBytes));
  TRY(check_text("the origin", h.origin, kMaxNameBytes));
  TRY(check_labels(h.labels));
  TRY(check_payload(draft));
  if (h.life == Life::erased) return Status(Code::invalid, "a cube is not born erased");
  if (!std::isfinite(h.strength) || h.strength < 0 || h.strength > 1e6) {
    return Status(Code::invalid, "strength must lie between 0 and 1000000");
  }
  if (std::max({h.from.size(), h.supersedes.size(), h.contradicts.size()}) > kMaxSources) {
    return Status(Code::invalid, "a cube has at most " + std::to_string(kMaxSources) + " sources");
  }
  return {};
}

}  // namespace varve
