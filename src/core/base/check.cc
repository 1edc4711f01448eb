#include "core/base/check.h"

#include <cstdio>
#include <cstdlib>

namespace varve {

void check_failed(const char* condition, const char* sentence, const char* file, int line) {
  std::fprintf(stderr, "varve: bug: %s (%s, %s:%d). Please report it.\n", sentence, condition, file, line);
  std::abort();
}

}  // namespace varve
