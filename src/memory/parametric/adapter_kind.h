// Kinds of adapters: how the tensors beside one weight act. A kind is one file and one line in all.def; its
// name stands in the adapter's file.
#pragma once

#include "core/base/registry.h"
#include "memory/parametric/adapter_file.h"
#include "run/model/adapter.h"

namespace varve {

// What an adapter holds for one weight.
struct AdapterWeight {
  std::string role;
  int32_t rows = 0, cols = 0;  // of the weight
  float alpha = 1;             // of the adapter
  std::vector<const AdapterTensor*> tensors;

  const AdapterTensor* find(std::string_view name) const;
  // invalid: it is not there, or has another shape than rows x cols; -1 is any number from 1 on.
  Result<const AdapterTensor*> need(std::string_view name, int32_t rows, int32_t cols) const;
  Status holds_only(std::initializer_list<std::string_view> names) const;  // invalid names what is unknown
};

class WeightDelta : public Delta {
 public:
  // The same worked into the weight: `values` is its row `row`, changed by what add() adds with `strength`.
  virtual void merge(int32_t row, float strength, std::span<float> values) const = 0;
};

class AdapterKind {
 public:
  virtual ~AdapterKind() = default;
  // The tensors outlive it. `base` has the weight itself, for kinds that measure it.
  virtual Result<std::unique_ptr<WeightDelta>> delta(const AdapterWeight& weight,
                                                     const WeightStore& base) const = 0;
};

const Registry<AdapterKind>& adapter_kinds();

namespace adapters {  // one file a kind, one line in all.def
using Made = Registry<AdapterKind>::Made;
}

// The tensors of a file weight by weight, against the weights that there are. invalid: a role or a shape
// that the model does not have; not_found: an unknown kind, with the known.
struct AdapterDeltas {
  std::vector<std::pair<WeightId, std::unique_ptr<WeightDelta>>> of;  // by id
};
Result<AdapterDeltas> deltas_of(const AdapterFile& file, const WeightStore& base);

}  // namespace varve
