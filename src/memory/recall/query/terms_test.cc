#include "memory/recall/query/terms.h"

#include <gtest/gtest.h>

namespace varve {
namespace {

using Terms = std::vector<std::string>;

TEST(Terms, StemsDropsStopWordsAndFoldsCase) {
  EXPECT_EQ(terms_of("Caroline's hiking trips, and the Mountains!"),
            (Terms{"carolin", "hike", "trip", "mountain"}));
  EXPECT_EQ(terms_of("Hiking", {.stem = false}), (Terms{"hiking"}));
}

TEST(Terms, KeepsWordsOfOtherScripts) {
  EXPECT_EQ(terms_of("Caf\u00c9 \u041c\u043e\u0441\u043a\u0432\u0430"),
            (Terms{"caf\u00e9", "\u043c\u043e\u0441\u043a\u0432\u0430"}));
  EXPECT_EQ(terms_of("\u6771\u4eac\u90fd"), (Terms{"\u6771", "\u6771\u4eac", "\u4eac\u90fd"}));
}

TEST(Terms, BrokenBytesOnlySeparate) {
  EXPECT_EQ(terms_of("one\xff\xfetwo"), (Terms{"on", "two"}));
}

TEST(Terms, AQueryOfStopWordsAloneStillAsks) {
  EXPECT_FALSE(query_terms("who are you").empty());
}

TEST(Terms, LongWordsAreCut) {
  EXPECT_EQ(terms_of(std::string(100000, '1')).front().size(), 64u);
}

}  // namespace
}  // namespace varve
