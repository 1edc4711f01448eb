// WeightStore: owns the bytes of a model's weights. Tensors are addressed by role: "blk.3.ffn_down",
// "token_embd", "output_norm" - the GGUF name without ".weight"; a bias keeps its ".bias"
// ("blk.3.attn_q.bias").
//
// This is the seam behind which weights are resident, streamed or read by row; callers pin what they use now.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/hash.h"
#include "core/budget/ledger.h"
#include "core/format/gguf.h"
#include "core/io/env.h"
#include "math/ops/matrix.h"

namespace varve {

class Neurons;    // run/weights/neurons.h
class Streaming;  // run/weights/stream_plan.h

// Weights that are coded without loss (math/codec/df11.h) are bytes to GGUF, rows of them; these arrays of
// its metadata name the tensors and say how many values a row holds.
inline constexpr const char *kCodedTensors = "varve.df11.tensors", *kCodedColumns = "varve.df11.columns";
inline constexpr uint32_t kGgufBytes = 24;  // the element type i8

using WeightId = uint32_t;
inline constexpr WeightId kNoWeight = ~WeightId(0);

struct WeightEntry {
  std::string role;
  const Codec* codec = nullptr;
  int32_t rows = 0, cols = 0;        // of one matrix; a vector is 1 x n
  int32_t stack = 1;                 // experts: how many matrices of that shape follow one another
  int64_t offset = 0, bytes = 0;     // in the file, all of the stack
  std::shared_ptr<const Codec> own;  // where the codec is this weight's alone (math/codec/df11.h)
};

class WeightPin {  // resident while alive
 public:
  WeightPin() = default;
  WeightPin(Matrix matrix, std::shared_ptr<const void> hold) : matrix_(matrix), hold_(std::move(hold)) {}
  const Matrix& operator*() const { return matrix_; }

 private:
  Matrix matrix_;
  std::shared_ptr<const void> hold_;
};

// True when `role` matches `pattern`, where '*' stands for one part between dots: "blk.*.ffn_down".
bool role_matches(std::string_view pattern, std::string_view role);

class WeightStore {
 public:
  virtual ~WeightStore() = default;
  virtual std::span<const WeightEntry> entries() const = 0;
  virtual WeightId find(std::string_view role) const = 0;  // kNoWeight when absent
  virtual Result<WeightPin> pin(WeightId id,
                                int32_t of_stack = 0) const = 0;  // waits for the disk if it must
  // Some rows of a matrix that is no stack. A store that streams reads these alone.
  virtual Result<WeightPin> pin_rows(WeightId id, int32_t first, int32_t count) const;
  // The rows of a matrix from `first` on that lie together: one or more, all that are left where nothing
  // streams. Whoever goes through a matrix so needs no room for all of it.
  virtual Result<WeightPin> pin_from(WeightId id, int32_t first, int32_t of_stack = 0) const;
  virtual bool streams() const { return false; }  // then few rows at a time cost less than all
  // The weights of a pass in the order of their use; the next pass follows. Never waits.
  virtual void hint(std::span<const WeightId> pass) const = 0;
  // Matrices of stacks that are likely to be used after those of the last call. Never waits.
  struct Likely {
    WeightId id;
    int32_t of_stack;
  };
  virtual void expect(std::span<const Likely>) const {}
  virtual int64_t resident_bytes() const = 0;
  virtual Streaming* streaming() const { return nullptr; }    // null: this store has no plan
  virtual const Neurons* neurons() const { return nullptr; }  // null: it gives no neuron alone
};

// Reads every tensor into booked memory. over_budget comes before the first byte is read, with the
// arithmetic: the weights and `working_bytes`, what their user will need besides, must fit together (only the
// weights stay booked). unsupported: a number format without a codec, named; corrupt: the file is shorter
// than its head says.
Result<std::unique_ptr<WeightStore>> open_resident_weights(Env& env, const std::string& path,
                                                           const Gguf& gguf, Ledger& ledger,
                                                           int64_t working_bytes = 0);

// Leaves the weights in the file and reads a matrix when it is pinned; vectors are read once. `keep_bytes`
// are booked, besides: what was used last stays in them, so that a pass forth and back reads the more of
// them only once; 0, or too few, books what a pass needs at least. A pin that finds no room among others
// that are held is over_budget.
Result<std::unique_ptr<WeightStore>> open_streamed_weights(Env& env, const std::string& path,
                                                           const Gguf& gguf, Ledger& ledger,
                                                           int64_t keep_bytes = 0);

// Which neurons of a feed-forward network a store that streams expects to be asked for: those that fire, by
// the gate itself; or chosen ones, so that of the gate, too, only rows are read where the file of neurons has
// them; or such as a sketch of the gate foresees, which is kept in memory then.
enum class NeuronUse : uint8_t { firing, chosen, foreseen };

// Weights by a plan, for generation with a model that does not fit: every pass goes through the parts of
// matrices in the order of hint(); some stay in memory, spread evenly over the pass, and the others are read
// ahead of it, past the page cache, into a ring of buffers. Nothing stays until Streaming::keep(); the first
// pass reads what stays. The file may be cut, or its disk fail, at any time: then pins fail, and later ones
// try again. over_budget: not even the ring fits, with the arithmetic. A file of neurons beside it
// (neurons.h) is used if it is of this very model, whose fingerprint comes along; what it holds never stays
// by part.
Result<std::unique_ptr<WeightStore>> open_planned_weights(Env& env, const std::string& path, const Gguf& gguf,
                                                          Ledger& ledger,
                                                          const Hash256* fingerprint = nullptr,
                                                          NeuronUse use = NeuronUse::firing);

// What the tensors of a file are, in the order of the file; ids are indices. No byte of them is read.
Result<std::vector<WeightEntry>> list_weights(const Gguf& gguf);

}  // namespace varve
