#include "run/weights/rates.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "math/ops/ops.h"

namespace varve {
namespace {

using Clock = std::chrono::steady_clock;
constexpr double kProbeSeconds = 0.015, kLastSeconds = 0.06;
constexpr double kNear = 0.93;  // of the best rate is as good
constexpr int64_t kSizes[] = {256 << 10, 512 << 10, 1 << 20, 2 << 20, 4 << 20};
constexpr int32_t kRowReaders[] = {4, 8, 16, 32, 64};
constexpr int64_t kApart = 37;  // rows
constexpr int64_t kMostGap = 64 << 10;
constexpr int32_t kReaders[] = {1, 2, 3, 4, 6, 8}, kFirstReaders = 4;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

class Probe {
 public:
  // Begins anywhere: what was read lately may come from a cache beyond this machine.
  Probe(const File& file, int64_t file_bytes, std::span<std::byte> room)
      : file_(file), file_bytes_(file_bytes), room_(room) {
    at_ = Clock::now().time_since_epoch().count() % std::max<int64_t>(file_bytes, 1);
  }

  // Bytes a second of so many readers. Each probe goes on where the last one ended. apart: reads do not
  // follow each other.
  Result<double> rate(int64_t size, int32_t readers, double seconds, int64_t apart = 1) {
    std::atomic<int64_t> reads = 0;
    std::atomic<bool> failed = false;
    Status problem;
    const auto start = Clock::now();
    const auto work = [&](int32_t who) {
      do {
        const int64_t at =
            (at_.fetch_add(size * apart) % std::max<int64_t>(file_bytes_ - size, 1)) / kDirectBytes;
        auto got = file_.read_up_to(at * kDirectBytes, room_.subspan(size_t(who * size), size_t(size)));
        if (!got.ok()) {
          if (!failed.exchange(true)) problem = std::move(got).status();
          return;
        }
        ++reads;
      } while (seconds_since(start) < seconds && !failed);
    };
    std::vector<std::thread> others;
    for (int32_t who = 1; who < readers; ++who) others.emplace_back(work, who);
    work(0);
    for (std::thread& one : others) one.join();
    if (failed) return problem;
    return double(reads * std::min(size, file_bytes_)) / seconds_since(start);
  }

 private:
  const File& file_;
  const int64_t file_bytes_;
  const std::span<std::byte> room_;
  std::atomic<int64_t> at_ = 0;
};

struct Tried {
  int64_t size;
  int32_t readers;
  double rate;
};

// The first, which takes least room, of those near the best.
Tried cheapest(std::span<const Tried> tried) {
  double best = 0;
  for (const Tried& one : tried) best = std::max(best, one.rate);
  return *std::find_if(tried.begin(), tried.end(),
                       [&](const Tried& one) { return one.rate >= kNear * best; });
}

}  // namespace

// First how large reads must be, then how many at a time.
Result<DiskRate> measure_disk(const File& file, std::span<std::byte> room) {
  Probe probe(file, TRY(file.size()), room);
  const auto fits = [&](int64_t size, int32_t readers) {
    return size * (readers + 2) <= int64_t(room.size());
  };
  std::vector<Tried> sizes, crews;
  for (const int64_t size : kSizes) {
    if (fits(size, kFirstReaders) || sizes.empty())
      sizes.push_back({size, kFirstReaders, TRY(probe.rate(size, kFirstReaders, kProbeSeconds))});
  }
  const int64_t size = cheapest(sizes).size;
  for (const int32_t readers : kReaders) {
    if (fits(size, readers) || readers == 1)
      crews.push_back({size, readers, TRY(probe.rate(size, readers, kProbeSeconds))});
  }
  const Tried chosen = cheapest(crews);
  DiskRate rate{.read_bytes = chosen.size, .readers = chosen.readers};
  rate.bytes_per_second = TRY(probe.rate(chosen.size, chosen.readers, kLastSeconds));
  const double alone = double(crews[0].size) / crews[0].rate;  // of one read
  rate.first_byte_seconds = std::max(0.0, alone - double(crews[0].size) / rate.bytes_per_second);
  return rate;
}

// The cost of a byte more is taken from longer reads of the same kind: they come nowhere near what reads in
// order give.
Result<RowRate> measure_rows(const File& file, int64_t row_bytes, std::span<std::byte> room) {
  constexpr int64_t kLonger = 4;
  Probe probe(file, TRY(file.size()), room);
  const auto fits = [&](int32_t readers) { return kLonger * row_bytes * readers <= int64_t(room.size()); };
  std::vector<Tried> crews;
  for (const int32_t readers : kRowReaders) {
    if (fits(readers) || crews.empty())
      crews.push_back({row_bytes, readers, TRY(probe.rate(row_bytes, readers, kLastSeconds, kApart))});
  }
  const Tried chosen = cheapest(crews);
  RowRate rate{.seconds_a_read = double(row_bytes) / chosen.rate, .readers = chosen.readers};
  if (!fits(chosen.readers)) return rate;
  const double longer = TRY(probe.rate(kLonger * row_bytes, chosen.readers, kLastSeconds, kApart));
  const double between = double(kLonger * row_bytes) / longer - rate.seconds_a_read;
  const double a_byte = between / double((kLonger - 1) * row_bytes);
  if (a_byte > 0) rate.gap_bytes = std::max<int64_t>(0, int64_t(rate.seconds_a_read / a_byte) - row_bytes);
  rate.gap_bytes = std::min(rate.gap_bytes, kMostGap);
  return rate;
}

Result<double> measure_reads(const File& file, const DiskRate& how, std::span<std::byte> room,
                             double seconds) {
  return Probe(file, TRY(file.size()), room).rate(how.read_bytes, how.readers, seconds);
}

Result<double> measure_product(const Codec& codec, int32_t cols, std::span<const std::byte> bytes,
                               Ledger& ledger) {
  const int64_t row = codec.bytes_for(cols);
  const auto rows = int32_t(int64_t(bytes.size()) / row);
  if (rows < 1) return 0.0;
  ThreadPool pool(int(std::max(1u, std::thread::hardware_concurrency())));
  Ops ops(pool, Ops::Precision::fast);
  Scratch scratch = TRY(Scratch::make(ledger, Scratch::bytes_for(1, cols) + Scratch::bytes_for(1, rows)));
  Rows x = scratch.take(1, cols), y = scratch.take(1, rows);
  ops.fill(x, 1);
  double best = 0;
  for (int round = 0; round < 4; ++round) {
    const auto start = Clock::now();
    ops.matmul(x, {&codec, bytes.first(size_t(rows * row)), rows, cols}, y);
    best = std::max(best, double(rows * row) / seconds_since(start));
  }
  return best;
}

}  // namespace varve
