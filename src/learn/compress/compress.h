// compress_model(): a model's file in, a smaller one out, a few rows at a time: the model may be larger than
// the budget. What is done is kept beside the result (OUT.work) until it is whole, so that the same call goes
// on where another was cut off.
#pragma once

#include <functional>

#include "core/format/json.h"
#include "learn/compress/recipe.h"

namespace varve {

struct CompressOptions {
  std::string model, out;
  std::string calibrate;   // a text; empty: nothing is calibrated
  int64_t tokens = 16384;  // of it
  int32_t length = 256;    // of a stretch of it
  bool plan_only = false;  // nothing is written
};

struct CompressedWeight {
  std::string role, from, to;  // formats
  int32_t rows = 0, cols = 0;
  int64_t bytes = 0;
};
struct CompressReport {
  std::vector<CompressedWeight> weights;  // those that round
  int64_t bytes_before = 0, bytes = 0;    // of all tensors
  int64_t elements = 0;                   // of the model as it was
  int32_t kept = 0;                       // weights that a former run had finished
  double bits() const { return 8 * double(bytes) / double(elements); }
  Json json() const;
};

// "reading the text", "deciding", "writing": what is done now, and how far.
using CompressProgress = std::function<void(std::string_view stage, int64_t done, int64_t of)>;

// invalid: a method needs a text and there is none; a target below the least, which is named; out is there
// already. conflict: another process is at it.
Result<CompressReport> compress_model(Env& env, const CompressOptions& options, const CompressRecipe& recipe,
                                      ThreadPool& threads, Ledger& ledger, const CompressProgress& progress);

}  // namespace varve
