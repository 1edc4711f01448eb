// FaultEnv: an Env whose n-th call fails, for tests. Deterministic: the same calls fail in the same place.
#pragma once

#include <atomic>

#include "core/io/env.h"

namespace varve {

enum class Fault : uint8_t {
  none,
  no_space,     // refused, and nothing happened
  io_error,     // the same, with another reason
  short_write,  // the first half of the bytes is written, then no_space; of other calls, no_space
  after,        // it happened, and the error came afterwards
  short_read,   // the file seems to end in the middle of what is read; of other calls, io_error
};

// Counts calls and says which one fails. Knows nothing of files, so that other ways to the disk can ask it
// too. Thread-safe.
class FaultPlan {
 public:
  // Call number `call` (from 0) fails; with `lasting`, and every one after it until heal(). Restarts the
  // count.
  void fail_at(int64_t call, Fault fault, bool lasting = false);
  void heal();  // nothing fails any more; the count goes on
  int64_t calls() const { return calls_; }

  Fault next();  // counts one call and says what becomes of it

 private:
  std::atomic<int64_t> calls_ = 0, at_ = INT64_MAX;
  std::atomic<Fault> fault_ = Fault::none;
  std::atomic<bool> lasting_ = false;
};

// Passes every call on to `under` and asks `plan` about those that change something; with `reads`, about the
// others too.
class FaultEnv : public Env {
 public:
  FaultEnv(Env& under, FaultPlan& plan, bool reads = false) : under_(under), plan_(plan), reads_(reads) {}

  Result<std::unique_ptr<File>> open(const std::string& path, Open how) override;
  Result<std::unique_ptr<Mapping>> map(const std::string& path) override;
  Result<bool> exists(const std::string& path) override;
  Result<std::vector<std::string>> list(const std::string& folder) override;
  Status make_folder(const std::string& path) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status remove(const std::string& path) override;
  Result<std::unique_ptr<File>> lock(const std::string& path) override;

 private:
  Env& under_;
  FaultPlan& plan_;
  const bool reads_;
};

}  // namespace varve
