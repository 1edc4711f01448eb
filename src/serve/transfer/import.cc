#include "serve/transfer/import.h"

#include <algorithm>
#include <map>

#include "serve/transfer/record.h"

namespace varve {
namespace {

constexpr size_t kBatch = 256, kTroubles = 20;
constexpr int64_t kBatchBytes = 4 << 20;
// A conversation may be long, and what it becomes while it is read is a multiple of its text.
constexpr JsonLimits kLimits{.max_bytes = 32 << 20, .max_depth = 100, .max_items = 2'000'000};
constexpr int64_t kGrowth = 10;

std::string_view text_of(std::string_view origin) {
  return origin.substr(std::min(origin.size(), origin.find(':') + 1));
}

class Importer {
 public:
  Importer(Home& home, const Principal& who, const ImportOptions& options)
      : home_(home), who_(who), options_(options), space_(options.space.empty() ? who.name : options.space) {}

  Status piece(const RawRecord& piece);
  Status flush();
  ImportReport report;

 private:
  void trouble(const RawRecord& piece, std::string_view what);
  Status add(const RawRecord& piece, Record record);
  Result<std::optional<CubeHeader>> find(const std::string& origin) const;
  Status find_sources(const Record& record, MemoryOp& op) const;
  Status go_on(const RawRecord& piece, Record record, std::optional<CubeHeader> there);
  void prepare(CubeDraft& draft, const std::string& origin) const;

  Home& home_;
  const Principal who_;
  const ImportOptions& options_;
  const std::string space_;
  std::vector<MemoryOp> batch_;
  std::map<std::string, int32_t, std::less<>> in_batch_;  // origin -> place
  int64_t batch_bytes_ = 0;
};

void Importer::trouble(const RawRecord& piece, std::string_view what) {
  ++report.failed;
  if (report.troubles.size() == kTroubles) return;
  report.troubles.push_back("the record at line " + std::to_string(piece.line) + ", byte " +
                            std::to_string(piece.offset) + ": " + std::string(what));
}

// The cube that came from there: imported before, or in this very store.
Result<std::optional<CubeHeader>> Importer::find(const std::string& origin) const {
  auto found =
      TRY(home_.cubes().list(who_, {.space = space_, .origin = origin, .life = std::nullopt, .limit = 1}));
  if (!found.empty()) return std::optional(std::move(found[0]));
  if (!origin.starts_with("cube:")) return std::optional<CubeHeader>();
  const auto id = CubeId::parse(text_of(origin));
  if (!id.ok()) return std::optional<CubeHeader>();
  auto here = home_.cubes().head(who_, *id);
  return here.ok() ? std::optional(*std::move(here)) : std::nullopt;
}

Status Importer::find_sources(const Record& record, MemoryOp& op) const {
  for (const std::string& origin : record.from) {
    if (const auto near = in_batch_.find(origin); near != in_batch_.end()) {
      op.from_ops.push_back(near->second);
    } else if (const auto source = TRY(find(origin)); source && source->life != Life::erased) {
      op.draft.header.from.push_back({source->id, source->version});
    }
  }
  return {};
}

void Importer::prepare(CubeDraft& draft, const std::string& origin) const {
  draft.header.space = space_;
  draft.header.origin = origin;
  if (!options_.believe) draft.header.trust = Trust::outside;
  if (draft.header.why.empty()) draft.header.why = "imported";
}

// A memory of several versions is put and revised one by one; what is there already is gone on with.
Status Importer::go_on(const RawRecord& piece, Record record, std::optional<CubeHeader> there) {
  TRY(flush());
  std::vector<CubeDraft> versions = std::move(record.earlier);
  versions.push_back(std::move(record.draft));
  const std::string origin = versions.back().header.origin;
  if (there && there->version >= versions.size()) return ++report.present, Status();
  CubeId id = there ? there->id : CubeId{};
  for (size_t i = there ? there->version : 0; i < versions.size(); ++i) {
    prepare(versions[i], origin);
    std::string why = versions[i].header.why;
    versions[i].header.life = Life::active;
    Status done;
    if (i == 0) {
      auto made = home_.cubes().put(who_, std::move(versions[i]));
      if (made.ok()) id = *made;
      done = made.ok() ? Status() : std::move(made).status();
    } else {
      done = home_.cubes().revise(who_, id, uint32_t(i), std::move(versions[i]), why).status();
    }
    if (!done.ok()) return trouble(piece, done.message()), Status();
  }
  ++report.added;
  return {};
}

Status Importer::add(const RawRecord& piece, Record record) {
  const std::string origin = record.draft.header.origin;
  if (in_batch_.contains(origin)) return ++report.present, Status();
  auto there = TRY(find(origin));
  if (!record.earlier.empty()) return go_on(piece, std::move(record), std::move(there));
  if (there) return ++report.present, Status();
  MemoryOp op;
  op.draft = std::move(record.draft);
  prepare(op.draft, origin);
  if (Status bad = check_draft(op.draft); !bad.ok()) return trouble(piece, bad.message()), Status();
  TRY(find_sources(record, op));
  in_batch_.emplace(origin, int32_t(batch_.size()));
  batch_bytes_ += int64_t(op.draft.payload.size());
  batch_.push_back(std::move(op));
  return batch_.size() >= kBatch || batch_bytes_ >= kBatchBytes ? flush() : Status();
}

Status Importer::flush() {
  if (batch_.empty()) return {};
  const auto count = int64_t(batch_.size());
  in_batch_.clear();
  batch_bytes_ = 0;
  TRY(home_.cubes().apply(who_, std::exchange(batch_, {})).with("storing what was imported"));
  report.added += count;
  return {};
}

Status Importer::piece(const RawRecord& piece) {
  ++report.records;
  if (piece.too_long) return trouble(piece, "it is longer than 32 MiB"), Status();
  const Reservation room =
      TRY(home_.ledger().reserve(Tag::io, kGrowth * int64_t(piece.text.size())).with("reading a record"));
  auto json = parse_json(piece.text, kLimits);
  if (!json.ok()) return trouble(piece, std::move(json).status().message()), Status();
  const RecordFormat* format = format_of(*json);
  if (format == nullptr) {
    return trouble(piece, "it is of no known format: Varve's JSONL, ChatGPT, Claude, mem0"), Status();
  }
  if (report.format.empty()) report.format = format->name;
  auto records = format->read(*json);
  if (!records.ok()) return trouble(piece, std::move(records).status().message()), Status();
  for (Record& record : *records) TRY(add(piece, std::move(record)));
  return {};
}

std::string where_cut(const Pieces& pieces, std::string_view why) {
  return std::string(why) + "; whole up to line " + std::to_string(pieces.whole_line()) + ", byte " +
         std::to_string(pieces.whole_bytes());
}

}  // namespace

Result<ImportReport> import_records(Home& home, const Principal& who, ByteSource source,
                                    const ImportOptions& options) {
  Pieces pieces(std::move(source), kLimits.max_bytes);
  Importer importer(home, who, options);
  for (;;) {
    auto piece = pieces.next();
    if (!piece.ok()) {
      if (piece.code() != Code::corrupt) return std::move(piece).status();
      importer.report.cut = where_cut(pieces, std::move(piece).status().message());
      break;
    }
    if (!*piece) break;
    TRY(importer.piece(**piece));
    importer.report.bytes = pieces.offset();
    if (!options.progress || options.progress(importer.report)) continue;
    importer.report.cut = where_cut(pieces, "it was stopped");
    break;
  }
  TRY(importer.flush());
  return std::move(importer.report);
}

Json to_json(const ImportReport& report) {
  Json troubles = Json::array();
  for (const std::string& one : report.troubles) troubles.push(one);
  Json json = Json::object().set("object", "import").set("format", report.format);
  json.set("records", report.records).set("added", report.added).set("present", report.present);
  json.set("failed", report.failed).set("troubles", std::move(troubles)).set("bytes", report.bytes);
  return json.set("stopped", report.cut ? Json(*report.cut) : Json());
}

}  // namespace varve
