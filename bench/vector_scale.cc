// Vector indexes at scale: how many of the ten nearest each finds of those that comparing everything finds,
// how long a search takes, what stays in RAM. The vectors are synthetic: around a thousand centres, unit
// length. The page cache is not dropped: lists on disk are mostly in it, as in a process that runs for long.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <ctime>
#include <filesystem>

#include "bench/bench.h"
#include "core/base/rng.h"
#include "memory/cube/cube.h"
#include "memory/recall/index/vector_index.h"

namespace varve::bench {
namespace {

struct Setting {
  int64_t vectors = 50000, width = 128, queries = 200;
};

double seconds(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return double(now.tv_sec) + double(now.tv_nsec) * 1e-9;
}

// A sum of uniform numbers instead of normal ones: near enough, and ten times as quick.
std::vector<float> vector_of(uint64_t seed, int64_t number, const Setting& setting) {
  const RngKey own{.seed = seed, .step = uint64_t(number)};
  const RngKey centre{.seed = 7, .step = random_bits(own, 1 << 20) % 1000};
  std::vector<float> values(size_t(setting.width));
  double square = 0;
  for (size_t i = 0; i < values.size(); i += 4) {
    const auto a = random_block(own, uint32_t(i)), b = random_block(centre, uint32_t(i));
    for (size_t j = 0; j < 4 && i + j < values.size(); ++j) {
      const float value = float(b[j]) / 4294967296.0f - 0.5f + 0.8f * (float(a[j]) / 4294967296.0f - 0.5f);
      values[i + j] = value;
      square += double(value) * value;
    }
  }
  for (float& value : values) value /= float(std::sqrt(square));
  return values;
}

using Best = std::vector<std::vector<VectorIndex::Near>>;

Status measure(const std::string& spec, const Setting& setting, const std::string& folder, Best& exact,
               std::vector<Measure>& out) {
  Ledger ledger(int64_t(8) << 30);
  auto index = TRY(vector_indexes().make(spec));
  TRY(index->settle({&ledger, &posix_env(), folder, "bench", size_t(setting.width)}));
  double adding = 0;
  for (int64_t i = 0; i < setting.vectors; ++i) {
    const auto vector = vector_of(1, i, setting);
    const double start = seconds(CLOCK_THREAD_CPUTIME_ID);
    TRY(index->add(uint32_t(i), vector));
    adding += seconds(CLOCK_THREAD_CPUTIME_ID) - start;
  }
  std::vector<double> wall, work;
  double found = 0;
  const bool oracle = exact.empty();
  for (int64_t i = 0; i < setting.queries; ++i) {
    const auto query = vector_of(2, i, setting);
    const double start = seconds(CLOCK_MONOTONIC), busy = seconds(CLOCK_THREAD_CPUTIME_ID);
    const auto near = TRY(index->search(query, 10));
    work.push_back(1000 * (seconds(CLOCK_THREAD_CPUTIME_ID) - busy));
    wall.push_back(1000 * (seconds(CLOCK_MONOTONIC) - start));
    if (oracle) exact.push_back(near);
    for (const auto& one : exact[size_t(i)]) {
      found += std::any_of(near.begin(), near.end(), [&](const auto& it) { return it.slot == one.slot; });
    }
  }
  std::sort(wall.begin(), wall.end());
  std::sort(work.begin(), work.end());
  const size_t last = size_t(0.99 * double(wall.size() - 1));
  const double raw = double(setting.vectors * setting.width * 4);
  out.push_back({spec + " recall@10", found / double(setting.queries * 10), "", "flat, same run", 1});
  out.push_back({spec + " query p50", wall[wall.size() / 2], "ms", "", 0});
  out.push_back({spec + " query p99", wall[last], "ms", "", 0});
  out.push_back({spec + " query p99, processor time", work[last], "ms", "", 0});
  out.push_back(
      {spec + " in RAM", double(index->bytes()) / (1 << 20), "MiB", "the vectors", raw / (1 << 20)});
  out.push_back({spec + " add, processor time", 1e6 * adding / double(setting.vectors), "us", "", 0});
  return {};
}

}  // namespace

Result<std::vector<Measure>> vector_scale(const Spec& options) {
  Setting setting;
  TRY(OptionReader(options)
          .read<int64_t>("vectors", setting.vectors, 1000, 100000000)
          .read<int64_t>("width", setting.width, 8, 4096)
          .read<int64_t>("queries", setting.queries, 10, 100000)
          .done());
  const auto folder = std::filesystem::temp_directory_path() / ("varve-bench-" + CubeId::make(0).text());
  TRY(posix_env().make_folder(folder.string()));
  std::vector<Measure> out;
  Best exact;
  Status done;
  for (const char* spec : {"flat", "hnsw", "spann"}) {
    if (done.ok()) done = measure(spec, setting, folder.string(), exact, out);
  }
  std::error_code failed;
  std::filesystem::remove_all(folder, failed);
  if (!done.ok()) return done;
  return out;
}

}  // namespace varve::bench
