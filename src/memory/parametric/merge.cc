#include "memory/parametric/merge.h"

#include <algorithm>

#include "memory/parametric/low_rank_file.h"
#include "run/model/arch/family.h"
#include "run/model/fingerprint.h"

namespace varve {
namespace {

constexpr int64_t kPiece = 4 << 20;  // bytes on their way

class Merge {
 public:
  Merge(const File& from, Replacement& to, std::span<std::byte> room) : from_(from), to_(to), room_(room) {}

  Status copy(int64_t until) {
    while (at_ < until) {
      const auto piece = room_.first(size_t(std::min(kPiece, until - at_)));
      TRY(from_.read(at_, piece));
      TRY(to_.append(piece));
      at_ += int64_t(piece.size());
    }
    return {};
  }

  // room: as many encoded rows as fit a piece, and one row of floats.
  Status change(const WeightEntry& entry, const LowRankFactors& by, float scale) {
    TRY(copy(entry.offset));
    const int64_t row_bytes = entry.codec->bytes_for(entry.cols);
    const int64_t at_once = std::max<int64_t>(1, kPiece / row_bytes);
    std::vector<float> row(size_t(entry.cols));
    for (int64_t first = 0; first < entry.rows; first += at_once) {
      const int64_t count = std::min(at_once, entry.rows - first);
      const auto rows = room_.first(size_t(count * row_bytes));
      TRY(from_.read(at_, rows));
      for (int64_t i = 0; i < count; ++i) {
        const auto own = rows.subspan(size_t(i * row_bytes), size_t(row_bytes));
        entry.codec->decode(own, row);
        add(by, size_t(first + i), scale, row);
        entry.codec->encode(row, own);
      }
      TRY(to_.append(rows));
      at_ += int64_t(rows.size());
    }
    return {};
  }

 private:
  static void add(const LowRankFactors& by, size_t index, float scale, std::vector<float>& row) {
    for (size_t r = 0; r < size_t(by.rank); ++r) {
      const float factor = scale * by.b[index * size_t(by.rank) + r];
      const float* a = by.a.data() + r * row.size();
      for (size_t j = 0; j < row.size(); ++j) row[j] += factor * a[j];
    }
  }
  const File& from_;
  Replacement& to_;
  std::span<std::byte> room_;
  int64_t at_ = 0;
};

struct Change {
  const WeightEntry* entry;
  const LowRankFactors* by;
};

Result<std::vector<Change>> changes_of(const std::vector<WeightEntry>& entries, const LowRankFile& adapter) {
  std::vector<Change> all;
  for (const LowRankFactors& one : adapter.factors) {
    const auto entry =
        std::find_if(entries.begin(), entries.end(), [&](const auto& e) { return e.role == one.role; });
    if (entry == entries.end() || entry->stack != 1 || entry->rows != one.rows || entry->cols != one.cols) {
      return Status(Code::invalid, "the model has no " + one.role + " of the adapter's shape");
    }
    all.push_back({&*entry, &one});
  }
  std::sort(all.begin(), all.end(),
            [](const auto& a, const auto& b) { return a.entry->offset < b.entry->offset; });
  const auto twice = std::adjacent_find(all.begin(), all.end(),
                                        [](const auto& a, const auto& b) { return a.entry == b.entry; });
  if (twice != all.end()) return Status(Code::invalid, "the adapter has " + twice->entry->role + " twice");
  return all;
}

}  // namespace

Status merge_low_rank(Env& env, const std::string& base, const std::string& adapter, const std::string& out,
                      Ledger& ledger) {
  std::vector<WeightEntry> entries;
  HeadCounts permuted;
  Hash256 fingerprint;
  {
    const auto mapping = TRY(env.map(base));
    const Gguf gguf = TRY(Gguf::parse(mapping->bytes()).with("reading " + base));
    entries = TRY(list_weights(gguf));
    const DecoderSpec spec = TRY(read_decoder_spec(gguf));
    permuted = permuted_heads(spec.family, spec.heads, spec.kv_heads);
    fingerprint = model_fingerprint(mapping->bytes(), gguf);
  }
  const LowRankFile file = TRY(read_low_rank(env, adapter, permuted, ledger));
  if (file.note.fingerprint && *file.note.fingerprint != fingerprint) {
    return Status(Code::invalid, adapter + " was made for another model than " + base);
  }
  const std::vector<Change> changes = TRY(changes_of(entries, file));
  int64_t widest = kPiece;
  for (const Change& one : changes) widest = std::max(widest, one.entry->codec->bytes_for(one.entry->cols));
  Buffer room = TRY(Buffer::make(ledger, Tag::io, widest));
  const auto from = TRY(env.open(base, Open::read));
  Replacement to = TRY(Replacement::begin(env, out));
  Merge merge(*from, to, room.bytes());
  for (const Change& one : changes) {
    TRY(merge.change(*one.entry, *one.by, file.note.alpha / float(one.by->rank))
            .with("merging " + one.by->role));
  }
  TRY(merge.copy(TRY(from->size())));
  return to.commit();
}

}  // namespace varve
