// Extreme: "the most expensive thing I bought", "my three highest scores", "the shortest run". Reads numbers
// with their units or currencies beside the words asked about, and orders by them. Rules, English; a sentence
// that asks, wishes or denies gives no number.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "memory/recall/query/numbers.h"

namespace varve {

struct Extreme {
  bool greatest = true;
  bool pounds_are_money = false;
  std::vector<Quantity> measures;               // the more there are of one decides
  std::vector<std::vector<std::string>> terms;  // stems; of each list one must be in the sentence
  int32_t k = 1;
  std::string words;   // asked about
  std::string search;  // any of them, and those that say the same
};
// nullopt: it asks for no extreme, or does not say of what.
std::optional<Extreme> read_extreme(std::string_view question);

// The numbers of one text that go with the terms; of each kind the most extreme. Who speaks need not be
// named.
std::vector<Number> numbers_for(const Extreme& extreme, std::string_view text, std::string_view speaker = {});

}  // namespace varve
