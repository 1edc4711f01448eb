// Calibration: a model reads a text, and what goes into its weights is counted. The model is not changed and
// may be streamed: an adapter that adds nothing looks at the rows that pass.
#pragma once

#include <functional>
#include <map>
#include <set>

#include "learn/compress/compressor.h"
#include "math/ops/train.h"
#include "run/model/model.h"

namespace varve {

// Texts of at most `length` tokens each, spread over a file, together about `most` tokens.
struct CalibrationText {
  std::vector<std::vector<Token>> texts;
  int64_t tokens = 0;
};
// invalid: an empty or malformed file, or too few tokens to say anything.
Result<CalibrationText> read_calibration(Env& env, const std::string& path, const Model& model, int64_t most,
                                         int32_t length, Ledger& ledger);

struct Look {
  std::set<std::string> inputs;  // as input_of() names them; empty: all
  bool gram = false;
  int32_t layers = 0;  // so many are enough; 0: all of them and the head
};
using CalibrationStep = std::function<void(int64_t tokens, int64_t of)>;
Result<SeenByInput> observe(const Model& model, TrainOps& ops, const CalibrationText& text, const Look& look,
                            Ledger& ledger, const CalibrationStep& step);

// To a file and back, so that an interrupted run need not read the text again; without grams.
Status save_seen(Env& env, const std::string& path, const SeenByInput& seen);
Result<SeenByInput> load_seen(Env& env, const std::string& path);

}  // namespace varve
