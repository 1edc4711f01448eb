// bandwidth: what the memory and the vector units give, by threads. The anchors of the other figures.
#include <thread>

#include "bench/bench.h"
#include "bench/micro/machine.h"
#include "core/budget/buffer.h"

namespace varve::bench {

Result<std::vector<Measure>> bandwidth(const Spec& options) {
  int mib = 1024, rounds = 7;
  TRY(OptionReader(options).read("mib", mib, 16, 65536).read("rounds", rounds, 1, 1000).done());
  Ledger ledger(int64_t(mib) << 20);
  Buffer buffer = TRY(Buffer::make(ledger, Tag::scratch, int64_t(mib) << 20));
  std::fill(buffer.bytes().begin(), buffer.bytes().end(), std::byte{1});
  std::vector<Measure> all;
  const int cores = std::max(1, int(std::thread::hardware_concurrency()));
  for (int threads = 1; threads <= cores; threads *= 2) {
    ThreadPool pool(threads);
    std::vector<double> reads, products;
    for (int round = 0; round < rounds; ++round) {
      reads.push_back(read_rate(pool, buffer.bytes()));
      products.push_back(product_rate(pool));
    }
    const std::string by = ", " + std::to_string(threads) + (threads == 1 ? " thread" : " threads");
    all.push_back({.name = "memory read" + by, .value = median(reads), .unit = "GB/s"});
    all.push_back({.name = "f32 products in cache" + by, .value = median(products), .unit = "Gop/s"});
  }
  return all;
}

}  // namespace varve::bench
