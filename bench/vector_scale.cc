// Vector indexes at scale: how many of the ten nearest each finds of those that comparing everything finds,
// how long a search takes, what stays in RAM. The vectors are those of real sentences where `texts` has any
// (questions among them ask), else synthetic: around a thousand centres. The page cache is not dropped: lists
// on disk are mostly in it, as in a process that runs for long.
#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <ctime>
#include <filesystem>

#include "bench/bench.h"
#include "bench/texts.h"
#include "core/base/process.h"
#include "core/base/rng.h"
#include "memory/cube/cube.h"
#include "memory/recall/index/vector_index.h"
#include "run/embed/static_embedder.h"

namespace varve::bench {
namespace {

struct Setting {
  int64_t vectors = 50000, width = 128, queries = 200;
  std::string indexes = "flat+hnsw+spann", texts, embeddings;
};

struct Vectors {
  size_t width = 0;
  std::vector<float> stored, asked;  // rows
  size_t count() const { return stored.size() / width; }
  std::span<const float> row(size_t i) const { return std::span(stored).subspan(i * width, width); }
  std::span<const float> query(size_t i) const { return std::span(asked).subspan(i * width, width); }
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

Vectors synthetic(const Setting& setting) {
  Vectors made{.width = size_t(setting.width)};
  for (const auto& [seed, count, rows] :
       {std::tuple{1, setting.vectors, &made.stored}, std::tuple{2, setting.queries, &made.asked}}) {
    rows->reserve(size_t(count) * made.width);
    for (int64_t i = 0; i < count; ++i) {
      const auto vector = vector_of(uint64_t(seed), i, setting);
      rows->insert(rows->end(), vector.begin(), vector.end());
    }
  }
  return made;
}

// Of sentences and of questions; one that says nothing (all zero) is left out.
Result<Vectors> of_texts(const Setting& setting) {
  const Texts texts = TRY(read_texts(setting.texts, {"locomo", "hotpot", "dailydialog"}));
  Ledger ledger(int64_t(1) << 30);
  const auto embedder = TRY(open_static_embedder(posix_env(), setting.embeddings, ledger));
  Vectors made{.width = size_t(embedder->width())};
  made.stored.reserve(size_t(setting.vectors) * made.width);
  const auto put = [&](const std::string& text, std::vector<float>& rows) -> Status {
    const auto vector = TRY(embedder->embed(text));
    const bool says = std::any_of(vector.begin(), vector.end(), [](float value) { return value != 0; });
    if (says) rows.insert(rows.end(), vector.begin(), vector.end());
    return {};
  };
  for (int64_t i = 0; int64_t(made.count()) < setting.vectors; ++i) TRY(put(texts.memory(i), made.stored));
  for (int64_t i = 0; int64_t(made.asked.size() / made.width) < setting.queries; ++i) {
    const uint32_t one = random_bits({.seed = 4}, uint64_t(i)) % uint32_t(texts.questions.size());
    TRY(put(texts.questions[one], made.asked));
  }
  return made;
}

float score(const Vectors& vectors, size_t row, size_t query) {
  float sum = 0;
  dot_rows(false, vectors.row(row).data(), 1, vectors.query(query), &sum);
  return sum;
}

// Resident bytes, and the most of them, above what was there before.
struct Resident {
  int64_t before = resident_bytes(), peak = 0;
  void look() { peak = std::max(peak, resident_bytes() - before); }
};

class Run {
 public:
  Run(const Vectors& vectors, std::string folder) : vectors_(vectors), folder_(std::move(folder)) {}

  Status measure(const std::string& spec, std::vector<Measure>& out) {
    Ledger ledger(int64_t(16) << 30);
    auto index = TRY(vector_indexes().make(spec));
    TRY(index->settle({&ledger, &posix_env(), folder_, "bench", vectors_.width}));
    const double raw = double(vectors_.stored.size()) * 4 / (1 << 20);
    const auto put = [&](const char* name, double value, const char* unit) {
      out.push_back({spec + " " + name, value, unit, "", 0});
    };
    const auto put_size = [&](const char* name, int64_t bytes) {
      out.push_back({spec + " " + name, double(bytes) / (1 << 20), "MiB", "the vectors", raw});
    };
    malloc_trim(0);  // what the index before gave back is no room for this one
    Resident resident;
    double longest = 0;
    const double start = seconds(CLOCK_MONOTONIC), busy = seconds(CLOCK_PROCESS_CPUTIME_ID);
    for (size_t i = 0; i < vectors_.count(); ++i) {
      const double before = seconds(CLOCK_MONOTONIC);
      TRY(index->add(uint32_t(i), vectors_.row(i)));
      longest = std::max(longest, seconds(CLOCK_MONOTONIC) - before);
      if (i % 4096 == 0) resident.look();
    }
    put("built in", seconds(CLOCK_MONOTONIC) - start, "s");
    put("an add, processor time", 1e6 * (seconds(CLOCK_PROCESS_CPUTIME_ID) - busy) / double(vectors_.count()),
        "us");
    put("the longest add", longest, "s");
    TRY(ask(*index, spec, out));
    put_size("booked", ledger.used());
    put_size("booked at most", ledger.peak());
    malloc_trim(0);
    put_size("resident", resident_bytes() - resident.before);
    put_size("resident at most", resident.peak);
    return {};
  }

 private:
  // The tenth best score of each question is what the first index says: flat is exact.
  Status ask(const VectorIndex& index, const std::string& spec, std::vector<Measure>& out) {
    std::vector<double> wall, work;
    const size_t queries = vectors_.asked.size() / vectors_.width;
    const bool oracle = tenth_.empty();
    size_t found = 0;
    for (size_t i = 0; i < queries; ++i) {
      const double start = seconds(CLOCK_MONOTONIC), busy = seconds(CLOCK_THREAD_CPUTIME_ID);
      const auto near = TRY(index.search(vectors_.query(i), 10));
      work.push_back(1000 * (seconds(CLOCK_THREAD_CPUTIME_ID) - busy));
      wall.push_back(1000 * (seconds(CLOCK_MONOTONIC) - start));
      if (oracle) tenth_.push_back(near.back().score);
      for (const auto& one : near) found += score(vectors_, one.slot, i) >= tenth_[i] - 1e-6f;
    }
    std::sort(wall.begin(), wall.end());
    std::sort(work.begin(), work.end());
    const size_t last = size_t(0.99 * double(queries - 1));
    out.push_back({spec + " recall@10", double(found) / double(queries * 10), "", "the first, same run", 1});
    out.push_back({spec + " query p50", wall[queries / 2], "ms", "", 0});
    out.push_back({spec + " query p99", wall[last], "ms", "", 0});
    out.push_back({spec + " query p99, processor time", work[last], "ms", "", 0});
    return {};
  }

  const Vectors& vectors_;
  std::string folder_;
  std::vector<float> tenth_;
};

}  // namespace

Result<std::vector<Measure>> vector_scale(const Spec& options) {
  Setting setting;
  Spec left = options;
  const auto text = [&](const char* key, std::string& value) {
    if (auto given = left.options.extract(key)) value = given.mapped();
  };
  setting.texts = "../shared/data";
  setting.embeddings = "../shared/data/models/static-embeddings";
  text("texts", setting.texts);
  text("embeddings", setting.embeddings);
  text("indexes", setting.indexes);
  TRY(OptionReader(left)
          .read<int64_t>("vectors", setting.vectors, 1000, 100000000)
          .read<int64_t>("width", setting.width, 8, 4096)
          .read<int64_t>("queries", setting.queries, 10, 100000)
          .done());
  const bool real = std::filesystem::exists(setting.texts) && std::filesystem::exists(setting.embeddings);
  const Vectors vectors = real ? TRY(of_texts(setting)) : synthetic(setting);
  const auto folder = std::filesystem::temp_directory_path() / ("varve-bench-" + CubeId::make(0).text());
  TRY(posix_env().make_folder(folder.string()));
  std::vector<Measure> out;
  out.push_back(
      {real ? "vectors of real sentences" : "synthetic vectors", double(vectors.count()), "", "", 0});
  Run run(vectors, folder.string());
  Status done;
  for (size_t at = 0, end = 0; at <= setting.indexes.size() && done.ok(); at = end + 1) {
    end = std::min(setting.indexes.find('+', at), setting.indexes.size());
    done = run.measure(setting.indexes.substr(at, end - at), out);
  }
  std::error_code failed;
  std::filesystem::remove_all(folder, failed);
  if (!done.ok()) return done;
  return out;
}

}  // namespace varve::bench
