#include "learn/tune/rewrite.h"

#include <algorithm>

namespace varve {
namespace {

constexpr int64_t kPiece = 1 << 20;  // bytes on their way

Status copy(const File& from, Replacement& to, int64_t at, int64_t until, std::span<std::byte> room) {
  for (; at < until; at += kPiece) {
    const auto piece = room.first(size_t(std::min(kPiece, until - at)));
    TRY(from.read(at, piece));
    TRY(to.append(piece));
  }
  return {};
}

Status append(const Parts& parts, const Part& part, const WeightEntry& entry, Replacement& to) {
  const int64_t row_bytes = entry.codec->bytes_for(entry.cols),
                at_once = std::max<int64_t>(1, kPiece / row_bytes);
  std::vector<float> values(size_t(std::min<int64_t>(at_once, entry.rows) * entry.cols));
  std::vector<std::byte> encoded(size_t(std::min<int64_t>(at_once, entry.rows) * row_bytes));
  for (int64_t row = 0; row < entry.rows; row += at_once) {
    const int64_t rows = std::min(at_once, entry.rows - row);
    const auto some = std::span(values).first(size_t(rows * entry.cols));
    const auto bytes = std::span(encoded).first(size_t(rows * row_bytes));
    TRY(parts.read((parts.offset(part) + row * entry.cols) * 4, std::as_writable_bytes(some)));
    entry.codec->encode(some, bytes);
    TRY(to.append(bytes));
  }
  return {};
}

}  // namespace

Status rewrite_model(Env& env, const std::string& base, std::span<const WeightEntry> entries,
                     const Parts& parts, const std::string& out, Ledger& ledger) {
  std::vector<std::pair<const WeightEntry*, const Part*>> changes;
  for (size_t i = 0; i < parts.size(); ++i) {
    const auto found = std::find_if(entries.begin(), entries.end(),
                                    [&](const WeightEntry& one) { return one.role == parts[i].role; });
    if (found == entries.end()) return Status(Code::invalid, base + " has no " + parts[i].role);
    changes.emplace_back(&*found, &parts[i]);
  }
  std::sort(changes.begin(), changes.end(),
            [](const auto& a, const auto& b) { return a.first->offset < b.first->offset; });
  Buffer room = TRY(Buffer::make(ledger, Tag::io, kPiece));
  const auto from = TRY(env.open(base, Open::read));
  Replacement to = TRY(Replacement::begin(env, out));
  int64_t at = 0;
  for (const auto& [entry, part] : changes) {
    TRY(copy(*from, to, at, entry->offset, room.bytes()));
    TRY(append(parts, *part, *entry, to));
    at = entry->offset + entry->bytes;
  }
  TRY(copy(*from, to, at, TRY(from->size()), room.bytes()));
  return to.commit();
}

}  // namespace varve
