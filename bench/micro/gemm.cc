// gemm: many rows times a matrix, as when a prompt is read. The limit is the unit that a product uses; a
// probe of it runs between the rounds.
#include <random>
#include <thread>

#include "bench/bench.h"
#include "bench/micro/machine.h"
#include "math/ops/ops.h"

namespace varve::bench {

Result<std::vector<Measure>> gemm(const Spec& options) {
  int n = 512, size = 2048, rounds = 5, threads = std::max(1, int(std::thread::hardware_concurrency()));
  std::vector<std::string> codecs_asked = codecs().names();
  Spec rest = options;
  if (auto one = rest.options.extract("codec")) codecs_asked = {one.mapped()};
  TRY(OptionReader(rest)
          .read("n", n, 1, 65536)
          .read("size", size, 256, 16384)
          .read("rounds", rounds, 1, 1000)
          .read("threads", threads, 1, 1024)
          .done());
  size = size / 256 * 256;
  Ledger ledger(int64_t(1) << 34);
  Scratch scratch = TRY(Scratch::make(ledger, 2 * Scratch::bytes_for(n, size)));
  const Rows x = scratch.take(n, size), y = scratch.take(n, size);
  ThreadPool pool(threads);
  std::mt19937 random(1);
  std::normal_distribution<float> distribution;
  std::vector<float> values(size_t(size) * size_t(size));
  for (float& value : values) value = distribution(random);
  std::vector<float> inputs(size_t(n) * size_t(size));
  for (float& value : inputs) value = distribution(random);
  Ops(pool).load(inputs, x);
  std::vector<Measure> all;
  for (const std::string& name : codecs_asked) {
    const Codec& codec = *TRY(codec_named(name));
    Buffer buffer = TRY(Buffer::make(ledger, Tag::weights, codec.bytes_for(int64_t(size) * size)));
    codec.encode(values, buffer.bytes());
    const Matrix w{&codec, std::as_const(buffer).bytes(), size, size};
    for (const char* way : {"read", "fast", "exact"}) {
      const bool read = way[0] == 'r';
      Ops ops(pool, way[0] == 'e' ? Ops::Precision::exact : Ops::Precision::fast);
      ops.reading(read);
      std::vector<double> rates, peaks;
      for (int round = 0; round < rounds; ++round) {
        peaks.push_back(read ? tile_rate(pool) : product_rate(pool));
        rates.push_back(2.0 * n * size * size / seconds([&] { ops.matmul(x, w, y); }) / 1e9);
      }
      all.push_back({.name = name + " " + way,
                     .value = median(rates),
                     .unit = "Gop/s",
                     .baseline_name = read ? "tiles in cache" : "f32 products in cache",
                     .baseline = median(peaks)});
    }
  }
  return all;
}

}  // namespace varve::bench
