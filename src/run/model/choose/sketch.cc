// The predictor of LLM in a flash (Alizadeh et al. 2023), without learning one: the gate in a few bits, which
// `varve neurons --sketch` wrote beside the neurons, stays in memory in place of the gate. It says within an
// error that is known what each neuron's gate will be; whose may be above zero is read and computed as it is.
// A neuron that fires all the same adds nothing. A larger margin reads more and misses less.
#include <cmath>

#include "run/model/choose/chooser.h"

namespace varve::neuron_chooser {
namespace {

struct Options {
  double margin = 1;  // standard deviations of what the sketch leaves out of a product
};

class SketchChoice : public NeuronChoice {
 public:
  explicit SketchChoice(Options options) : options_(options) {}
  void see(Ops&, int32_t, Rows) override {}

  std::vector<int32_t> choose(const Choosing& at) override {
    CHECK(at.sketch.has_value(), "a chooser that foresees is given a sketch");
    const Matrix& matrix = at.sketch->matrix;
    const int64_t mark = at.scratch.mark();
    Rows guess = at.scratch.take(at.x.count(), matrix.rows);
    at.ops.matmul(at.x, matrix, guess);
    if (!at.bias.empty()) at.ops.add_bias(guess, at.bias);
    std::vector<uint8_t> likely(size_t(matrix.rows));
    std::vector<float> row(size_t(matrix.rows)), x(size_t(matrix.cols));
    for (int32_t i = 0; i < guess.count(); ++i) {
      at.ops.store(guess.slice(i, 1), row);
      at.ops.store(at.x.slice(i, 1), x);
      double squares = 0;
      for (const float value : x) squares += double(value) * double(value);
      const double reach = options_.margin * std::sqrt(squares / double(x.size()));
      for (size_t j = 0; j < row.size(); ++j)
        likely[j] |= !(double(row[j]) + reach * double(at.sketch->errors[j]) <= 0);
    }
    at.scratch.release(mark);
    std::vector<int32_t> chosen;
    for (size_t j = 0; j < likely.size(); ++j)
      if (likely[j] != 0) chosen.push_back(int32_t(j));
    if (chosen.empty()) chosen.push_back(0);  // of none is not of all
    return chosen;
  }

 private:
  const Options options_;
};

class Sketch : public NeuronChooser {
 public:
  explicit Sketch(Options options) : options_(options) {}
  bool foresees() const override { return true; }
  Result<std::unique_ptr<NeuronChoice>> begin(NeuronShape, Ledger&) const override {
    return std::unique_ptr<NeuronChoice>(new SketchChoice(options_));
  }

 private:
  const Options options_;
};

}  // namespace

Made sketch(const Spec& spec) {
  Options options;
  TRY(OptionReader(spec).read("margin", options.margin, -100.0, 100.0).done());
  return std::unique_ptr<NeuronChooser>(new Sketch(options));
}

}  // namespace varve::neuron_chooser
