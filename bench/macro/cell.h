// Cell: a piece of a benchmark in a process of its own, within a limit of memory that the system enforces
// where it can be asked to.
#pragma once

#include <functional>
#include <string>

#include "core/base/status.h"

namespace varve::bench {

// What `work` returns, as bytes, from a fork. limit_bytes 0: none. `enforced` says whether a cgroup held it.
// Only from a process without threads. io: it died.
Result<std::string> in_cell(int64_t limit_bytes, bool& enforced, const std::function<std::string()>& work);

}  // namespace varve::bench
