#include "memory/recall/query/numbers.h"

#include <gtest/gtest.h>

namespace varve {
namespace {

using Words = std::vector<std::string>;

Words written(std::string_view text) {
  Words all;
  for (const Number& one : read_numbers(text)) all.push_back(one.words);
  return all;
}

TEST(Numbers, AreReadWithTheirUnits) {
  EXPECT_EQ(written("$1,299.99, 300 € or 40 dollars; 5-mile walk of 2.5 hours"),
            (Words{"$1,299.99", "300 €", "40 dollars", "5-mile", "2.5 hours"}));
  EXPECT_EQ(read_numbers("1 hour 20 minutes")[0].value, 4800);
  EXPECT_EQ(written("8 hours and 7 hours"), (Words{"8 hours", "7 hours"}));
  EXPECT_EQ(written("5 feet 11 inches"), Words{"5 feet 11 inches"});
  EXPECT_EQ(written(std::string(1000, '1')), Words{});
  EXPECT_EQ(read_numbers("$2 million")[0].value, 2e6);
  EXPECT_EQ(read_numbers("$5k")[0].value, 5000);
  EXPECT_EQ(read_numbers("1,299 km")[0].value, 1299000);
  EXPECT_EQ(read_numbers("1, 2, 3").size(), 3u);
}

TEST(Numbers, AreNoPartsOfOtherThings) {
  for (const char* text :
       {"2023-05-08", "at 10:30", "in 2021", "the 3rd", "room B12", "v1.2.3", "007", "12/5"})
    EXPECT_EQ(written(text), Words{}) << text;
}

}  // namespace
}  // namespace varve
