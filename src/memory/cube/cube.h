// MemCube: the unit of durable memory. A payload of one of three forms in one envelope: identity, versions,
// rights, provenance, validity in time, life.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/hash.h"
#include "core/base/status.h"

namespace varve {

enum class Form : uint8_t { plaintext, activation, parametric };
// draft: proposed. active: recalled. archived: kept, not recalled. expired: its validity ended or a newer
// cube took its place. erased: payload gone, a tombstone without words remains.
enum class Life : uint8_t { draft, active, archived, expired, erased };
std::string_view to_string(Form form);
std::string_view to_string(Life life);
Result<Form> parse_form(std::string_view text);
Result<Life> parse_life(std::string_view text);

struct CubeId {  // 128 bits: 48 of time in milliseconds, 80 random; sorts by age, cannot be guessed
  std::array<uint8_t, 16> bytes{};
  auto operator<=>(const CubeId&) const = default;
  std::string text() const;  // 32 hexadecimal digits
  static CubeId make(TimeMs now);
  static Result<CubeId> parse(std::string_view text);
};

// Every call says who asks; there is no ambient root. A name is 1-64 of [a-z0-9_.-] and begins with a letter
// or digit.
struct Principal {
  std::string name;
  std::string agent;    // acts for `name`, with no more than the rights it was lent; empty: the user itself
  std::string session;  // confined to what was said in this conversation; empty: not confined
  std::string whole() const;  // all three as one, to keep apart what belongs to each
};
Status check_name(std::string_view what, std::string_view name);
// A space is a principal's own, named as it is, or one of its others: "alice:family".
Status check_space(std::string_view space);

// How far a cube's words may be believed: the lowest of its lineage. Tool output and files never speak as the
// system.
enum class Trust : uint8_t { outside, model, user };
std::string_view to_string(Trust trust);
Result<Trust> parse_trust(std::string_view text);

struct Source {  // provenance: what it was derived from
  CubeId cube;
  uint32_t version = 1;
  auto operator<=>(const Source&) const = default;
};

struct CubeHeader {
  CubeId id;
  uint32_t version = 1;
  Form form = Form::plaintext;
  std::string kind;  // "turn" (evidence: never revised), "fact", "note", "document", ...
  Life life = Life::active;
  std::string owner;  // principal
  std::string space;  // namespace with rights; a principal's own space has the principal's name
  std::string title;
  std::string session;          // conversation it was said in, or empty
  int32_t turn = 0;             // place in that conversation
  std::string speaker;          // "user", "assistant", a person's name
  std::string origin;           // what it was imported from, so that it is not imported twice; or empty
  std::string labels;           // what the caller keeps with this version: a JSON object, or empty
  TimeMs recorded = 0;          // when Varve learnt it
  std::optional<TimeMs> event;  // when it happened, if it says so
  std::optional<TimeMs> valid_from, valid_to;
  std::vector<Source> from;
  // What this takes the place of: expired with it, valid again when this is erased. Only of a new cube.
  std::vector<CubeId> supersedes;
  // What this cannot be true beside. Both are kept; the one that held from later on stays valid, the other is
  // closed, and the pair is listed until somebody settles it. Only of a new cube.
  std::vector<CubeId> contradicts;
  std::optional<Hash256> model;  // required unless plaintext
  Trust trust = Trust::user;
  double strength = 1;         // decays, is refreshed by use
  std::optional<TimeMs> used;  // when it was last strengthened
  bool relearn = false;        // learnt from something erased since: not used until a new version is learnt
  std::string why;             // of this version: shown to the user
  int64_t payload_bytes = 0;
  Hash256 payload_hash;
};

struct CubeDraft {
  CubeHeader
      header;  // id, version, owner, recorded, payload_* are filled in by the store; space: own by default
  std::string payload;
};

// Evidence is what was said or read: a "turn" or a "document". Its words are never revised.
bool is_evidence(std::string_view kind);

// Bounds of a draft, checked by check_draft(): Code::invalid says which field and, in bad UTF-8, which byte.
constexpr int64_t kMaxPlaintextBytes = 16 << 20, kMaxPayloadBytes = 256 << 20;
constexpr size_t kMaxTitleBytes = 1024, kMaxWhyBytes = 4096, kMaxNameBytes = 256, kMaxSources = 4096;
constexpr size_t kMaxLabelBytes = 16 << 10;
Status check_draft(const CubeDraft& draft);
Status check_text(std::string_view what, std::string_view text, size_t max_bytes);

}  // namespace varve

template <>
struct std::hash<varve::CubeId> {
  size_t operator()(const varve::CubeId& id) const noexcept {
    size_t tail;
    std::memcpy(&tail, id.bytes.data() + 8, sizeof(tail));
    return tail;
  }
};
