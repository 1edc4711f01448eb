// Neurons of feed-forward networks, one by one: the row of ffn_up and the column of ffn_down that belong to a
// neuron lie side by side in a file beside the model (LLM in a flash, Alizadeh et al. 2023), so that where
// few of them fire (the ReLU family), few are read. Whole neurons have the row of the gate there as well, and
// the gate a sketch in few bits, for those who guess which fire. The file is a GGUF of its own: it says of
// which model it is, and holds a checksum of every neuron.
#pragma once

#include <functional>
#include <map>
#include <optional>

#include "core/base/hash.h"
#include "run/weights/weight_store.h"

namespace varve {

// The side of a WeightStore that has such a file. A table is a layer's network.
class Neurons {
 public:
  struct Taken {
    // The bytes of each neuron: first_bytes(), where the file has them; then of `up`, then of `down`.
    std::vector<const std::byte*> at;
    std::shared_ptr<const void> hold;
  };
  struct Sketch {  // of the matrix that says who fires
    Matrix matrix;
    std::span<const float> errors;  // of each of its rows: the norm of what the sketch leaves out
  };
  virtual ~Neurons() = default;
  virtual int32_t table(WeightId down) const = 0;        // -1: none
  virtual int32_t most() const = 0;                      // neurons at a time
  virtual int64_t first_bytes(int32_t table) const = 0;  // of the gate's row; 0: it is not there
  virtual bool whole() const = 0;  // the gate is read by neuron too, and no pass counts on its weight
  virtual std::optional<Sketch> sketch(int32_t table) const = 0;  // kept, if the store was asked for it
  // Waits for the disk if it must.
  virtual Result<Taken> take(int32_t table, std::span<const int32_t> neurons) const = 0;
  // Rows pass a table, of which some neurons fire: for the counts.
  virtual void pass(int32_t table) const = 0;
  // They are taken soon. Never waits.
  virtual void expect(int32_t table, std::span<const int32_t> neurons) const = 0;
};

struct NeuronTable {
  WeightId up = kNoWeight, down = kNoWeight;  // up: where a gate says who fires, else only `down` lies there
  WeightId first = kNoWeight;                 // of whole neurons: what says who fires
  int64_t offset = 0;
  int64_t first_bytes = 0, up_bytes = 0;  // before the column of `down`
  int64_t sketch_at = 0, errors_at = 0;   // in NeuronFile::sketch
};

// What lies beside a model, found right when it was opened.
struct NeuronFile {
  std::string path;
  std::vector<NeuronTable> tables;
  bool idle = true;                     // most of them, of themselves
  int32_t neurons = 0;                  // of a table
  int64_t row_bytes = 0;                // of a neuron, whole blocks of the disk
  Buffer sums;                          // CRC-32C of quarters, uint32 each
  const Codec* sketch_codec = nullptr;  // null: there is no sketch, or nobody asked for it
  Buffer sketch;

  uint32_t sum(int64_t row) const { return reinterpret_cast<const uint32_t*>(sums.bytes().data())[row]; }
};

std::string neurons_path(const std::string& model);
// not_found: there is none; corrupt: it is damaged, or of another model, in one sentence.
Result<NeuronFile> open_neuron_file(Env& env, const std::string& model, const Hash256& fingerprint,
                                    std::span<const WeightEntry> entries, Ledger& ledger,
                                    bool with_sketch = false);

// Writes it, a layer after the other; layers that a former run has done stay. The model may be larger than
// what the ledger has. unsupported: ffn_down is in blocks, of which a column is none.
struct NeuronPlan {
  std::vector<int32_t> layers;    // whose networks have neurons that do not fire
  bool idle = true;               // they are the ReLU family's; else only whole ones are of any use
  bool gated = true;              // ffn_gate says who fires, else ffn_up
  bool whole = false;             // its row lies there as well
  const Codec* sketch = nullptr;  // of whole neurons: it is sketched so; null: it is not
};
using NeuronProgress = std::function<void(int64_t done, int64_t of)>;  // bytes
Status write_neuron_file(Env& env, const std::string& model, const Gguf& gguf, const Hash256& fingerprint,
                         const NeuronPlan& plan, Ledger& ledger, const NeuronProgress& progress);

}  // namespace varve
