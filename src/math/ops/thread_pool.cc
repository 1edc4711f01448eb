// One job at a time. Each thread takes the tasks of its own stretch in order, under no lock, and then helps
// with the others': neighbouring tasks read neighbouring bytes, so that what a thread has fetched ahead is
// mostly its own. Who has nothing to do looks for a few microseconds before it sleeps: one product follows
// another, and to wake a thread takes longer than a small one.
#include "math/ops/thread_pool.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "core/base/check.h"

namespace varve {
namespace {

constexpr int kLooks = 300;  // some 15 us

template <class Seen>
void look_for(const Seen& seen) {
  for (int i = 0; i < kLooks && !seen(); ++i) __builtin_ia32_pause();
}

}  // namespace

struct ThreadPool::Impl {
  struct alignas(64) Stretch {
    std::atomic<int64_t> next{0};
    int64_t end = 0;
  };
  struct alignas(64) Staging {
    std::byte bytes[kStagingBytes];
  };
  std::unique_ptr<Staging> staging{new Staging};  // not zeroed
  std::mutex mutex;
  std::condition_variable wake, done;
  // Written under the mutex; a stretch only while nobody works.
  const std::function<void(int64_t)>* task = nullptr;
  std::atomic<int64_t> job = 0;
  std::atomic<int> working = 0;
  bool stop = false;
  std::vector<Stretch> stretches;  // one a thread; the caller's is the first
  std::vector<std::thread> workers;

  explicit Impl(size_t threads) : stretches(threads) {}
  void begin(int64_t tasks, const std::function<void(int64_t)>& one) {
    std::lock_guard lock(mutex);
    const auto threads = int64_t(stretches.size());
    for (int64_t i = 0; i < threads; ++i) {
      stretches[size_t(i)].next = tasks * i / threads;
      stretches[size_t(i)].end = tasks * (i + 1) / threads;
    }
    task = &one;
    ++job;
  }
  void drain(const std::function<void(int64_t)>& one, size_t me) {
    for (size_t other = 0; other < stretches.size(); ++other) {
      Stretch& stretch = stretches[(me + other) % stretches.size()];
      for (int64_t i = stretch.next++; i < stretch.end; i = stretch.next++) one(i);
    }
  }
  void work(size_t me) {
    int64_t seen = 0;
    std::unique_lock lock(mutex);
    for (;;) {
      lock.unlock();
      look_for([&] { return job.load(std::memory_order_relaxed) != seen; });
      lock.lock();
      wake.wait(lock, [&] { return stop || job != seen; });
      if (stop) return;
      seen = job;
      if (task == nullptr) continue;  // too late: the others did it all
      const auto* mine = task;
      ++working;
      lock.unlock();
      drain(*mine, me);
      lock.lock();
      if (--working == 0) done.notify_one();
    }
  }
};

ThreadPool::ThreadPool(int threads) : threads_(threads), impl_(std::make_unique<Impl>(size_t(threads))) {
  CHECK(threads >= 1, "a pool has at least its caller");
  for (int i = 1; i < threads; ++i) impl_->workers.emplace_back([this, i] { impl_->work(size_t(i)); });
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
  impl_->begin(tasks, task);
  if (tasks < threads_) {
    for (int64_t i = 1; i < tasks; ++i) impl_->wake.notify_one();
  } else {
    impl_->wake.notify_all();
  }
  impl_->drain(task, 0);
  std::unique_lock lock(impl_->mutex);
  impl_->task = nullptr;  // nobody joins any more
  lock.unlock();
  look_for([&] { return impl_->working.load(std::memory_order_relaxed) == 0; });
  lock.lock();
  impl_->done.wait(lock, [&] { return impl_->working == 0; });
}

}  // namespace varve
