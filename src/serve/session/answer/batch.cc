#include "serve/session/answer/batch.h"

#include <algorithm>
#include <numeric>
#include <thread>

namespace varve {

Result<BatchRead> generate_all(Engine& engine, const std::vector<Request>& requests,
                               const std::vector<std::string>& stop, int32_t at_once,
                               const OnAnswer& on_answer) {
  std::vector<size_t> order(requests.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const auto tokens = [&](size_t one) -> const std::vector<Token>& { return requests[one].tokens; };
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return tokens(a) < tokens(b); });

  BatchRead read;
  for (size_t i = 0; i < order.size(); ++i) {
    const auto& own = tokens(order[i]);
    read.prompt_tokens += int64_t(own.size());
    read.unique_tokens += int64_t(own.size());
    if (i == 0) continue;
    const auto& before = tokens(order[i - 1]);
    read.unique_tokens -=
        std::mismatch(own.begin(), own.end(), before.begin(), before.end()).first - own.begin();
  }

  std::mutex mutex;
  size_t next = 0;
  Status failed;
  const auto work = [&] {
    Interrupt interrupt;
    std::unique_lock lock(mutex);
    while (next < order.size() && failed.ok()) {
      const size_t one = order[next++];
      lock.unlock();
      auto made = generate(engine, requests[one], stop, nullptr, interrupt);
      lock.lock();
      if (made.ok()) {
        read.reused_tokens += made->usage.reused_tokens;
        on_answer(one, *made);
      } else if (failed.ok()) {
        failed =
            std::move(made).status().with("answering request " + std::to_string(one + 1) + " of the batch");
      }
    }
  };
  std::vector<std::thread> workers;
  for (int32_t i = 0; i < std::max(1, at_once) && size_t(i) < order.size(); ++i) workers.emplace_back(work);
  for (std::thread& one : workers) one.join();
  if (!failed.ok()) return failed;
  return read;
}

}  // namespace varve
