// train_gemm: the products of training - y = x w^T, dx = d w, dw += d^T x - of the linear maps of a
// 15M-parameter llama and of a large one, packing included, beside packed products whose factors stay in
// cache.
#include <thread>

#include "bench/bench.h"
#include "bench/micro/machine.h"
#include "core/base/rng.h"
#include "math/ops/train.h"

namespace varve::bench {
namespace {

struct Shape {
  const char* name;
  int32_t rows, cols;
};

struct Rig {
  int32_t n;
  ThreadPool& pool;
  Ledger& ledger;
  TrainOps& train;
  int rounds;

  Result<std::vector<Measure>> measure(const Shape& shape, const Codec& codec) const {
    std::vector<float> some(size_t(shape.cols)), dw(size_t(shape.rows) * size_t(shape.cols));
    for (size_t i = 0; i < some.size(); ++i) some[i] = float(random_normal({1, 0, Site::init}, i));
    Buffer bytes = TRY(Buffer::make(ledger, Tag::weights, codec.bytes_for(int64_t(dw.size()))));
    const size_t row = size_t(codec.bytes_for(shape.cols));
    for (int32_t i = 0; i < shape.rows; ++i) codec.encode(some, bytes.bytes().subspan(size_t(i) * row, row));
    const Matrix w{&codec, std::as_const(bytes).bytes(), shape.rows, shape.cols};
    Scratch scratch =
        TRY(Scratch::make(ledger, Scratch::bytes_for(n, shape.rows) + Scratch::bytes_for(n, shape.cols)));
    const Rows x = scratch.take(n, shape.cols), y = scratch.take(n, shape.rows);
    train.ops().fill(x, 0.5f);
    train.ops().fill(y, 0.25f);
    std::vector<Measure> all;
    auto time = [&](const char* what, auto&& work) {
      std::vector<double> rates, peaks;
      for (int round = 0; round < rounds; ++round) {
        peaks.push_back(tile_rate(pool));
        rates.push_back(2.0 * n * shape.rows * shape.cols / seconds(work) / 1e9);
      }
      all.push_back({.name = std::string(shape.name) + " " + std::string(codec.name()) + " " + what,
                     .value = median(rates),
                     .unit = "Gop/s",
                     .baseline_name = "packed products in cache",
                     .baseline = median(peaks)});
    };
    time("y = x w^T", [&] { train.product(x, w, y); });
    time("dx = d w", [&] { train.product_back(y, w, x); });
    if (codec.name() == "f32") time("dw += d^T x", [&] { train.outer_add(y, x, dw); });
    return all;
  }
};

}  // namespace

Result<std::vector<Measure>> train_gemm(const Spec& options) {
  int n = 4096, rounds = 5, threads = std::max(1, int(std::thread::hardware_concurrency()));
  TRY(OptionReader(options)
          .read("n", n, 1, 65536)
          .read("rounds", rounds, 1, 1000)
          .read("threads", threads, 1, 1024)
          .done());
  Ledger ledger(int64_t(1) << 33);
  ThreadPool pool(threads);
  TrainOps train = TRY(TrainOps::make(pool, ledger, TrainOps::Precision::bf16));
  const Rig rig{n, pool, ledger, train, rounds};
  std::vector<Measure> all;
  for (const Shape& shape :
       {Shape{"384 x 384", 384, 384}, Shape{"1024 x 384", 1024, 384}, Shape{"2048 x 2048", 2048, 2048}}) {
    for (const char* codec : {"f32", "q4_k"}) {
      if (shape.cols % 256 != 0 && std::string_view(codec) == "q4_k") continue;
      for (Measure& one : TRY(rig.measure(shape, *TRY(codec_named(codec))))) all.push_back(std::move(one));
    }
  }
  return all;
}

}  // namespace varve::bench
