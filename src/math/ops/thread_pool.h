// ThreadPool: a few workers that park when idle. They never spin: on a shared machine a spinning worker
// steals the core from the thread it waits for (measured: a factor of 10 to 40 when another process runs).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace varve {

class ThreadPool {
 public:
  explicit ThreadPool(int threads);  // the caller counts as one; 1 means no worker at all
  ~ThreadPool();
  int threads() const { return threads_; }
  // Calls task(i) once for each i in [0, tasks), on any thread, and returns when all are done. Not reentrant;
  // one caller at a time. What a task computes must not depend on which thread runs it.
  void run(int64_t tasks, const std::function<void(int64_t)>& task);

 private:
  struct Impl;
  int threads_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace varve
