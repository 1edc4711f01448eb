#include "memory/cube/store/rows.h"

#include <algorithm>
#include <bit>

#include "memory/cube/store/row_bytes.h"

namespace varve {
namespace {

enum Place : int { in_row = 0, in_blob = 1, gone = 2 };

std::optional<int64_t> number(const std::optional<Life>& life) {
  return life ? std::optional<int64_t>(int64_t(*life)) : std::nullopt;
}

int64_t crc_of(const CubeState& s) {
  RowBytes fields;
  fields.add(s.id.bytes)
      .add(int64_t(s.version))
      .add(int64_t(s.form))
      .add(int64_t(s.life))
      .add(s.kind)
      .add(s.owner)
      .add(s.space)
      .add(s.session)
      .add(s.ended)
      .add(number(s.life_before))
      .add(std::bit_cast<int64_t>(s.strength));
  if (!s.origin.empty()) fields.add(s.origin);  // older rows have none of these
  if (s.used) fields.add(1).add(*s.used);
  if (s.relearn) fields.add(2);
  return fields.crc();
}

int64_t crc_of(const CubeHeader& h) {  // of what belongs to the version
  RowBytes fields;
  fields.add(h.id.bytes)
      .add(int64_t(h.version))
      .add(h.title)
      .add(int64_t(h.turn))
      .add(h.speaker)
      .add(h.recorded);
  fields.add(h.event).add(h.valid_from).add(h.valid_to);
  fields.add(int64_t(h.from.size()));
  for (const Source& source : h.from) fields.add(source.cube.bytes).add(int64_t(source.version));
  if (h.model) fields.add(h.model->bytes);
  fields.add(int64_t(h.trust)).add(h.why).add(h.payload_bytes).add(h.payload_hash.bytes);
  if (!h.labels.empty()) fields.add(h.labels);
  return fields.crc();
}

template <class Bytes>
bool take(std::string_view raw, Bytes& bytes) {  // false when a damaged row has another length
  if (raw.size() != bytes.size()) return false;
  std::memcpy(bytes.data(), raw.data(), raw.size());
  return true;
}

bool within(int64_t value, int64_t limit) {
  return value >= 0 && value <= limit;
}

}  // namespace

Status damaged(CubeId id, std::string_view what) {
  return Status(Code::corrupt, "cube " + id.text() + " is damaged (" + std::string(what) +
                                   "): erase it, or bring back the store from a backup");
}

Status no_version(CubeId id, uint32_t version) {
  return Status(Code::invalid, "cube " + id.text() + " has no version " + std::to_string(version));
}

Result<bool> named(sql::Database& database, const Hash256& blob) {
  return TRY(database.number("SELECT 1 FROM versions WHERE payload_hash = ? AND place = 1 LIMIT 1",
                             blob.bytes))
      .has_value();
}

Result<std::optional<CubeState>> CubeRows::state(CubeId id) const {
  auto row = TRY(
      db_.query("SELECT version, form, life, kind, owner, space, session, ended, life_before, strength, crc, "
                "origin, used, relearn FROM cubes WHERE id = ?",
                id.bytes));
  if (!TRY(row.step())) return std::optional<CubeState>();
  CubeState s;
  s.id = id;
  s.version = uint32_t(row.integer(0));
  const int64_t form = row.integer(1), life = row.integer(2);
  s.form = Form(form);
  s.life = Life(life);
  s.kind = row.text(3);
  s.owner = row.text(4);
  s.space = row.text(5);
  s.session = row.text(6);
  s.ended = row.maybe(7);
  if (auto before = row.maybe(8)) s.life_before = Life(*before);
  s.strength = row.real(9);
  s.origin = row.text(11);
  s.used = row.maybe(12);
  s.relearn = row.integer(13) != 0;
  s.sound = within(form, int64_t(Form::parametric)) && within(life, int64_t(Life::erased)) &&
            crc_of(s) == row.integer(10);
  if (!s.sound) s.form = Form::plaintext;  // a value outside the enumeration must not spread
  return std::optional(s);
}

Status CubeRows::save(const CubeState& s) {
  return db_.run(
      "INSERT INTO cubes(id, version, form, life, kind, owner, space, session, ended, life_before, strength, "
      "crc, origin, used, relearn) "
      "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15) ON CONFLICT(id) DO UPDATE "
      "SET version = ?2, form = ?3, life = ?4, kind = ?5, owner = ?6, space = ?7, session = ?8, ended = ?9, "
      "life_before = ?10, strength = ?11, crc = ?12, origin = ?13, used = ?14, relearn = ?15",
      s.id.bytes, s.version, int64_t(s.form), int64_t(s.life), s.kind, s.owner, s.space, s.session, s.ended,
      number(s.life_before), s.strength, crc_of(s), s.origin, s.used, s.relearn);
}

Result<CubeHeader> CubeRows::header(const CubeState& state, uint32_t version) const {
  if (!state.sound) return damaged(state.id, "its state");
  CubeHeader h;
  h.id = state.id;
  h.version = version == 0 ? state.version : version;
  auto row = TRY(db_.query(
      "SELECT title, turn, speaker, recorded, event, valid_from, valid_to, model, trust, why, payload_bytes, "
      "payload_hash, crc, labels FROM versions WHERE id = ? AND version = ?",
      state.id.bytes, h.version));
  if (!TRY(row.step())) {
    if (h.version == state.version) return damaged(state.id, "its newest version is missing");
    return Status(Code::not_found,
                  "cube " + state.id.text() + " has no version " + std::to_string(h.version));
  }
  h.form = state.form;
  h.kind = state.kind;
  h.life = state.life;
  h.owner = state.owner;
  h.space = state.space;
  h.session = state.session;
  h.origin = state.origin;
  h.strength = state.strength;
  h.used = state.used;
  h.relearn = state.relearn;
  h.title = row.text(0);
  h.turn = int32_t(row.integer(1));
  h.speaker = row.text(2);
  h.recorded = row.integer(3);
  h.event = row.maybe(4);
  h.valid_from = row.maybe(5);
  h.valid_to = row.maybe(6);
  bool whole = true;
  if (!row.null(7)) whole = take(row.view(7), h.model.emplace().bytes);
  whole = whole && within(row.integer(8), int64_t(Trust::user));
  h.trust = Trust(row.integer(8));
  h.why = row.text(9);
  h.payload_bytes = row.integer(10);
  whole = whole && take(row.view(11), h.payload_hash.bytes);
  h.labels = row.text(13);
  h.from = TRY(sources(h.id, h.version));
  if (!whole || crc_of(h) != row.integer(12)) return damaged(h.id, "version " + std::to_string(h.version));
  h.supersedes = TRY(ids("SELECT older FROM supersedes WHERE newer = ? AND verdict < 2", h.id));
  h.contradicts = TRY(ids("SELECT older FROM supersedes WHERE newer = ? AND verdict > 0", h.id));
  if (state.ended && (!h.valid_to || *state.ended < *h.valid_to)) h.valid_to = state.ended;
  return h;
}

Result<std::string> CubeRows::payload(const CubeHeader& h) const {
  auto row = TRY(
      db_.query("SELECT place, payload FROM versions WHERE id = ? AND version = ?", h.id.bytes, h.version));
  if (!TRY(row.step())) return damaged(h.id, "a version is missing");
  if (row.integer(0) == gone) return Status(Code::not_found, "cube " + h.id.text() + " was erased");
  if (row.integer(0) == in_blob) {
    auto text = blobs_.read(h.payload_hash, h.payload_bytes);
    if (text.code() == Code::corrupt) return damaged(h.id, std::move(text).status().message());
    return text;
  }
  const std::string text = row.text(1);
  if (sha256(text) != h.payload_hash) return damaged(h.id, "its words");
  return text;
}

Result<std::vector<Source>> CubeRows::sources(CubeId id, uint32_t version) const {
  auto row =
      TRY(db_.query("SELECT parent, parent_version FROM edges WHERE child = ? AND child_version = ? "
                    "ORDER BY parent, parent_version",
                    id.bytes, version));
  std::vector<Source> all;
  while (TRY(row.step())) {
    if (!take(row.view(0), all.emplace_back().cube.bytes)) return damaged(id, "its sources");
    all.back().version = uint32_t(row.integer(1));
  }
  return all;
}

Result<std::vector<CubeId>> CubeRows::ids(std::string_view sql, CubeId id) const {
  auto row = TRY(db_.query(sql, id.bytes));
  std::vector<CubeId> all;
  while (TRY(row.step())) {
    if (!take(row.view(0), all.emplace_back().bytes)) return damaged(id, "its edges");
  }
  return all;
}

Status CubeRows::add_edges(const CubeHeader& h) {
  for (const Source& source : h.from) {
    TRY(db_.run("INSERT INTO edges VALUES(?, ?, ?, ?)", h.id.bytes, h.version, source.cube.bytes,
                source.version));
  }
  return {};
}

Status CubeRows::add_version(const CubeHeader& h, std::string_view payload) {
  const bool small = payload.size() <= kInlineBytes;
  const std::span<const uint8_t> bytes(reinterpret_cast<const uint8_t*>(payload.data()),
                                       small ? payload.size() : 0);
  const auto model = h.model ? std::span<const uint8_t>(h.model->bytes) : std::span<const uint8_t>();
  TRY(db_.run(
      "INSERT INTO versions VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, nullif(?, x''), ?, ?, ?, ?, ?, ?, ?, ?)",
      h.id.bytes, h.version, h.title, int64_t(h.turn), h.speaker, h.recorded, h.event, h.valid_from,
      h.valid_to, model, int64_t(h.trust), h.why, h.payload_bytes, h.payload_hash.bytes, crc_of(h),
      int64_t(small ? in_row : in_blob), bytes, h.labels));
  return add_edges(h);
}

Status CubeRows::bury(CubeHeader h) {
  TRY(db_.run("DELETE FROM edges WHERE child = ?", h.id.bytes));
  TRY(db_.run("DELETE FROM supersedes WHERE newer = ?1 OR older = ?1", h.id.bytes));
  TRY(db_.run("DELETE FROM versions WHERE id = ?", h.id.bytes));
  CubeHeader stone;
  stone.id = h.id;
  stone.version = h.version;
  stone.recorded = h.recorded;
  stone.event = h.event;
  stone.valid_from = h.valid_from;
  stone.valid_to = h.valid_to;
  stone.trust = h.trust;
  stone.model = h.model;
  stone.payload_bytes = h.payload_bytes;
  stone.payload_hash = h.payload_hash;
  return db_.run(
      "INSERT INTO versions VALUES(?, ?, '', 0, '', ?, ?, ?, ?, nullif(?, x''), ?, '', ?, ?, ?, ?, NULL, '')",
      h.id.bytes, h.version, h.recorded, h.event, h.valid_from, h.valid_to,
      h.model ? std::span<const uint8_t>(h.model->bytes) : std::span<const uint8_t>(), int64_t(h.trust),
      h.payload_bytes, h.payload_hash.bytes, crc_of(stone), int64_t(gone));
}

}  // namespace varve
