// CHECK: the programmer went wrong, not the world. Never used on bytes that came from outside.
#pragma once

namespace varve {

[[noreturn]] void check_failed(const char* condition, const char* sentence, const char* file, int line);

}  // namespace varve

#define CHECK(condition, sentence) \
  ((condition) ? void(0) : ::varve::check_failed(#condition, sentence, __FILE__, __LINE__))
#ifdef VARVE_DCHECK
#define DCHECK(condition, sentence) CHECK(condition, sentence)
#else
#define DCHECK(condition, sentence) void(0)
#endif
