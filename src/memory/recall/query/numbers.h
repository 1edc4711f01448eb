// Numbers: those of a text in digits, with their units or currencies. English and SI; what is a part of a
// date, a time, a code or a bare year is none.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace varve {

enum class Quantity : uint8_t { money, distance, duration, mass, plain };

struct Number {
  double value = 0;  // metres, seconds, grams, or of the currency
  double scale = 1;  // of its unit, the last of "1 hour 20 minutes"
  Quantity measure = Quantity::plain;
  std::string currency;  // of money alone: "$"
  std::string words;     // as written: "$1,299.99"
  size_t begin = 0, end = 0;
};
// In order; at most 1000 of the first 64 KiB.
std::vector<Number> read_numbers(std::string_view text);
bool is_unit(std::string_view word);  // "miles"
constexpr double kPound = 453.59237;  // of the mass, which a price is not

}  // namespace varve
