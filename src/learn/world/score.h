// Scoring: exact match on what the answer names.
//
// Words are compared: letters of either case, digits; everything else parts words. A reply is right when it
// names the answer (its words stand in the reply, side by side) and no value of the scene that is neither in
// the expected reply nor in the question. "yes" and "no" must be its first word; "unknown" asks for "don't
// know" or "do not know" and no value. A memory operation is right when it is the expected JSON value; a list
// of facts in any order.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "learn/world/kind.h"

namespace varve::world {

bool names(std::string_view text, std::string_view words);
bool is_right(const Item& item, std::string_view reply);
// The reply is whole JSON with the list that the schema asks for.
bool is_valid_operation(const Item& item, std::string_view reply);

struct Tally {
  int64_t right = 0, asked = 0;
  void count(bool one) { right += one, ++asked; }
  double share() const { return asked > 0 ? double(right) / double(asked) : 0; }
};
// Of the decisions that the item asks for, how many the reply takes rightly.
Tally decided(const Item& item, std::string_view reply);

struct Interval {
  double low = 0, high = 0;
};
Interval wilson(const Tally& tally);  // 95 %

}  // namespace varve::world
