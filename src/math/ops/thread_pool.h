// ThreadPool: a few workers that park when idle, after a few microseconds: on a shared machine a worker that
// spins longer steals the core from the thread it waits for (measured: a factor of 10 to 40 when another
// process runs).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

namespace varve {

class ThreadPool {
 public:
  explicit ThreadPool(int threads);  // the caller counts as one; 1 means no worker at all
  ~ThreadPool();
  int threads() const { return threads_; }
  // Calls task(i) once for each i in [0, tasks), on any thread, and returns when all are done. Not reentrant;
  // one caller at a time. What a task computes must not depend on which thread runs it.
  void run(int64_t tasks, const std::function<void(int64_t)>& task);
  // kStagingBytes of room, 64-byte aligned, for the caller of run(): the pool's only large byte, of a fixed
  // size and as old as its threads' stacks, so it belongs to the process and not to the ledger.
  std::span<std::byte> staging();
  static constexpr size_t kStagingBytes = 1 << 20;

 private:
  struct Impl;
  int threads_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace varve
