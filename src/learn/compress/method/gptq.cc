// gptq (Frantar et al. 2023): the values of a row are rounded one after another, and those that are left take
// over what the error did to the row's products, by the second moments of its inputs. Scales are chosen where
// a group begins, from the values as they then are. Needs a calibration text and cols^2 floats a weight;
// costs rows * cols^2 products. A weight whose inputs nobody counted is another method's.
#include "learn/compress/method/corrected.h"

namespace varve::compress {
namespace {

class Gptq : public Compressor {
 public:
  explicit Gptq(float damp) : damp_(damp) {}
  Sight sight() const override { return Sight::gram; }
  Result<std::unique_ptr<Rounder>> rounder(const Weight& weight, Seen& seen, Ops& ops,
                                           Ledger& ledger) const override {
    return std::unique_ptr<Rounder>(TRY(make_corrected(weight, seen, damp_, ops, ledger)));
  }

 private:
  float damp_;
};

}  // namespace

Made gptq(const Spec& spec) {
  float damp = 0.01f;
  TRY(OptionReader(spec).read("damp", damp, 1e-5f, 1.f).done());
  return std::unique_ptr<Compressor>(new Gptq(damp));
}

}  // namespace varve::compress
