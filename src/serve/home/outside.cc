#include "serve/home/home.h"

namespace varve {

OutsideCode outside(Code code) {
  switch (code) {
    case Code::ok: return {200, 0, "ok"};
    case Code::internal: return {500, 1, "internal_error"};
    case Code::invalid: return {400, 2, "invalid_request_error"};
    case Code::not_found: return {404, 3, "not_found_error"};
    case Code::exists: return {409, 4, "exists_error"};
    case Code::denied: return {403, 5, "permission_error"};
    case Code::over_budget: return {503, 6, "over_budget_error"};
    case Code::corrupt: return {500, 7, "corrupt_error"};
    case Code::unsupported: return {501, 8, "unsupported_error"};
    case Code::conflict: return {409, 9, "conflict_error"};
    case Code::io: return {507, 10, "io_error"};
    case Code::cancelled: return {499, 11, "cancelled_error"};
  }
  return {500, 1, "internal_error"};
}

}  // namespace varve
