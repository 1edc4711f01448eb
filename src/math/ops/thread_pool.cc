// One job at a time; its tasks are taken from a counter under no lock. Workers wait on a condition variable.
#include "math/ops/thread_pool.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "core/base/check.h"

namespace varve {

struct ThreadPool::Impl {
  struct alignas(64) Staging {
    std::byte bytes[kStagingBytes];
  };
  std::unique_ptr<Staging> staging{new Staging};  // not zeroed
  std::mutex mutex;
  std::condition_variable wake, done;
  // Under the mutex, but next, which is only touched by those who joined the job.
  const std::function<void(int64_t)>* task = nullptr;
  int64_t tasks = 0, job = 0;
  int working = 0;
  bool stop = false;
  std::atomic<int64_t> next{0};
  std::vector<std::thread> workers;

  void drain(const std::function<void(int64_t)>& one, int64_t count) {
    for (int64_t i = next.fetch_add(1); i < count; i = next.fetch_add(1)) one(i);
  }
  void work() {
    int64_t seen = 0;
    std::unique_lock lock(mutex);
    for (;;) {
      wake.wait(lock, [&] { return stop || job != seen; });
      if (stop) return;
      seen = job;
      if (task == nullptr) continue;  // too late: the others did it all
      const auto* mine = task;
      const int64_t count = tasks;
      ++working;
      lock.unlock();
      drain(*mine, count);
      lock.lock();
      if (--working == 0) done.notify_one();
    }
  }
};

ThreadPool::ThreadPool(int threads) : threads_(threads), impl_(std::make_unique<Impl>()) {
  CHECK(threads >= 1, "a pool has at least its caller");
  for (int i = 1; i < threads; ++i) impl_->workers.emplace_back([this] { impl_->work(); });
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard lock(impl_->mutex);
    impl_->stop = true;
  }
  impl_->wake.notify_all();
  for (std::thread& worker : impl_->workers) worker.join();
}

std::span<std::byte> ThreadPool::staging() {
  return impl_->staging->bytes;
}

void ThreadPool::run(int64_t tasks, const std::function<void(int64_t)>& task) {
  if (threads_ == 1 || tasks <= 1) {
    for (int64_t i = 0; i < tasks; ++i) task(i);
    return;
  }
  {
    std::lock_guard lock(impl_->mutex);
    impl_->task = &task;
    impl_->tasks = tasks;
    impl_->next = 0;
    ++impl_->job;
  }
  if (tasks < threads_) {
    for (int64_t i = 1; i < tasks; ++i) impl_->wake.notify_one();
  } else {
    impl_->wake.notify_all();
  }
  impl_->drain(task, tasks);
  std::unique_lock lock(impl_->mutex);
  impl_->task = nullptr;  // nobody joins any more
  impl_->done.wait(lock, [&] { return impl_->working == 0; });
}

}  // namespace varve
