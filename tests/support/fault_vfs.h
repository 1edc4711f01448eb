// FaultVfs: SQLite's files under the same FaultPlan as a FaultEnv. While it lives it is SQLite's default.
#pragma once

#include <memory>

#include "core/io/fault_env.h"

namespace varve {

class FaultVfs {
 public:
  explicit FaultVfs(FaultPlan& plan);
  ~FaultVfs();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace varve
