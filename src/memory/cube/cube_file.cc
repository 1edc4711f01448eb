#include "memory/cube/cube_file.h"

#include <limits>

#include "core/format/json.h"

namespace varve {
namespace {

// Magic, version, header bytes, payload bytes; then header, payload, SHA-256 of all before. The magic has a
// byte above 127, a carriage return and a line feed, so that a transfer in text mode is noticed at once.
constexpr std::string_view kMagic(
    "\x93"
    "CUBE\r\n\x1a",
    8);
constexpr uint32_t kVersion = 1;
constexpr size_t kPreamble = 24, kHash = 32, kMaxHeaderBytes = 64 << 10;

void put(std::string& out, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out += char(uint8_t(value >> (8 * i)));
}

uint64_t take(std::string_view bytes) {
  uint64_t value = 0;
  for (size_t i = bytes.size(); i-- > 0;) value = value << 8 | uint8_t(bytes[i]);
  return value;
}

void set_time(Json& json, std::string_view key, const std::optional<TimeMs>& time) {
  if (time) json.set(key, Json(int64_t(*time)));
}

Status bad(std::string_view key) {
  return Status(Code::invalid, "the cube's header has a bad '" + std::string(key) + "'");
}

// Absent fields keep their default; fields it does not know are skipped.
class Fields {
 public:
  explicit Fields(const Json& json) : json_(json) {}
  Fields& text(std::string_view key, std::string& out) {
    if (const Json* value = find(key, &Json::is_string)) out = value->as_string();
    return *this;
  }
  Fields& time(std::string_view key, std::optional<TimeMs>& out) {
    if (const Json* value = find(key, &Json::is_int)) out = value->as_int();
    return *this;
  }
  Fields& number(std::string_view key, int64_t& out, int64_t low, int64_t high) {
    if (const Json* value = find(key, &Json::is_int)) {
      out = value->as_int();
      if (out < low || out > high) fail(key);
    }
    return *this;
  }
  Fields& real(std::string_view key, double& out) {
    if (const Json* value = find(key, &Json::is_number)) out = value->as_double();
    return *this;
  }
  template <class T>
  Fields& parsed(std::string_view key, T& out, Result<T> (*parse)(std::string_view)) {
    if (const Json* value = find(key, &Json::is_string)) {
      if (auto made = parse(value->as_string()); made.ok()) {
        out = *made;
      } else {
        fail(key);
      }
    }
    return *this;
  }
  Status done() { return std::move(status_); }

 private:
  const Json* find(std::string_view key, bool (Json::*is)() const) {
    const Json* value = json_.find(key);
    if (value == nullptr || (value->*is)()) return value;
    fail(key);
    return nullptr;
  }
  void fail(std::string_view key) {
    if (status_.ok()) status_ = bad(key);
  }

  const Json& json_;
  Status status_;
};

Status read_header(const Json& json, CubeHeader& h) {
  if (!json.is_object()) return Status(Code::invalid, "the cube's header is no JSON object");
  int64_t version = 1, turn = 0, recorded = 0;
  Hash256 model;
  constexpr int64_t kAny = std::numeric_limits<int64_t>::max();
  TRY(Fields(json)
          .parsed("id", h.id, CubeId::parse)
          .number("version", version, 1, std::numeric_limits<uint32_t>::max())
          .parsed("form", h.form, parse_form)
          .text("kind", h.kind)
          .parsed("life", h.life, parse_life)
          .text("owner", h.owner)
          .text("space", h.space)
          .text("title", h.title)
          .text("session", h.session)
          .number("turn", turn, std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max())
          .text("speaker", h.speaker)
          .text("origin", h.origin)
          .text("labels", h.labels)
          .number("recorded", recorded, -kAny, kAny)
          .time("event", h.event)
          .time("valid_from", h.valid_from)
          .time("valid_to", h.valid_to)
          .parsed("model", model, Hash256::from_hex)
          .parsed("trust", h.trust, parse_trust)
          .real("strength", h.strength)
          .text("why", h.why)
          .done());
  h.version = uint32_t(version);
  h.turn = int32_t(turn);
  h.recorded = recorded;
  if (json.find("model") != nullptr) h.model = model;
  return check_name("the owner in the cube's header", h.owner);
}

}  // namespace

std::string encode_cube_file(const CubeHeader& h, std::string_view payload) {
  Json json = Json::object();
  json.set("id", h.id.text()).set("version", int64_t(h.version)).set("form", to_string(h.form));
  json.set("kind", h.kind).set("life", to_string(h.life)).set("owner", h.owner).set("space", h.space);
  json.set("title", h.title).set("session", h.session).set("turn", int64_t(h.turn)).set("speaker", h.speaker);
  json.set("recorded", int64_t(h.recorded));
  if (!h.origin.empty()) json.set("origin", h.origin);
  if (!h.labels.empty()) json.set("labels", h.labels);
  set_time(json, "event", h.event);
  set_time(json, "valid_from", h.valid_from);
  set_time(json, "valid_to", h.valid_to);
  if (h.model) json.set("model", h.model->hex());
  json.set("trust", to_string(h.trust)).set("strength", h.strength).set("why", h.why);
  const std::string header = json.dump();
  std::string file(kMagic);
  put(file, kVersion, 4);
  put(file, header.size(), 4);
  put(file, payload.size(), 8);
  file.append(header).append(payload);
  const Hash256 hash = sha256(file);
  return file.append(reinterpret_cast<const char*>(hash.bytes.data()), hash.bytes.size());
}

Result<CubeDraft> parse_cube_file(std::string_view file) {
  if (!file.starts_with(kMagic)) return Status(Code::corrupt, "this is no .cube file");
  if (file.size() < kPreamble + kHash) return Status(Code::corrupt, "the .cube file ends too early");
  const uint64_t version = take(file.substr(8, 4)), header_bytes = take(file.substr(12, 4));
  const uint64_t payload_bytes = take(file.substr(16, 8));
  if (version != kVersion) {
    return Status(Code::unsupported, ".cube version " + std::to_string(version) +
                                         "; this Varve reads version " + std::to_string(kVersion));
  }
  const uint64_t room = file.size() - kPreamble - kHash;
  if (header_bytes > kMaxHeaderBytes || header_bytes > room || payload_bytes != room - header_bytes) {
    return Status(Code::corrupt, "the .cube file has another length than it states");
  }
  const Hash256 hash = sha256(file.substr(0, file.size() - kHash));
  if (file.substr(file.size() - kHash) !=
      std::string_view(reinterpret_cast<const char*>(hash.bytes.data()), hash.bytes.size())) {
    return Status(Code::corrupt, "the .cube file is damaged: its SHA-256 differs");
  }
  const Json json = TRY(parse_json(file.substr(kPreamble, header_bytes),
                                   {.max_bytes = kMaxHeaderBytes, .max_depth = 8, .max_items = 1000}));
  CubeDraft draft;
  TRY(read_header(json, draft.header));
  draft.payload = std::string(file.substr(kPreamble + header_bytes, payload_bytes));
  TRY(check_draft(draft).with("reading a .cube file"));
  return draft;
}

}  // namespace varve
