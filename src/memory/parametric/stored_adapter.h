// Adapters at work: one from its file, and several at once, each with a strength.
#pragma once

#include <map>
#include <memory>

#include "memory/parametric/adapter_kind.h"
#include "run/model/model.h"

namespace varve {

class StoredAdapter : public Adapter {
 public:
  // `name` is for messages. invalid: it was made for another model, or names weights or shapes that this one
  // has not.
  static Result<std::shared_ptr<const StoredAdapter>> make(AdapterFile file, const std::string& name,
                                                           const Model& model);
  // A GGUF file, or a folder of PEFT's.
  static Result<std::shared_ptr<const StoredAdapter>> open(Env& env, const std::string& path,
                                                           const Model& model, Ledger& ledger);
  const Delta* on(WeightId id) const override;
  const AdapterFile& file() const { return file_; }

 private:
  AdapterFile file_;
  std::map<WeightId, std::unique_ptr<WeightDelta>> deltas_;
};

struct AdapterShare {
  std::shared_ptr<const Adapter> adapter;
  float strength = 1;
};
// Their sum. One with strength 1 is itself; none is null.
std::shared_ptr<const Adapter> mix_adapters(std::vector<AdapterShare> shares, const WeightStore& base);

}  // namespace varve
