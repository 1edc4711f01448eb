#include "core/base/clock.h"

#include <gtest/gtest.h>

namespace varve {
namespace {

TEST(Clock, TimesRoundTripThroughText) {
  for (const char* text : {"2024-05-08T13:56:00Z", "1969-12-31T23:59:59Z", "2038-01-19T03:14:08Z"}) {
    auto time = parse_time(text);
    ASSERT_TRUE(time.ok()) << text;
    EXPECT_EQ(format_time(*time), text);
  }
}

TEST(Clock, ReadsTheShortAndTheOffsetForms) {
  EXPECT_EQ(*parse_time("1970-01-02"), 86400000);
  EXPECT_EQ(*parse_time("1970-01-01 00:01"), 60000);
  EXPECT_EQ(*parse_time("1970-01-01T02:00:00.250+02:00"), 250);
}

TEST(Clock, RefusesDatesThatCannotBe) {
  for (const char* text : {"2023-02-29", "2024-13-01", "yesterday", "2024-05-08T25:00", "2024-05-08x", ""}) {
    EXPECT_EQ(parse_time(text).code(), Code::invalid) << text;
  }
}

}  // namespace
}  // namespace varve
