#include "memory/parametric/low_rank.h"

#include <algorithm>

#include "memory/parametric/low_rank_file.h"

namespace varve {

void LowRankAdapter::Pair::add(Ops& ops, Scratch& scratch, Rows x, Rows y) const {
  const int64_t mark = scratch.mark();
  const Rows low = scratch.take(x.count(), a.rows);
  ops.matmul(x, a, low);
  ops.scale(low, scale);
  ops.matmul(low, b, y, true);
  scratch.release(mark);
}

const Delta* LowRankAdapter::on(WeightId id) const {
  const auto found = pairs_.find(id);
  return found == pairs_.end() ? nullptr : &found->second;
}

std::vector<LowRankFactors> LowRankAdapter::factors() const {
  auto floats = [](const Matrix& m) {
    return std::span(reinterpret_cast<const float*>(m.bytes.data()), m.bytes.size() / 4);
  };
  std::vector<LowRankFactors> all;
  for (const auto& [id, pair] : pairs_) {
    all.push_back({pair.role, pair.a.rows, pair.b.rows, pair.a.cols, floats(pair.a), floats(pair.b)});
  }
  return all;
}

Result<std::shared_ptr<const LowRankAdapter>> LowRankAdapter::make(std::span<const LowRankFactors> factors,
                                                                   float alpha, const Model& model,
                                                                   Ledger& ledger) {
  const WeightStore& store = model.weights();
  int64_t values = 0;
  for (const LowRankFactors& one : factors) {
    const WeightId id = store.find(one.role);
    if (id == kNoWeight) return Status(Code::invalid, "the model has no weight " + one.role);
    const WeightEntry& entry = store.entries()[id];
    if (entry.stack != 1 || entry.rows != one.rows || entry.cols != one.cols || one.rank < 1) {
      return Status(Code::invalid, "the adapter's " + one.role + " is " + std::to_string(one.cols) + " x " +
                                       std::to_string(one.rows) + ", the model's " +
                                       std::to_string(entry.cols) + " x " + std::to_string(entry.rows));
    }
    values += int64_t(one.a.size() + one.b.size());
  }
  auto adapter = std::make_shared<LowRankAdapter>();
  adapter->alpha_ = alpha;
  adapter->values_ = TRY(Buffer::make(ledger, Tag::weights, values * 4).with("attaching an adapter"));
  const Codec* f32 = TRY(codec_named("f32"));
  auto free = adapter->values_.bytes();
  auto keep = [&](std::span<const float> from, int32_t rows, int32_t cols) {
    const auto own = free.first(from.size_bytes());
    std::copy_n(std::as_bytes(from).begin(), own.size(), own.begin());
    free = free.subspan(own.size());
    return Matrix{f32, own, rows, cols};
  };
  for (const LowRankFactors& one : factors) {
    Pair& pair = adapter->pairs_[store.find(one.role)];
    if (!pair.role.empty()) return Status(Code::invalid, "the adapter has " + one.role + " twice");
    pair.role = one.role, pair.scale = alpha / float(one.rank);
    pair.a = keep(one.a, one.rank, one.cols), pair.b = keep(one.b, one.rows, one.rank);
  }
  return std::shared_ptr<const LowRankAdapter>(std::move(adapter));
}

Result<std::shared_ptr<const LowRankAdapter>> LowRankAdapter::open(Env& env, const std::string& path,
                                                                   const Model& model, Ledger& ledger) {
  const ModelShape& shape = model.shape();
  const LowRankFile file =
      TRY(read_low_rank(env, path, permuted_heads(shape.family, shape.heads, shape.kv.kv_heads), ledger));
  if (file.note.fingerprint && *file.note.fingerprint != model.fingerprint()) {
    return Status(Code::invalid, path + " was made for another model than " + model.name() +
                                     (file.note.base.empty() ? "" : ": for " + file.note.base));
  }
  return make(file.factors, file.note.alpha, model, ledger).with("attaching " + path);
}

Result<LowRankFile> read_low_rank(Env& env, const std::string& path, HeadCounts permuted, Ledger& ledger) {
  const bool folder = TRY(env.exists(path + "/adapter_config.json"));
  return folder ? read_peft(env, path, permuted, ledger) : read_gguf_adapter(env, path, ledger);
}

}  // namespace varve
