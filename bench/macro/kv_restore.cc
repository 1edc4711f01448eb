// kv_restore: the time to the first token when a model must read a memory, beside when its attention state
// was captured and comes from the disk; how fast that is loaded, beside the disk; from how many tokens on it
// pays. The page cache is emptied of the file before every reading of it.
#include <fcntl.h>
#include <unistd.h>

#include <condition_variable>
#include <filesystem>
#include <numeric>

#include "bench/bench.h"
#include "bench/macro/random_llama.h"
#include "bench/micro/machine.h"
#include "run/engine/engine.h"
#include "run/engine/prefix_store.h"

namespace varve::bench {
namespace {

struct Settings {
  LlamaShape shape;
  int query = 167, threads = 0, rounds = 3;
  std::vector<int> lengths{64, 583, 2773, 6064};
  std::string folder = std::filesystem::temp_directory_path();
};

Result<Settings> read_settings(Spec options) {
  Settings set;
  if (auto folder = options.options.extract("folder")) set.folder = folder.mapped();
  int longest = 0;
  TRY(OptionReader(options)
          .read("layers", set.shape.layers, 1, 1000)
          .read("width", set.shape.width, 1, 65536)
          .read("hidden", set.shape.hidden, 1, 262144)
          .read("heads", set.shape.heads, 1, 1024)
          .read("kv_heads", set.shape.kv_heads, 1, 1024)
          .read("vocabulary", set.shape.vocabulary, 1, 1 << 20)
          .read("query", set.query, 1, 1 << 16)
          .read("longest", longest, 0, 1 << 16)
          .read("rounds", set.rounds, 1, 100)
          .read("threads", set.threads, 0, 1024)
          .done());
  if (longest > 0) std::erase_if(set.lengths, [&](int length) { return length > longest; });
  if (longest > 0 && set.lengths.empty()) set.lengths = {longest};
  set.shape.context = set.lengths.back() + set.query + 64;
  return set;
}

// Written wholly and then forgotten by the system, so that the next reading comes from the disk.
void empty_page_cache(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY);
  if (file < 0) return;
  ::fsync(file);
  ::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
  ::close(file);
}

struct Bench {
  const Settings& set;
  Engine& engine;
  const std::string path;
  std::vector<Measure>& out;

  std::vector<Token> tokens(int length, int seed) const {
    std::vector<Token> all(static_cast<size_t>(length));
    for (int i = 0; i < length; ++i) all[i] = Token((i * 7 + seed * 131 + 1) % set.shape.vocabulary);
    return all;
  }
  // Seconds until the first token.
  Result<double> first_token(std::vector<Token> prompt, const std::string& scope, Usage& usage) {
    std::mutex mutex;
    std::condition_variable changed;
    bool done = false;
    Status status;
    Request request;
    request.tokens = std::move(prompt);
    request.max_tokens = 1;
    request.ignore_end = true;
    request.scope = scope;
    const double taken = seconds([&] {
      Listener listener;
      listener.on_finish = [&](Finish, Status how, const Usage& used, std::vector<float>) {
        std::lock_guard lock(mutex);
        status = std::move(how);
        usage = used;
        done = true;
        changed.notify_one();
      };
      auto id = engine.submit(std::move(request), std::move(listener));
      std::unique_lock lock(mutex);
      if (!id.ok()) {
        status = std::move(id).status();
      } else {
        changed.wait(lock, [&] { return done; });
      }
    });
    TRY(std::move(status));
    return taken;
  }
  Status restore(const std::vector<Token>& memory, const std::string& scope) {
    PrefixStore& store = *engine.prefixes();
    const KvFile file = TRY(KvFile::open(TRY(posix_env().open(path, Open::read))));
    TRY(file.made_by(store.identity("memory")));
    KvBlocks blocks;
    TRY(file.load(store.pool(), int32_t(memory.size()), blocks));
    store.add({scope, nullptr}, store.epoch(), memory, join(blocks, int32_t(memory.size())));
    return {};
  }
  Result<double> disk_rate(int64_t bytes) {
    empty_page_cache(path);
    std::vector<std::byte> piece(4 << 20);
    const auto file = TRY(posix_env().open(path, Open::read));
    Status status;
    const double taken = seconds([&] {
      for (int64_t at = 0; at < bytes && status.ok(); at += int64_t(piece.size())) {
        status = file->read(at, std::span(piece).first(size_t(std::min<int64_t>(bytes - at, piece.size()))));
      }
    });
    TRY(std::move(status));
    return double(bytes) / taken / 1e9;
  }

  Status measure(int length) {
    PrefixStore& store = *engine.prefixes();
    const std::vector<Token> memory = tokens(length, length), query = tokens(set.query, 3);
    std::vector<Token> prompt = memory;
    prompt.insert(prompt.end(), query.begin(), query.end());
    Usage usage;
    const double text = TRY(first_token(prompt, "text", usage));
    KvHead head{.made_by = store.identity("memory"), .tokens = memory};
    head.before = kv_root(head.made_by);
    TRY(save_kv(posix_env(), path, head, store.longest({"text", nullptr}, memory).kv));
    TRY(engine.forget_prefixes());
    const int64_t bytes = kv_file_bytes(head, store.pool().layout);

    std::vector<double> exact, load, disk;
    for (int round = 0; round < set.rounds; ++round) {
      disk.push_back(TRY(disk_rate(bytes)));
      empty_page_cache(path);
      Status restored;
      const double loading = seconds([&] { restored = restore(memory, "exact"); });
      TRY(std::move(restored));
      exact.push_back(loading + TRY(first_token(prompt, "exact", usage)));
      if (usage.reused_tokens != length) return Status(Code::internal, "the restored state was not used");
      load.push_back(double(bytes) / loading / 1e9);
      TRY(engine.forget_prefixes());
    }
    const std::string name = std::to_string(length) + " tokens";
    const double restoring = double(bytes) / median(load) / 1e9;
    out.push_back({.name = name + ", first token with the cube",
                   .value = median(exact),
                   .unit = "s",
                   .baseline_name = "reading the text",
                   .baseline = text});
    out.push_back({.name = name + ", restoring alone",
                   .value = restoring,
                   .unit = "s",
                   .baseline_name = "what it saves",
                   .baseline = text - (median(exact) - restoring)});
    out.push_back({.name = name + ", loading",
                   .value = median(load),
                   .unit = "GB/s",
                   .baseline_name = "the disk, front to back",
                   .baseline = median(disk)});
    return {};
  }
};

Status measure(const Settings& set, const std::string& model_path, const std::string& kv_path,
               std::vector<Measure>& out) {
  TRY(write_random_llama(posix_env(), model_path, set.shape, "q8_0"));
  Ledger ledger(int64_t(1) << 40);
  EngineOptions options;
  options.threads = set.threads;
  const auto model = TRY(open_model(posix_env(), model_path, ledger));
  const auto engine = TRY(start_engine(model, ledger, options));
  Bench bench{set, *engine, kv_path, out};
  Usage usage;
  TRY(bench.first_token(bench.tokens(32, 9), "warm", usage));
  for (const int length : set.lengths) TRY(bench.measure(length));
  return {};
}

}  // namespace

Result<std::vector<Measure>> kv_restore(const Spec& options) {
  const Settings set = TRY(read_settings(options));
  const std::string stem = set.folder + "/varve-kv-" + std::to_string(getpid());
  std::vector<Measure> out;
  Status status = measure(set, stem + ".gguf", stem + ".kv", out);
  for (const char* suffix : {".gguf", ".kv"}) posix_env().remove(stem + suffix).ignore("it may not be there");
  TRY(std::move(status));
  return out;
}

}  // namespace varve::bench
