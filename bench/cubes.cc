// Durable memory: what a put, a read, a list, an erase and an opening cost in a store of `cubes` small cubes,
// beside the least that durability can cost here: appending 512 bytes to a file and syncing it.
#include <algorithm>
#include <chrono>
#include <filesystem>

#include "bench/bench.h"
#include "memory/cube/cube_store.h"

namespace varve::bench {
namespace {

using Time = std::chrono::steady_clock;
const Principal kWho{"bench"};

template <class Call>
Result<double> milliseconds(Call call) {
  const auto start = Time::now();
  TRY(call());
  return std::chrono::duration<double, std::milli>(Time::now() - start).count();
}

// The p-th part of `times` calls.
template <class Call>
Result<double> quantile(int times, double p, Call call) {
  std::vector<double> all;
  for (int i = 0; i < times; ++i) all.push_back(TRY(milliseconds([&] { return call(i); })));
  std::sort(all.begin(), all.end());
  return all[size_t(p * double(all.size() - 1))];
}

CubeDraft draft(int number) {
  CubeDraft made;
  made.header.kind = "turn";
  made.header.session = "session-" + std::to_string(number / 100);
  made.header.turn = number % 100;
  made.payload =
      "Something of the usual length that was said in turn number " + std::to_string(number) + ". ";
  made.payload += made.payload + made.payload;
  return made;
}

Status fill(CubeStore& store, int cubes) {
  for (int done = 0; done < cubes;) {
    std::vector<MemoryOp> ops;
    for (; done < cubes && ops.size() < 1000; ++done) ops.push_back({.draft = draft(done)});
    TRY(store.apply(kWho, std::move(ops)));
  }
  return {};
}

Result<double> append_and_sync(const std::string& path) {
  const auto file = TRY(posix_env().open(path, Open::create));
  const std::vector<std::byte> bytes(512);
  return quantile(200, 0.5, [&](int i) -> Status {
    TRY(file->write(512 * i, bytes));
    return file->sync();
  });
}

Result<std::vector<Measure>> measure(const std::string& folder, int cubes) {
  std::vector<Measure> all;
  const double sync = TRY(append_and_sync(folder + "/plain"));
  Ledger ledger{256 << 20};
  auto store = TRY(CubeStore::open(posix_env(), folder + "/cubes", ledger));
  const double filling = TRY(milliseconds([&] { return fill(*store, cubes); }));
  all.push_back({"put in plans of 1000, each", 1000 * filling / cubes, "us"});
  std::vector<CubeId> ids;
  for (const double p : {0.5, 0.99}) {
    const double put = TRY(quantile(200, p, [&](int i) -> Status {
      ids.push_back(TRY(store->put(kWho, draft(cubes + i))));
      return {};
    }));
    all.push_back({p < 0.9 ? "put p50" : "put p99", put, "ms", "append 512 B and sync, p50", sync});
  }
  const double read =
      TRY(quantile(200, 0.5, [&](int i) { return store->payload(kWho, ids[size_t(i)]).status(); }));
  all.push_back({"read words p50", 1000 * read, "us"});
  const double list =
      TRY(quantile(20, 0.5, [&](int) { return store->list(kWho, {.limit = 1000}).status(); }));
  all.push_back({"list 1000 headers p50", list, "ms"});
  const double erase =
      TRY(quantile(5, 0.5, [&](int i) { return store->erase(kWho, ids[size_t(i)], "").status(); }));
  all.push_back({"erase p50", erase, "ms"});
  store.reset();
  const double opening = TRY(milliseconds([&]() -> Status {
    store = TRY(CubeStore::open(posix_env(), folder + "/cubes", ledger));
    return {};
  }));
  all.push_back({"open", opening, "ms"});
  const auto bytes = double(std::filesystem::file_size(folder + "/cubes/cubes.db"));
  all.push_back(
      {"bytes a cube on disk", bytes / (cubes + 395), "B", "its words", double(draft(0).payload.size())});
  return all;
}

}  // namespace

Result<std::vector<Measure>> cubes(const Spec& options) {
  int count = 10000;
  TRY(OptionReader(options).read("cubes", count, 100, 10000000).done());
  const CubeId unique = CubeId::make(0);
  const auto folder = std::filesystem::temp_directory_path() / ("varve-bench-" + unique.text());
  TRY(posix_env().make_folder(folder.string()));
  auto measured = measure(folder.string(), count);
  std::error_code failed;
  std::filesystem::remove_all(folder, failed);
  return measured;
}

}  // namespace varve::bench
