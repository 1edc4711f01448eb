// Where reference outputs and public data lie, when they are there. They are never part of the project.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

namespace varve {

inline std::string shared_path(const std::string& relative) {
  return std::string(VARVE_SHARED) + "/" + relative;
}

}  // namespace varve

// In a test body: skips, and says why, when the file or folder is absent.
#define NEED_SHARED(relative)                                   \
  if (!std::filesystem::exists(::varve::shared_path(relative))) \
  GTEST_SKIP() << "absent: " << ::varve::shared_path(relative)
