#include "memory/recall/query/when.h"

#include <gtest/gtest.h>

#include "core/base/check.h"

namespace varve {
namespace {

TimeMs at(const std::string& text) {
  auto time = parse_time(text);
  EXPECT_TRUE(time.ok()) << text;
  return time.ok() ? *time : 0;
}

std::string shown(const std::string& text, const std::string& reference = "2023-06-14") {
  std::string all;
  for (const TimeRange& range : read_times(text, at(reference)).ranges) {
    if (!all.empty()) all += " ";
    all += format_time(range.from).substr(0, 10) + ".." + format_time(range.to).substr(0, 10);
  }
  return all;
}

TEST(When, DatesAsPeopleWriteThem) {
  EXPECT_EQ(shown("on 8 May 2023"), "2023-05-08..2023-05-09");
  EXPECT_EQ(shown("May 8th, 2023"), "2023-05-08..2023-05-09");
  EXPECT_EQ(shown("the 8th of May"), "2023-05-08..2023-05-09");
  EXPECT_EQ(shown("what happened in 2022?"), "2022-01-01..2023-01-01");
  EXPECT_EQ(shown("in December"), "2022-12-01..2023-01-01");  // the last one that has begun
  EXPECT_EQ(shown("2023-02-03 or 2022-11"), "2023-02-03..2023-02-04 2022-11-01..2022-12-01");
  EXPECT_EQ(shown("between March and May 2023"), "2023-03-01..2023-06-01");
}

TEST(When, DistancesFromTheReferenceDate) {  // a Wednesday
  EXPECT_EQ(shown("yesterday"), "2023-06-13..2023-06-14");
  EXPECT_EQ(shown("the day before yesterday"), "2023-06-12..2023-06-13");
  EXPECT_EQ(shown("last week"), "2023-06-05..2023-06-12");
  EXPECT_EQ(shown("last May"), "2023-05-01..2023-06-01");
  EXPECT_EQ(shown("last July"), "2022-07-01..2022-08-01");
  EXPECT_EQ(shown("last Friday"), "2023-06-09..2023-06-10");
  EXPECT_EQ(shown("last Wednesday"), "2023-06-07..2023-06-08");
  EXPECT_EQ(shown("next month"), "2023-07-01..2023-08-01");
  EXPECT_EQ(shown("last summer"), "2022-06-01..2022-09-01");
  EXPECT_EQ(shown("last weekend"), "2023-06-10..2023-06-12");
  EXPECT_EQ(shown("three days ago"), "2023-06-11..2023-06-12");
  EXPECT_EQ(shown("a couple of weeks ago"), "2023-05-28..2023-06-04");
  EXPECT_EQ(shown("in the last two weeks"), "2023-05-31..2023-06-15");
  EXPECT_EQ(shown("one month ago", "2023-03-31"), "2023-02-13..2023-03-16");  // February has no 31st
}

TEST(When, DistancesFromADate) {
  EXPECT_EQ(shown("the week of 9 June 2023"), "2023-06-05..2023-06-12");
  EXPECT_EQ(shown("the week before 9 June 2023"), "2023-06-02..2023-06-09");
  EXPECT_EQ(shown("the Sunday before 25 May 2023"), "2023-05-21..2023-05-22");
  EXPECT_EQ(shown("two days after 3 July 2022"), "2022-07-05..2022-07-06");
  EXPECT_EQ(shown("since 1 June 2023").substr(0, 12), "2023-06-01..");
}

TEST(When, OtherWordsAreNoDates) {
  EXPECT_EQ(shown("may I ask who will march with me"), "");
  EXPECT_EQ(shown("the second dog in the fall of the house"), "");
  EXPECT_EQ(shown("I have 12 of them, or 1500000"), "");
  EXPECT_EQ(shown(""), "");
}

TEST(When, AnEventOfOnesOwnIsAnAnchor) {
  const auto found = read_times("what did I buy two weeks before my birthday", 0).anchored;
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->event, "my birthday");
  EXPECT_EQ(found->days, -14);
  const TimeRange range = range_around(*found, at("2023-06-20"));
  EXPECT_TRUE(range.contains(at("2023-06-06")));
  EXPECT_FALSE(range.contains(at("2023-06-13")));
  const auto open = read_times("who called me before the wedding?", 0).anchored;
  ASSERT_TRUE(open.has_value());
  EXPECT_TRUE(range_around(*open, at("2023-06-20")).contains(at("2020-01-01")));
  EXPECT_FALSE(range_around(*open, at("2023-06-20")).contains(at("2023-06-21")));
}

TEST(When, AnyReferenceAndAnyTextEnds) {
  for (TimeMs reference : {INT64_MIN, TimeMs(0), INT64_MAX}) {
    for (const char* text :
         {"2999 years ago", "last last next", "in a", "the week of", "between and", "before",
          "9999 days before 31 December 2999", "in 12 months", "1 1 1 1 may may may"}) {
      for (const TimeRange& range : read_times(text, reference).ranges)
        EXPECT_LE(range.from, range.to) << text;
    }
  }
}

}  // namespace
}  // namespace varve
