// index_kill [cycles] [seed]: a child stores memories, forgets some and writes recall's index files all the
// time; the parent kills it with SIGKILL at a random moment, opens what is there, and compares what it
// answers with what it answers when all is built anew from the store. Vectors are on disk and merged often.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <thread>

#include "core/base/rng.h"
#include "memory/recall/recall.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

const Principal kWho{"ann"};
// Every list is read: two indexes with the same vectors then say the same.
constexpr std::string_view kRecipe =
    "bm25+dense:index=spann,wait=32,probe=10000,reach=10+context:depth=100+session";

struct Letters : Embedder {  // of a text, counted
  std::string_view name() const override { return "letters"; }
  int width() const override { return 26; }
  Result<std::vector<float>> embed(std::string_view text) const override {
    std::vector<float> vector(26);
    float square = 0;
    for (const char c : text) vector[size_t(c - 'a' + 26) % 26] += c >= 'a' && c <= 'z';
    for (const float value : vector) square += value * value;
    for (float& value : vector) value /= std::max(1e-6f, std::sqrt(square));
    return vector;
  }
};

std::string words(const RngKey& key) {
  std::string text = "memory";
  for (uint64_t i = 0; i < 6; ++i) {
    text += ' ';
    for (uint64_t j = 0; j < 4; ++j) text += char('a' + random_bits(key, i * 8 + j) % 26);
  }
  return text;
}

struct Home {
  Home(const std::string& folder, Status& opened) {
    opened = [&]() -> Status {
      TRY(posix_env().make_folder(folder));
      store = TRY(CubeStore::open(posix_env(), folder + "/cubes", ledger));
      const RecallGround ground{nullptr, &posix_env(), folder + "/index", {}, 1 << 20};
      recall = TRY(Recall::make(kRecipe, *store, &letters, ledger, system_clock(), ground));
      return {};
    }();
  }
  ~Home() { recall.reset(); }
  Letters letters;
  Ledger ledger{256 << 20};
  std::unique_ptr<CubeStore> store;
  std::unique_ptr<Recall> recall;
};

[[noreturn]] void work(const std::string& folder, const RngKey& dice, int pipe) {
  Status opened;
  Home home(folder, opened);
  if (!opened.ok()) std::printf("%s\n", opened.text().c_str()), std::fflush(stdout);
  if (!opened.ok() || ::write(pipe, "o", 1) != 1) ::_exit(2);
  std::vector<CubeId> mine;
  for (uint64_t step = 0;; ++step) {
    std::vector<MemoryOp> ops(1 + random_bits(dice, 10 * step) % 40);
    for (size_t i = 0; i < ops.size(); ++i) {
      ops[i].draft.header.kind = "turn";
      ops[i].draft.header.session = "session-" + std::to_string(step);
      ops[i].draft.header.turn = int32_t(i);
      ops[i].draft.payload = words({.seed = dice.seed + step, .step = dice.step * 1000 + i});
    }
    const auto made = home.store->apply(kWho, std::move(ops));
    if (!made.ok()) ::_exit(3);
    mine.insert(mine.end(), made->begin(), made->end());
    if (step % 4 == 3) {
      const CubeId one = mine[random_bits(dice, 10 * step + 1) % mine.size()];
      std::erase(mine, one);
      if (!home.store->erase(kWho, one, "no more").ok()) ::_exit(4);
    }
    if (!home.recall->settle().ok()) ::_exit(5);
  }
}

using Answers = std::vector<std::vector<std::pair<CubeId, float>>>;

Result<Answers> ask(const Recall& recall, uint64_t seed) {
  Answers all;
  for (uint64_t i = 0; i < 20; ++i) {
    const auto found = TRY(recall.gather(kWho, {.text = words({.seed = seed, .step = i}), .limit = 10}));
    all.emplace_back();
    for (const Recalled& one : found) all.back().emplace_back(one.header.id, one.score);
  }
  return all;
}

bool same(const Answers& a, const Answers& b) {
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].size() != b[i].size()) return false;
    for (size_t j = 0; j < a[i].size(); ++j) {
      if (a[i][j].first != b[i][j].first || std::abs(a[i][j].second - b[i][j].second) > 1e-4f) return false;
    }
  }
  return true;
}

struct Seen {
  int64_t loaded = 0, memories = 0;
};

// What was wrong, or nothing.
std::string cycle(const std::string& folder, uint64_t seed, uint64_t number, Seen& seen) {
  int pipe[2];
  if (::pipe(pipe) != 0) return "no pipe";
  const RngKey dice{.seed = seed, .step = number};
  const pid_t child = ::fork();
  if (child < 0) return "no child";
  if (child == 0) work(folder, dice, pipe[1]);
  ::close(pipe[1]);
  char opened = 0;
  if (::read(pipe[0], &opened, 1) != 1) return "the child cannot open the home";
  std::this_thread::sleep_for(std::chrono::duration<double, std::milli>(150 * random_unit(dice, 5000)));
  ::kill(child, SIGKILL);
  int outcome = 0;
  ::waitpid(child, &outcome, 0);
  ::close(pipe[0]);
  if (WIFEXITED(outcome)) return "the child ended with " + std::to_string(WEXITSTATUS(outcome));
  Status status;
  Home home(folder, status);
  if (!status.ok()) return "opening: " + status.text();
  seen.loaded += home.recall->state().opened.starts_with("loaded") &&
                 home.recall->state().opened.find("without") == std::string::npos;
  seen.memories = home.recall->state().memories;
  const auto kept = ask(*home.recall, seed);
  const auto names = posix_env().list(folder + "/index");
  if (!kept.ok() || !names.ok()) return "asking";
  if (std::count_if(names->begin(), names->end(), [](const auto& name) { return name.ends_with(".lists"); }) >
      2)
    return "lists that nobody needs";
  if (!home.recall->rebuild().ok()) return "building anew";
  const auto anew = ask(*home.recall, seed);
  return anew.ok() && same(*kept, *anew)
             ? ""
             : "answers are not those of an index built anew (" + home.recall->state().opened + ")";
}

int run(uint64_t cycles, uint64_t seed) {
  Seen seen;
  const TempFolder folder(TempFolder::in_ram());
  for (uint64_t i = 0; i < cycles; ++i) {
    const std::string wrong = cycle(folder / "home", seed, i, seen);
    if (wrong.empty()) continue;
    std::printf("seed %llu, cycle %llu: %s\n", static_cast<unsigned long long>(seed),
                static_cast<unsigned long long>(i), wrong.c_str());
    return 1;
  }
  std::printf("%llu kills, %lld of them opened from the files, %lld memories, every answer as built anew\n",
              static_cast<unsigned long long>(cycles), static_cast<long long>(seen.loaded),
              static_cast<long long>(seen.memories));
  return seen.memories > 0 ? 0 : 1;
}

}  // namespace
}  // namespace varve

int main(int argc, char** argv) {
  uint64_t numbers[2] = {40, 1};
  for (int i = 1; i < argc && i <= 2; ++i) {
    const std::string_view text = argv[i];
    if (std::from_chars(text.data(), text.data() + text.size(), numbers[i - 1]).ec != std::errc()) return 2;
  }
  return varve::run(numbers[0], numbers[1]);
}
