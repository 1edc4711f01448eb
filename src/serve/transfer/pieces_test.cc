#include "serve/transfer/pieces.h"

#include <gtest/gtest.h>

#include <vector>

namespace varve {
namespace {

struct Read {
  std::vector<std::string> texts;
  Code end = Code::ok;
  int64_t whole = 0;
};

Read all(std::string_view text, size_t most = 1000) {
  Pieces pieces(bytes_of_text(text), most);
  Read read;
  for (;;) {
    auto piece = pieces.next();
    read.whole = pieces.whole_bytes();
    read.end = piece.code();
    if (!piece.ok() || !*piece) return read;
    read.texts.push_back((*piece)->too_long ? "too long" : (*piece)->text);
  }
}
using Texts = std::vector<std::string>;

TEST(Pieces, AreTheElementsOfAListAWrappedListOrASequence) {
  const Texts want{R"({"a":[1,"]"]})", R"({"b":"\"}"})", "3", R"("x,y")"};
  EXPECT_EQ(all(R"([ {"a":[1,"]"]},{"b":"\"}"} , 3,"x,y" ] )").texts, want);
  EXPECT_EQ(all(R"({"count":2,"next":null,"results":[{"a":[1,"]"]},{"b":"\"}"},3,"x,y"]})").texts, want);
  EXPECT_EQ(all("{\"a\":[1,\"]\"]}\n{\"b\":\"\\\"}\"}\r\n\n3\n\"x,y\"").texts.size(), 4u);
  EXPECT_EQ(all("\xEF\xBB\xBF[1]").texts, Texts{"1"});
  EXPECT_EQ(all(R"({"text":"no wrapper","labels":{"results":[1]}})").texts.size(), 1u);
  EXPECT_EQ(all("[]").texts, Texts{});
  EXPECT_EQ(all("[]").end, Code::ok);
}

TEST(Pieces, WhatIsNoListOfRecordsIsSaidToBeNone) {
  for (const char* text : {"", "  \n", "hello", "\x1F\x8B", "PK\x03\x04", "[1 2]", "[,]", "[1,]", "[1,,2]"})
    EXPECT_EQ(all(text).end, Code::corrupt) << text;
}

TEST(Pieces, ALongRecordIsLeftOutAndTheNextIsRead) {
  const std::string text = "[\"" + std::string(5000, 'x') + "\",{\"a\":1}]";
  EXPECT_EQ(all(text).texts, (Texts{"too long", "{\"a\":1}"}));
}

TEST(Pieces, CutAtEveryByteGiveWhatIsWholeAndSayWhere) {
  const std::string text = R"([{"a":[1,"]\\"]}, {"b":{"c":"\"]"}},
    [2,3]])";
  const Read whole = all(text);
  ASSERT_EQ(whole.texts.size(), 3u);
  for (size_t bytes = 1; bytes < text.size(); ++bytes) {
    const Read read = all(std::string_view(text).substr(0, bytes));
    EXPECT_EQ(read.end, Code::corrupt) << bytes;
    EXPECT_LE(read.whole, int64_t(bytes));
    ASSERT_LE(read.texts.size(), 3u);
    for (size_t i = 0; i < read.texts.size(); ++i) EXPECT_EQ(read.texts[i], whole.texts[i]);
  }
}

TEST(Pieces, KnowTheirPlace) {
  Pieces pieces(bytes_of_text("[1,\n\n {\"a\":\n1}\n, 2]"));
  for (const auto& [offset, line] : {std::pair(1, 1), {6, 3}, {17, 5}}) {
    const auto piece = pieces.next();
    EXPECT_EQ((*piece)->offset, offset);
    EXPECT_EQ((*piece)->line, line);
  }
}

TEST(Pieces, OfAFileLargerThanAnyBufferAreReadInBoundedRam) {
  int64_t left = 50'000;  // records of about 1 KiB, made while they are read
  std::string rest = "[";
  const ByteSource source = [&](std::span<char> out) -> Result<size_t> {
    while (rest.size() < out.size() && left > 0)
      rest += "{\"text\":\"" + std::string(1000, 'y') + "\"}" + (--left > 0 ? "," : "]");
    const size_t count = std::min(out.size(), rest.size());
    std::copy_n(rest.data(), count, out.data());
    rest.erase(0, count);
    return count;
  };
  Pieces pieces(source);
  int64_t count = 0;
  for (auto piece = pieces.next(); piece.ok() && *piece; piece = pieces.next()) ++count;
  EXPECT_EQ(count, 50'000);
  EXPECT_GT(pieces.offset(), 50'000'000);
}

}  // namespace
}  // namespace varve
