#include "memory/parametric/stored_adapter.h"

#include <algorithm>

namespace varve {
namespace {

class MixedDelta : public Delta {
 public:
  void add(Ops& ops, Scratch& scratch, Rows x, Rows y, float strength) const override {
    for (const auto& [delta, own] : parts) delta->add(ops, scratch, x, y, strength * own);
  }
  int64_t scratch_bytes(int32_t rows) const override {
    int64_t most = 0;
    for (const auto& [delta, own] : parts) most = std::max(most, delta->scratch_bytes(rows));
    return most;
  }
  std::vector<std::pair<const Delta*, float>> parts;
};

class MixedAdapter : public Adapter {
 public:
  MixedAdapter(std::vector<AdapterShare> shares, const WeightStore& base) : shares_(std::move(shares)) {
    for (WeightId id = 0; id < base.entries().size(); ++id) {
      for (const AdapterShare& share : shares_) {
        if (const Delta* delta = share.adapter->on(id)) deltas_[id].parts.emplace_back(delta, share.strength);
      }
    }
  }
  const Delta* on(WeightId id) const override {
    const auto found = deltas_.find(id);
    return found == deltas_.end() ? nullptr : &found->second;
  }

 private:
  std::vector<AdapterShare> shares_;  // kept alive
  std::map<WeightId, MixedDelta> deltas_;
};

}  // namespace

Result<std::shared_ptr<const StoredAdapter>> StoredAdapter::make(AdapterFile file, const std::string& name,
                                                                 const Model& model) {
  TRY(check_base(file.note, name, model.fingerprint(), model.name()));
  auto adapter = std::make_shared<StoredAdapter>();
  adapter->file_ = std::move(file);
  AdapterDeltas deltas = TRY(deltas_of(adapter->file_, model.weights()).with("attaching " + name));
  for (auto& [id, delta] : deltas.of) adapter->deltas_.emplace(id, std::move(delta));
  return std::shared_ptr<const StoredAdapter>(std::move(adapter));
}

Result<std::shared_ptr<const StoredAdapter>> StoredAdapter::open(Env& env, const std::string& path,
                                                                 const Model& model, Ledger& ledger) {
  const ModelShape& shape = model.shape();
  const HeadCounts permuted = permuted_heads(shape.family, shape.heads, shape.kv.kv_heads);
  return make(TRY(read_adapter(env, path, permuted, ledger)), path, model);
}

const Delta* StoredAdapter::on(WeightId id) const {
  const auto found = deltas_.find(id);
  return found == deltas_.end() ? nullptr : found->second.get();
}

std::shared_ptr<const Adapter> mix_adapters(std::vector<AdapterShare> shares, const WeightStore& base) {
  if (shares.empty()) return nullptr;
  if (shares.size() == 1 && shares[0].strength == 1) return std::move(shares[0].adapter);
  return std::make_shared<MixedAdapter>(std::move(shares), base);
}

}  // namespace varve
