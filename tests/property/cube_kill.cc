// cube_kill [cycles] [seed]: a child works on a store and tells each answer through a pipe; the parent kills
// it with SIGKILL at a random moment, opens the store, and compares it with what was acknowledged. The one
// call whose answer never came may have happened or not, but wholly.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <cstdio>
#include <thread>

#include "tests/property/cube_script.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

constexpr uint64_t kStepsPerCycle = 1000;  // few enough that their answers fit into a pipe

struct Answer {
  uint64_t step = 0;
  uint32_t made = 0;
  CubeId id;
};

Result<std::unique_ptr<CubeStore>> open_store(const std::string& folder, Ledger& ledger) {
  return CubeStore::open(posix_env(), folder, ledger);
}

[[noreturn]] void work(const std::string& folder, CubeModel model, uint64_t seed, uint64_t first, int pipe) {
  Ledger ledger{256 << 20};
  auto store = open_store(folder, ledger);
  const char opened = 1;
  if (!store.ok() || ::write(pipe, &opened, 1) != 1) ::_exit(2);
  for (uint64_t step = first; step < first + kStepsPerCycle; ++step) {
    const Plan plan = make_plan(model, {.seed = seed, .step = step});
    auto made = execute(**store, plan);
    if (!made.ok()) ::_exit(3);
    model = after(std::move(model), plan, *made);
    Answer answer{
        .step = step, .made = uint32_t(made->size()), .id = made->empty() ? CubeId{} : made->front()};
    if (::write(pipe, &answer, sizeof(answer)) != sizeof(answer)) ::_exit(4);
  }
  for (;;) ::pause();  // the parent overslept: a kill between two calls
}

class KillTest {
 public:
  KillTest(uint64_t seed, std::string folder) : seed_(seed), folder_(std::move(folder)) {}

  // One child, one kill; what was wrong, or nothing.
  std::string cycle(uint64_t number) {
    const uint64_t first = number * kStepsPerCycle;
    int pipe[2];
    if (::pipe(pipe) != 0) return "no pipe";
    const pid_t child = ::fork();
    if (child < 0) return "no child";
    if (child == 0) work(folder_, model_, seed_, first, pipe[1]);
    ::close(pipe[1]);
    const RngKey dice{.seed = seed_, .step = first};
    char opened = 0;
    const bool waited = random_bits(dice, 4999) % 4 != 0;  // else it may die while it opens the store
    if (waited && ::read(pipe[0], &opened, 1) != 1) return "the child cannot open the store";
    const double wait_ms = 40 * random_unit(dice, 5000);
    std::this_thread::sleep_for(std::chrono::duration<double, std::milli>(wait_ms));
    ::kill(child, SIGKILL);
    int outcome = 0;
    ::waitpid(child, &outcome, 0);
    if (WIFEXITED(outcome)) return "the child ended with " + std::to_string(WEXITSTATUS(outcome));
    if (!waited && ::read(pipe[0], &opened, 1) != 1) opened = 0;
    const uint64_t next = opened ? replay(pipe[0], first) : first;
    ::close(pipe[0]);
    return verify(next);
  }

  int64_t answers() const { return answers_; }
  double slowest_open_ms() const { return slowest_open_ms_; }
  size_t cubes() const { return model_.cubes.size(); }

 private:
  uint64_t replay(int pipe, uint64_t first) {  // returns the step that was under way
    Answer answer;
    while (::read(pipe, &answer, sizeof(answer)) == sizeof(answer)) {
      const Plan plan = make_plan(model_, {.seed = seed_, .step = answer.step});
      model_ = after(std::move(model_), plan, std::vector<CubeId>(answer.made, answer.id));
      first = answer.step + 1;
      ++answers_;
    }
    return first;
  }

  std::string verify(uint64_t under_way) {
    Ledger ledger{256 << 20};
    const auto start = std::chrono::steady_clock::now();
    auto store = open_store(folder_, ledger);
    if (!store.ok()) return "opening: " + std::move(store).status().text();
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    slowest_open_ms_ = std::max(slowest_open_ms_, took.count());
    return settle(**store, model_, make_plan(model_, {.seed = seed_, .step = under_way}));
  }

  const uint64_t seed_;
  const std::string folder_;
  CubeModel model_;
  int64_t answers_ = 0;
  double slowest_open_ms_ = 0;
};

int run(uint64_t cycles, uint64_t seed) {
  int64_t answers = 0;
  double slowest_ms = 0;
  size_t cubes = 0;
  for (uint64_t done = 0; done < cycles;) {  // a new store now and then, so that none grows without end
    // By turns on a disk, where a kill falls into a sync, and in RAM, where it falls between two writes.
    const TempFolder folder(done / 50 % 2 ? std::filesystem::temp_directory_path() : TempFolder::in_ram());
    KillTest test(seed + done, folder / "cubes");
    for (uint64_t cycle = 0; cycle < 50 && done < cycles; ++cycle, ++done) {
      const std::string wrong = test.cycle(cycle);
      if (wrong.empty()) continue;
      std::printf("seed %llu, cycle %llu: %s\n", static_cast<unsigned long long>(seed + done - cycle),
                  static_cast<unsigned long long>(cycle), wrong.c_str());
      return 1;
    }
    answers += test.answers();
    cubes += test.cubes();
    slowest_ms = std::max(slowest_ms, test.slowest_open_ms());
  }
  std::printf("%llu kills, %lld answers, %zu cubes, none lost; slowest opening %.1f ms\n",
              static_cast<unsigned long long>(cycles), static_cast<long long>(answers), cubes, slowest_ms);
  return answers > 0 ? 0 : 1;
}

}  // namespace
}  // namespace varve

int main(int argc, char** argv) {
  uint64_t numbers[2] = {100, 1};
  for (int i = 1; i < argc && i <= 2; ++i) {
    const std::string_view text = argv[i];
    if (std::from_chars(text.data(), text.data() + text.size(), numbers[i - 1]).ec != std::errc()) return 2;
  }
  return varve::run(numbers[0], numbers[1]);
}
