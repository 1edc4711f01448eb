// Neurons of feed-forward networks, one by one: the row of ffn_up and the column of ffn_down that belong to a
// neuron lie side by side in a file beside the model (LLM in a flash, Alizadeh et al. 2023), so that where
// few of them fire (the ReLU family), few are read. The file is a GGUF of its own: it says of which model it
// is, and holds a checksum of every neuron.
#pragma once

#include <functional>
#include <map>

#include "core/base/hash.h"
#include "run/weights/weight_store.h"

namespace varve {

// The side of a WeightStore that has such a file. A table is a layer's network.
class Neurons {
 public:
  struct Taken {
    std::vector<const std::byte*> at;  // the bytes of each neuron: of `up`, then of `down`
    std::shared_ptr<const void> hold;
  };
  virtual ~Neurons() = default;
  virtual int32_t table(WeightId down) const = 0;  // -1: none
  virtual int32_t most() const = 0;                // neurons at a time
  // Waits for the disk if it must.
  virtual Result<Taken> take(int32_t table, std::span<const int32_t> neurons) const = 0;
  // Rows pass a table, of which some neurons fire: for the counts.
  virtual void pass(int32_t table) const = 0;
  // They are taken soon. Never waits.
  virtual void expect(int32_t table, std::span<const int32_t> neurons) const = 0;
};

struct NeuronTable {
  WeightId up = kNoWeight, down = kNoWeight;  // up: where a gate says who fires, else only `down` lies there
  int64_t offset = 0;
  int64_t up_bytes = 0;  // before the column of `down`
};

// What lies beside a model, found right when it was opened.
struct NeuronFile {
  std::string path;
  std::vector<NeuronTable> tables;
  int32_t neurons = 0;    // of a table
  int64_t row_bytes = 0;  // of a neuron, whole blocks of the disk
  Buffer sums;            // CRC-32C of quarters, uint32 each

  uint32_t sum(int64_t row) const { return reinterpret_cast<const uint32_t*>(sums.bytes().data())[row]; }
};

std::string neurons_path(const std::string& model);
// not_found: there is none; corrupt: it is damaged, or of another model, in one sentence.
Result<NeuronFile> open_neuron_file(Env& env, const std::string& model, const Hash256& fingerprint,
                                    std::span<const WeightEntry> entries, Ledger& ledger);

// Writes it, a layer after the other; layers that a former run has done stay. The model may be larger than
// what the ledger has. unsupported: ffn_down is in blocks, of which a column is none.
struct NeuronPlan {
  std::vector<int32_t> layers;  // whose networks have neurons that do not fire
  bool gated = true;            // ffn_gate says who fires, else ffn_up
};
using NeuronProgress = std::function<void(int64_t done, int64_t of)>;  // bytes
Status write_neuron_file(Env& env, const std::string& model, const Gguf& gguf, const Hash256& fingerprint,
                         const NeuronPlan& plan, Ledger& ledger, const NeuronProgress& progress);

}  // namespace varve
