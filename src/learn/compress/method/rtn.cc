// rtn: round to nearest, by each format's own encoder. The floor that other methods are measured from; needs
// nothing.
#include "learn/compress/compressor.h"

namespace varve::compress {
namespace {

class ToNearest : public Rounder {
 public:
  explicit ToNearest(const Codec& codec) : codec_(codec) {}
  void round(std::span<const float> rows, std::span<std::byte> bytes) const override {
    codec_.encode(rows, bytes);
  }

 private:
  const Codec& codec_;
};

class Rtn : public Compressor {
 public:
  Result<std::unique_ptr<Rounder>> rounder(const Weight& weight, Seen&, Ops&, Ledger&) const override {
    return std::unique_ptr<Rounder>(new ToNearest(*weight.codec));
  }
};

}  // namespace

Made rtn(const Spec& spec) {
  TRY(OptionReader(spec).done());
  return std::unique_ptr<Compressor>(new Rtn);
}

}  // namespace varve::compress
