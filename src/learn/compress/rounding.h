// Rounding: matrices pass a recipe's methods and become bytes, a few rows at a time, as many matrices
// together as there is room for the second moments of their inputs.
#pragma once

#include "learn/compress/calibration.h"
#include "learn/compress/compress.h"
#include "learn/compress/draft.h"

namespace varve {

struct RoundTask {
  size_t weight = 0;  // of the draft's
  const Codec* codec = nullptr;
};

struct Rounding {
  const Draft& draft;
  Sight sight;            // what the methods ask for
  const Reading* reader;  // of the text, where they ask; else null
  // The reader is the draft's result as it is so far: what methods did to inputs is in what it sees. Else it
  // is the model as it was.
  bool changed = false;
  const CompressProgress& progress;

  using Take =
      std::function<Status(size_t task, int64_t at, std::span<const std::byte>)>;  // `at` in a weight
  using Done = std::function<Status(size_t task)>;
  // In an order of its own.
  Status run(std::span<const RoundTask> tasks, const Take& take, const Done& done) const;

 private:
  Result<SeenByInput> count_products(std::span<const RoundTask> tasks, std::vector<size_t>& now,
                                     std::vector<size_t>& later) const;
  Status write(const RoundTask& task, int32_t of_stack, const SeenByInput& counted,
               const std::function<Status(int64_t, std::span<const std::byte>)>& take) const;
  int32_t layer(const RoundTask& task) const;
};

// Whole where it takes less than a third of what is left of the budget, else streamed within a quarter of it.
Result<std::shared_ptr<const Model>> open_to_read(Env& env, const std::string& path, Ledger& ledger);

}  // namespace varve
