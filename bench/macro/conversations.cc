// conversations: many at once under a budget for a few. Those that wait are on the disk; nobody fails, all
// say what they would alone, and nobody is served twice as fast as another.
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <filesystem>

#include "bench/bench.h"
#include "bench/macro/random_llama.h"
#include "bench/micro/machine.h"
#include "run/engine/engine.h"

namespace varve::bench {
namespace {

struct Settings {
  LlamaShape shape{.layers = 4, .width = 512, .hidden = 1024, .heads = 8, .kv_heads = 4, .vocabulary = 4096};
  int conversations = 16, room = 4, prompt = 200, tokens = 160, threads = 0;
  std::string folder = std::filesystem::temp_directory_path();
};

Result<Settings> read_settings(Spec options) {
  Settings set;
  if (auto folder = options.options.extract("folder")) set.folder = folder.mapped();
  TRY(OptionReader(options)
          .read("layers", set.shape.layers, 1, 1000)
          .read("width", set.shape.width, 1, 65536)
          .read("hidden", set.shape.hidden, 1, 262144)
          .read("heads", set.shape.heads, 1, 1024)
          .read("kv_heads", set.shape.kv_heads, 1, 1024)
          .read("vocabulary", set.shape.vocabulary, 16, 1 << 20)
          .read("conversations", set.conversations, 1, 64)
          .read("room", set.room, 1, 64)
          .read("prompt", set.prompt, 1, 1 << 16)
          .read("tokens", set.tokens, 1, 1 << 16)
          .read("threads", set.threads, 0, 1024)
          .done());
  set.shape.context = set.prompt + set.tokens;
  return set;
}

struct Talk {
  std::vector<Token> said;
  double seconds = 0;  // from its submission to its end
  Status status;
};

struct Round {
  std::vector<Talk> talks;
  double seconds = 0;
  EngineStats stats;
};

Request request_of(const Settings& set, int one) {
  Request request;
  for (int i = 0; i < set.prompt; ++i)
    request.tokens.push_back(Token((i * 7 + one * 131 + i * i % 97 + 1) % set.shape.vocabulary));
  request.max_tokens = set.tokens;
  request.ignore_end = true;
  request.sampling = {.temperature = 1, .seed = uint64_t(one + 1)};
  request.scope = std::to_string(one);
  return request;
}

Round talk(const Settings& set, Engine& engine) {
  using Clock = std::chrono::steady_clock;
  Round round;
  round.talks.resize(size_t(set.conversations));
  std::mutex mutex;
  std::condition_variable changed;
  int left = set.conversations;
  const auto start = Clock::now();
  const auto since = [&] { return std::chrono::duration<double>(Clock::now() - start).count(); };
  for (int i = 0; i < set.conversations; ++i) {
    Talk& one = round.talks[size_t(i)];
    Listener listener;
    listener.on_token = [&one](const Sampled& sampled) {
      one.said.push_back(sampled.token);
      return true;
    };
    listener.on_finish = [&](Finish, Status status, const Usage&, std::vector<float>) {
      std::lock_guard lock(mutex);
      one.status = std::move(status);
      one.seconds = since();
      --left;
      changed.notify_one();
    };
    auto id = engine.submit(request_of(set, i), std::move(listener));
    if (id.ok()) continue;
    std::lock_guard lock(mutex);
    one.status = std::move(id).status();
    --left;
  }
  std::unique_lock lock(mutex);
  changed.wait(lock, [&] { return left == 0; });
  round.seconds = since();
  round.stats = engine.stats();
  return round;
}

// `sequences` 0: all the bytes that there are.
Result<Round> run(const Settings& set, const std::string& path, int sequences, bool pauses) {
  int64_t beside = int64_t(1) << 40;
  for (const bool measuring : {true, false}) {
    Ledger ledger(beside);
    const auto model = TRY(open_model(posix_env(), path, ledger));
    EngineOptions options;
    options.max_sequences = set.conversations;
    options.threads = set.threads;
    if (pauses)
      options.pauses = {.env = &posix_env(),
                        .folder = set.folder + "/varve-paused-" + std::to_string(getpid())};
    const auto engine = TRY(start_engine(model, ledger, options));
    if (sequences == 0 || !measuring) return talk(set, *engine);
    const KvRecipe recipe = TRY(parse_kv_recipe(options.kv));
    const int64_t asked = int64_t(set.conversations) * (set.prompt + set.tokens) * 64;
    beside =
        ledger.used() + sequences * kv_bytes_for(model->shape().kv, recipe, set.prompt + set.tokens) + asked;
  }
  return Status(Code::internal, "not reached");
}

std::pair<double, double> rates(const Settings& set, const Round& round) {
  double least = 1e30, most = 0;
  for (const Talk& one : round.talks) {
    least = std::min(least, set.tokens / one.seconds);
    most = std::max(most, set.tokens / one.seconds);
  }
  return {least, most};
}

Status measure(const Settings& set, const std::string& path, std::vector<Measure>& out) {
  TRY(write_random_llama(posix_env(), path, set.shape, "q8_0"));
  const Round all = TRY(run(set, path, 0, false)), turns = TRY(run(set, path, set.room, true)),
              waits = TRY(run(set, path, set.room, false));
  int failed = 0, same = 0;
  for (int i = 0; i < set.conversations; ++i) {
    failed += !turns.talks[size_t(i)].status.ok();
    same += turns.talks[size_t(i)].said == all.talks[size_t(i)].said;
  }
  const auto [least, most] = rates(set, turns);
  const auto [first, last] = rates(set, waits);
  const double words = double(set.conversations) * set.tokens;
  out.push_back({.name = "conversations that failed", .value = double(failed), .asked = set.conversations});
  out.push_back({.name = "that say what they say with room for all",
                 .value = double(same),
                 .baseline_name = "conversations",
                 .baseline = double(set.conversations)});
  out.push_back({.name = "the fastest beside the slowest, in turns",
                 .value = most / least,
                 .baseline_name = "when who has no room waits",
                 .baseline = last / first});
  out.push_back({.name = "tokens a second, all together",
                 .value = words / turns.seconds,
                 .unit = "1/s",
                 .baseline_name = "with room for all",
                 .baseline = words / all.seconds});
  out.push_back({.name = "pauses", .value = double(turns.stats.pauses)});
  return {};
}

}  // namespace

Result<std::vector<Measure>> conversations(const Spec& options) {
  const Settings set = TRY(read_settings(options));
  const std::string path = set.folder + "/varve-talks-" + std::to_string(getpid()) + ".gguf";
  std::vector<Measure> out;
  Status status = measure(set, path, out);
  posix_env().remove(path).ignore("it may not be there");
  posix_env().remove(set.folder + "/varve-paused-" + std::to_string(getpid())).ignore("likewise");
  TRY(std::move(status));
  return out;
}

}  // namespace varve::bench
