// gemv: one row times matrices that together exceed every cache, as in token generation. The limit is reading
// the weights once; a probe of the memory runs between the rounds.
#include <random>
#include <thread>

#include "bench/bench.h"
#include "bench/micro/machine.h"
#include "math/codec/df11.h"
#include "math/ops/ops.h"

namespace varve::bench {
namespace {

constexpr int32_t kCols = 2048;

std::vector<float> normal(size_t n) {
  std::mt19937 random(1);
  std::normal_distribution<float> distribution;
  std::vector<float> values(n);
  for (float& value : values) value = distribution(random);
  return values;
}

// Fills with rows of real weights, a few of them over and over.
void fill(const Codec& codec, std::span<std::byte> bytes) {
  std::vector<std::byte> some(size_t(codec.bytes_for(32 * kCols)));
  codec.encode(normal(32 * kCols), some);
  for (size_t at = 0; at < bytes.size(); at += some.size()) {
    std::copy_n(some.begin(), std::min(some.size(), bytes.size() - at), bytes.begin() + long(at));
  }
}

// Rows that take what a row of normal values needs.
Result<std::shared_ptr<const Codec>> coded() {
  const std::vector<float> values = normal(32 * kCols);
  int64_t most = 0;
  for (size_t at = 0; at < values.size(); at += kCols)
    most = std::max(most, Df11::others(std::span(values).subspan(at, kCols)));
  return Df11::make(kCols, Df11::row_bytes(kCols, most));
}

struct Rates {
  double weights, memory;  // GB/s
};

// y is as wide as the matrices have rows.
Rates measure(Ops& ops, ThreadPool& pool, const Codec& codec, Buffer& buffer, Rows x, Rows y, int rounds) {
  const int64_t bytes = codec.bytes_for(int64_t(y.width()) * kCols);
  const int64_t matrices = buffer.size() / bytes;
  const auto all = std::span(std::as_const(buffer).bytes());
  std::vector<double> weights, memory;
  for (int round = 0; round < rounds; ++round) {
    memory.push_back(read_rate(pool, all));
    const double time = seconds([&] {
      for (int64_t i = 0; i < matrices; ++i) {
        ops.matmul(x, {&codec, all.subspan(size_t(i * bytes), size_t(bytes)), y.width(), kCols}, y);
      }
    });
    weights.push_back(double(matrices * bytes) / time / 1e9);
  }
  return {median(weights), median(memory)};
}

}  // namespace

Result<std::vector<Measure>> gemv(const Spec& options) {
  int mib = 1024, rows = 8192, rounds = 5, threads = std::max(1, int(std::thread::hardware_concurrency()));
  std::vector<std::string> codecs_asked = codecs().names();
  codecs_asked.push_back("df11");
  Spec rest = options;
  if (auto one = rest.options.extract("codec")) codecs_asked = {one.mapped()};
  TRY(OptionReader(rest)
          .read("mib", mib, 1024, 65536)
          .read("rows", rows, 64, 131072)  // of f32, the largest: one matrix of 1 GiB
          .read("rounds", rounds, 1, 1000)
          .read("threads", threads, 1, 1024)
          .done());
  Ledger ledger(int64_t(mib + 2) << 20);
  Buffer buffer = TRY(Buffer::make(ledger, Tag::weights, int64_t(mib) << 20));
  Scratch scratch = TRY(Scratch::make(ledger, Scratch::bytes_for(1, kCols) + Scratch::bytes_for(1, rows)));
  const Rows x = scratch.take(1, kCols), y = scratch.take(1, rows);
  ThreadPool pool(threads);
  Ops(pool).load(normal(kCols), x);
  std::vector<Measure> all;
  for (const std::string& name : codecs_asked) {
    std::shared_ptr<const Codec> own;
    if (name == "df11") own = TRY(coded());
    const Codec& codec = own != nullptr ? *own : *TRY(codec_named(name));
    fill(codec, buffer.bytes());
    for (auto precision : {Ops::Precision::fast, Ops::Precision::exact}) {
      Ops ops(pool, precision);
      const Rates rates = measure(ops, pool, codec, buffer, x, y, rounds);
      all.push_back({.name = name + (precision == Ops::Precision::fast ? " fast" : " exact"),
                     .value = rates.weights,
                     .unit = "GB/s",
                     .baseline_name = "memory read",
                     .baseline = rates.memory});
    }
  }
  return all;
}

}  // namespace varve::bench
