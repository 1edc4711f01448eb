#include "run/engine/splice.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace varve {
namespace {

constexpr int32_t kProbed = 1;  // the layer whose deviation chooses: the second

// Rows of one layer, as floats, lane after lane.
class LaneReader {
 public:
  LaneReader(KvCache& kv, const KvShape& shape) : kv_(kv), shape_(shape) {}

  // [count][kv_heads * dim], as the model appends them.
  void read(int32_t layer, int32_t first, int32_t count, std::vector<float>& keys,
            std::vector<float>& values) {
    keys.resize(size_t(count) * shape_.kv_heads * shape_.key_dim);
    values.resize(size_t(count) * shape_.kv_heads * shape_.value_dim);
    const auto lanes = kv_.lanes(layer);
    for (int32_t head = 0; head < shape_.kv_heads; ++head) {
      for (int32_t row = 0; row < count; ++row) {
        const KvPageView& page = lanes[size_t(head)][size_t((first + row) / kPageTokens)];
        take(page.keys, page, first + row,
             {&keys[size_t((row * shape_.kv_heads + head) * shape_.key_dim)], size_t(shape_.key_dim)});
        take(page.values, page, first + row,
             {&values[size_t((row * shape_.kv_heads + head) * shape_.value_dim)], size_t(shape_.value_dim)});
      }
    }
  }

 private:
  void take(std::span<const std::byte> bytes, const KvPageView& page, int32_t row,
            std::span<float> out) const {
    const size_t each = bytes.size() / page.positions.size();
    kv_.codec().decode(bytes.subspan(size_t(row % kPageTokens) * each, each), out);
  }
  KvCache& kv_;
  const KvShape& shape_;
};

// One layer of some rows, turned by `by` positions, to the end of `kv`.
Status move_rows(const SpliceRoom& room, int32_t layer, std::span<const float> keys,
                 std::span<const float> values, std::span<const int32_t> positions, int32_t by, KvCache& kv) {
  const KvShape& shape = room.pool->shape;
  const int32_t count = int32_t(positions.size());
  const int64_t mark = room.scratch.mark();
  Rows key_rows = room.scratch.take(count, shape.kv_heads * shape.key_dim);
  Rows value_rows = room.scratch.take(count, shape.kv_heads * shape.value_dim);
  room.ops.load(keys, key_rows);
  room.ops.load(values, value_rows);
  RopeSpec rope = *room.model.rope(layer);
  rope.attention_factor = 1;  // it is in the keys already
  const std::vector<int32_t> turns(positions.size(), by);
  if (by != 0 && rope.kind != RopeKind::none) room.ops.rope(key_rows, shape.kv_heads, rope, turns);
  Status status = kv.append(room.ops, layer, key_rows, value_rows, positions);
  room.scratch.release(mark);
  return status;
}

Status rerotate(const SpliceRoom& room, const Splice& from, KvCache& kv) {
  auto source = TRY(make_kv_cache(room.pool, from.kv));
  LaneReader reader(*source, room.pool->shape);
  std::vector<float> keys, values;
  for (int32_t done = 0, count = 0; done < from.count; done += count) {
    count = std::min({kPageTokens, room.rows, from.count - done});
    std::vector<int32_t> positions(static_cast<size_t>(count));
    std::iota(positions.begin(), positions.end(), from.at + done);
    for (int32_t layer = 0; layer < room.pool->shape.layers; ++layer) {
      reader.read(layer, from.first + done, count, keys, values);
      TRY(move_rows(room, layer, keys, values, positions, from.at - from.first, kv));
    }
  }
  return {};
}

// Rows of the sequence through the model; `layers` 0: all of them.
Status read(const SpliceRoom& room, std::span<const Token> tokens, std::span<const int32_t> positions,
            const Adapter* adapter, int32_t layers, KvCache& kv) {
  for (size_t done = 0; done < positions.size(); done += size_t(room.rows)) {
    const auto some = positions.subspan(done, std::min(size_t(room.rows), positions.size() - done));
    std::vector<Token> said;
    for (int32_t position : some) said.push_back(tokens[size_t(position)]);
    const Segment segment{0, int32_t(some.size()), &kv, adapter};
    const Batch batch{
        .tokens = said, .positions = some, .segments = {&segment, 1}, .outputs = {}, .layer = layers};
    const int64_t mark = room.scratch.mark();
    Rows nothing = room.scratch.take(0, room.model.shape().width);
    Status status = room.model.hidden(batch, room.ops, room.scratch, nothing);
    room.scratch.release(mark);
    TRY(std::move(status));
  }
  return {};
}

double distance(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += double(a[i] - b[i]) * double(a[i] - b[i]);
  return sum;
}

// The places whose keys and values differ most from what reading gives, by the first layers alone; ascending.
Result<std::vector<int32_t>> most_deviating(const SpliceRoom& room, const Splice& from,
                                            std::span<const Token> tokens, const Adapter* adapter,
                                            KvCache& kv) {
  const KvShape& shape = room.pool->shape;
  const int32_t layer = std::min(kProbed, shape.layers - 1);
  std::vector<int32_t> places(static_cast<size_t>(from.count));
  std::iota(places.begin(), places.end(), from.at);
  auto fresh = TRY(make_kv_cache(room.pool, TRY(kv.snapshot(from.at))));
  TRY(fresh->reserve(from.count));
  TRY(read(room, tokens, places, adapter, layer + 1, *fresh));
  LaneReader ours(kv, shape), theirs(*fresh, shape);
  std::vector<float> keys, values, true_keys, true_values;
  std::vector<double> deviation;
  for (int32_t place : places) {
    ours.read(layer, place, 1, keys, values);
    theirs.read(layer, place, 1, true_keys, true_values);
    deviation.push_back(distance(keys, true_keys) + distance(values, true_values));
  }
  const size_t most = size_t(std::ceil(double(from.patched) * from.count));
  const auto end = places.begin() + int64_t(std::min(most, places.size()));
  std::partial_sort(places.begin(), end, places.end(), [&](int32_t a, int32_t b) {
    return deviation[size_t(a - from.at)] > deviation[size_t(b - from.at)];
  });
  places.erase(end, places.end());
  std::sort(places.begin(), places.end());
  return places;
}

}  // namespace

Status can_splice(const Model& model, const KvPool& pool) {
  if (pool.methods.policy != nullptr) return Status(Code::unsupported, "a KV policy keeps only a part of it");
  if (pool.packed != nullptr || pool.methods.selector != nullptr)
    return Status(Code::unsupported, "packed or selected state is not spliced");
  if (pool.ram_tokens > 0) return Status(Code::unsupported, "a part of the state is on the disk");
  for (int32_t layer = 0; layer < pool.shape.layers; ++layer) {
    if (!model.rope(layer)) {
      return Status(Code::unsupported, "keys of the " + model.shape().family +
                                           " family hold their place in a way that cannot be turned");
    }
  }
  return {};
}

Result<int32_t> splice(const SpliceRoom& room, const Splice& from, std::span<const Token> tokens,
                       const Adapter* adapter, KvCache& kv) {
  CHECK(kv.tokens() == from.at && from.first + from.count <= from.kv.tokens, "a splice at another place");
  std::vector<int32_t> again;
  Status status = rerotate(room, from, kv);
  if (status.ok() && from.patched > 0) {
    auto chosen = most_deviating(room, from, tokens, adapter, kv);
    if (chosen.ok()) again = std::move(*chosen);
    kv.patch(true);
    status = chosen.ok() ? read(room, tokens, again, adapter, 0, kv) : std::move(chosen).status();
    kv.patch(false);
  }
  if (status.ok()) return int32_t(again.size());
  Status undone = kv.truncate(from.at);
  CHECK(undone.ok(), "what a splice appended cannot be cut");
  return status;
}

}  // namespace varve
