#include "memory/parametric/merge.h"

#include <algorithm>
#include <map>

#include "memory/parametric/adapter_kind.h"
#include "run/model/arch/family.h"
#include "run/model/fingerprint.h"

namespace varve {
namespace {

constexpr int64_t kPiece = 4 << 20;  // bytes on their way

struct Change {
  std::unique_ptr<WeightDelta> delta;
  float strength;
};

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

  // room: as many encoded rows as fit a piece.
  Status change(const WeightEntry& entry, std::span<const Change> changes) {
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
        for (const Change& one : changes) one.delta->merge(int32_t(first + i), one.strength, row);
        entry.codec->encode(row, own);
      }
      TRY(to_.append(rows));
      at_ += int64_t(rows.size());
    }
    return {};
  }

 private:
  const File& from_;
  Replacement& to_;
  std::span<std::byte> room_;
  int64_t at_ = 0;
};

}  // namespace

Result<BaseModel> look_at_model(Env& env, const std::string& path) {
  const auto mapping = TRY(env.map(path));
  const Gguf gguf = TRY(Gguf::parse(mapping->bytes()).with("reading " + path));
  const DecoderSpec spec = TRY(read_decoder_spec(gguf).with("reading " + path));
  return BaseModel{spec.family, model_fingerprint(mapping->bytes(), gguf),
                   permuted_heads(spec.family, spec.heads, spec.kv_heads)};
}

Status merge_adapters(Env& env, const std::string& base, std::span<const MergeShare> shares,
                      const std::string& out, Ledger& ledger) {
  std::unique_ptr<WeightStore> store;
  Hash256 fingerprint;
  {
    const auto mapping = TRY(env.map(base));
    const Gguf gguf = TRY(Gguf::parse(mapping->bytes()).with("reading " + base));
    store = TRY(open_streamed_weights(env, base, gguf, ledger));
    fingerprint = model_fingerprint(mapping->bytes(), gguf);
  }
  std::map<int64_t, std::pair<const WeightEntry*, std::vector<Change>>> changes;  // in the order of the file
  int64_t widest = kPiece;
  for (const MergeShare& share : shares) {
    TRY(check_base(share.file.note, share.name, fingerprint, base));
    AdapterDeltas deltas = TRY(deltas_of(share.file, *store).with("merging " + share.name));
    for (auto& [id, delta] : deltas.of) {
      const WeightEntry& entry = store->entries()[id];
      if (entry.own != nullptr)
        return Status(Code::unsupported, base + " is coded without loss, which a change would undo: merge " +
                                             "into the file that it was made from");
      auto& place = changes[entry.offset];
      place.first = &entry;
      place.second.push_back({std::move(delta), share.strength});
      widest = std::max(widest, entry.codec->bytes_for(entry.cols));
    }
  }
  Buffer room = TRY(Buffer::make(ledger, Tag::io, widest));
  const auto from = TRY(env.open(base, Open::read));
  Replacement to = TRY(Replacement::begin(env, out));
  Merge merge(*from, to, room.bytes());
  for (const auto& [offset, one] : changes) {
    TRY(merge.change(*one.first, one.second).with("merging " + one.first->role));
  }
  TRY(merge.copy(TRY(from->size())));
  return to.commit();
}

}  // namespace varve
