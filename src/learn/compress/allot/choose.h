// Which number format each weight gets under a limit of bytes, by the allocator. What a format loses is the
// error of the weight's products over the calibration inputs, relative to them (CPTQuant's Taylor term, a
// weight at a time), or that error scaled by what it was measured to do to the model's answers on the text,
// one weight at a time (MixDQ), or what correlated.h says.
#pragma once

#include "learn/compress/calibration.h"
#include "learn/compress/compress.h"
#include "learn/compress/draft.h"
#include "learn/compress/recipe.h"

namespace varve {

struct Choice {
  std::vector<size_t> weights;                     // of the draft's, those that round
  std::vector<std::vector<const Codec*>> ladders;  // of each: formats worth their bytes, by growing size
  std::vector<size_t> chosen;                      // a step of each ladder
  int64_t limit = 0;                               // of the bytes of these weights
};

struct Chooser {
  Draft& draft;
  std::string kept;    // a file: what a former run found
  const Model* model;  // of measuring; else null
  const CalibrationText* text;
  const CompressProgress& progress;
  bool planes;  // formats_for()

  // The draft's weights have their formats afterwards.
  Result<Choice> choose(int64_t limit, LossRule rule);
};

}  // namespace varve
