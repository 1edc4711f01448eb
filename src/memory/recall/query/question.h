// Question: what the words of a query say about the kind of memory that answers it. Rules, no model; English,
// and of no effect on other languages but the terms.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace varve {

struct Question {
  std::vector<std::string> terms;  // distinct stems without stop words, in order; at most kMaxTerms
  std::vector<std::string> words;  // every distinct word, sorted, lower case
  bool when = false;               // asks for a time
  bool number = false;             // asks how many or how much
  bool first_person = false;       // speaks of the one who asks
  bool has(std::string_view word) const;
};
constexpr size_t kMaxQuestionTerms = 32;

Question read_question(std::string_view text);

// The same of a memory: what kinds of questions it can answer.
struct Tells {
  bool asks = false;    // is itself a question
  bool time = false;    // has a word of time: "yesterday", "last week", "in May"
  bool number = false;  // has a number, in digits or letters
};
Tells read_tells(std::string_view text);

}  // namespace varve
