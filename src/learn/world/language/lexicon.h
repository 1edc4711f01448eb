// Lexicon: the values that a world is made of, by type: listed (table/lexicon.inc) or made from syllables and
// digits. What belongs to evaluation never occurs in training; closed classes (weekdays, small numbers) are
// shared. In training, words of listed values are often made up.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "learn/world/language/draw.h"
#include "memory/recall/top.h"

namespace varve::world {

enum class Split { train, eval };

struct Words {
  std::vector<std::string> train, eval;  // a closed class has no eval list
  const std::vector<std::string>& of(Split split) const {
    return split == Split::eval && !eval.empty() ? eval : train;
  }
};

class Lexicon {
 public:
  static const Lexicon& get();  // a read-only table

  const std::map<std::string, Words, std::less<>>& lists() const { return lists_; }
  const Words& list(std::string_view type) const;
  bool knows(std::string_view type) const;  // listed or made
  // A value of a type: "city", "phone", ... Made ones belong to a split by their hash.
  std::string draw(std::string_view type, Split split, Draw& draw) const;
  // A first name, and whether it is a woman's ('f') or a man's ('m').
  std::pair<std::string, char> name(Split split, Draw& draw, char gender = 0) const;
  // Midnight of a day that belongs to the split, in [low, high].
  TimeMs day(Split split, Draw& draw, TimeMs low, TimeMs high) const;

 private:
  Lexicon();
  std::map<std::string, Words, std::less<>> lists_;
  std::vector<std::string> plain_;  // listed values of training that are one small word
};

// The split of a made value. One in eight is kept for evaluation.
Split split_of(std::string_view value);
constexpr TimeMs kDayMs = 86'400'000;
using varve::date_words;

}  // namespace varve::world
