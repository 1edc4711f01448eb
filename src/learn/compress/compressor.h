// Compressor: one way to make a model smaller, or to lose less when it gets so. A recipe is a chain of them
// (recipe.h): each plans in turn over what those before it left, then every matrix passes all of them, a few
// rows at a time, and the last that rounds writes its bytes.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/base/registry.h"
#include "core/budget/buffer.h"
#include "math/ops/ops.h"
#include "run/weights/weight_store.h"

namespace varve {

class Draft;  // draft.h
class CompressedFile;
class Model;
class TrainOps;
struct CalibrationText;

struct Reading {  // of the calibration text, by the model that is compressed
  const Model& model;
  TrainOps& ops;
  const CalibrationText& text;
};

// What calibration says of the input of a weight, by column; nothing where no text was read, or where the
// rows do not pass the weight as a whole (experts).
struct Seen {
  int64_t rows = 0;                       // 0: nothing is known
  std::vector<float> square, mean, size;  // E x^2, E x, E |x|
  Buffer gram;                            // E x x^T, f32 [cols][cols]; empty unless asked for
  float* gram_values() { return reinterpret_cast<float*>(gram.bytes().data()); }
  const float* gram_values() const { return reinterpret_cast<const float*>(gram.bytes().data()); }
};
using SeenByInput = std::map<std::string, Seen, std::less<>>;  // by the role of one that reads it
enum class Sight : uint8_t { nothing, moments, gram };

struct Weight {
  WeightEntry from;                  // as the model's file has it
  std::string name;                  // of the tensor
  const Codec* codec = nullptr;      // of the result
  bool rounds = false;               // else its bytes stay as they are
  std::shared_ptr<const Codec> own;  // where the codec is this weight's alone
  // Those that stay, ascending; empty: all.
  std::vector<int32_t> kept_rows, kept_cols;
  std::string stack;     // the role of the stack that this one was cut from, else empty; and
  int32_t of_stack = 0;  // which it was

  bool is_expert() const { return from.stack > 1 || !stack.empty(); }
  const std::string& role() const { return from.role; }
  int32_t rows() const { return kept_rows.empty() ? from.rows * from.stack : int32_t(kept_rows.size()); }
  int32_t cols() const { return kept_cols.empty() ? from.cols : int32_t(kept_cols.size()); }
  int64_t bytes() const { return codec->bytes_for(int64_t(rows()) * cols()); }
};

class Rounder {  // of one weight
 public:
  virtual ~Rounder() = default;
  // Whole rows; called by several threads at once.
  virtual void round(std::span<const float> rows, std::span<std::byte> bytes) const = 0;
};

class Compressor {
 public:
  virtual ~Compressor() = default;
  virtual Sight sight() const { return Sight::nothing; }
  // true: begins with another model in place of this one, which reshape() writes to a file; it needs a text.
  virtual bool reshapes() const { return false; }
  virtual Status reshape(const Draft&, const Reading&, const std::string& /*file*/) const { return {}; }
  // Looks at the whole model before any of it is written, and may cut shapes and change vectors.
  virtual Status plan(Draft&) { return {}; }
  // Rows [first, ...) of a weight that rounds, and what was seen of its input, on their way.
  virtual void change(const Weight&, int32_t /*first*/, std::span<float> /*rows*/) const {}
  virtual void change(const Weight&, Seen&) const {}
  // Null: this method does not round, or not this weight. A rounder may keep what was seen.
  virtual Result<std::unique_ptr<Rounder>> rounder(const Weight&, Seen&, Ops&, Ledger&) const {
    return std::unique_ptr<Rounder>();
  }
  // When every weight has its bytes; again after an interruption.
  virtual Status finish(const Draft&, CompressedFile&, Ledger&) { return {}; }
};

const Registry<Compressor>& compressors();

namespace compress {  // one file a method in method/, one line in method/all.def
using Made = Registry<Compressor>::Made;
}

}  // namespace varve
