#include "core/format/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>

#include "core/base/rng.h"
#include "tests/support/shared.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

using Bytes = std::vector<std::byte>;

Bytes noise(size_t bytes, uint64_t seed) {
  Bytes made(bytes);
  for (size_t i = 0; i < bytes; ++i) made[i] = std::byte(random_bits({.seed = seed}, i) & 255);
  return made;
}

Bytes file_of(std::string_view head, size_t behind, uint64_t claimed = UINT64_MAX) {
  const uint64_t size = claimed == UINT64_MAX ? head.size() : claimed;
  Bytes made(8 + head.size() + behind);
  std::memcpy(made.data(), &size, 8);
  std::memcpy(made.data() + 8, head.data(), head.size());
  return made;
}

std::string error(const Bytes& file, Code code = Code::corrupt) {
  auto parsed = SafeTensors::parse(file);
  EXPECT_EQ(parsed.code(), code);
  return std::string(std::move(parsed).status().message());
}

std::string error(std::string_view head, size_t behind, Code code = Code::corrupt) {
  return error(file_of(head, behind), code);
}

std::string tensor(std::string_view name, std::string_view dtype, std::string_view shape,
                   std::string_view range) {
  return '"' + std::string(name) + R"(":{"dtype":")" + std::string(dtype) + R"(","shape":[)" +
         std::string(shape) + R"(],"data_offsets":[)" + std::string(range) + "]}";
}

void expect_in(const std::string& message, std::string_view part) {
  EXPECT_NE(message.find(part), std::string::npos) << message;
}

TEST(SafeTensors, ReadsAFileWrittenByHand) {
  // With metadata, a single value, an empty tensor, bytes in another order than the names, and padding.
  const Bytes file =
      file_of("{\"__metadata__\":{\"format\":\"pt\"}," + tensor("b", "F32", "2,1", "2,10") + "," +
                  tensor("one", "F16", "", "0,2") + "," + tensor("empty", "I64", "0,7", "10,10") + "}   ",
              10);
  auto parsed = SafeTensors::parse(file);
  ASSERT_TRUE(parsed.ok()) << std::move(parsed).status().text();
  EXPECT_EQ(parsed->metadata().at("format"), "pt");
  ASSERT_EQ(parsed->tensors().size(), 3u);
  EXPECT_EQ(parsed->tensors()[0].name, "one");
  const SafeTensor* b = parsed->find("b");
  ASSERT_NE(b, nullptr);
  EXPECT_EQ(b->dtype, "F32");
  EXPECT_EQ(b->shape, (std::vector<int64_t>{2, 1}));
  EXPECT_EQ(b->offset, int64_t(file.size()) - 8);
  EXPECT_EQ(b->bytes, 8);
  EXPECT_EQ(parsed->find("empty")->bytes, 0);
  EXPECT_EQ(parsed->find("absent"), nullptr);
  EXPECT_TRUE(SafeTensors::parse(file_of("{}", 0)).ok());
}

TEST(SafeTensors, WhatIsWrittenReadsBackEqual) {
  const TempFolder folder;
  const Bytes a = noise(6 * 4, 1), b = noise(5, 2), c = noise(2 * 8, 3);
  SafeTensorsWriter writer;
  writer.set("format", "pt").set("quote\"", "line\n").add("a", "F32", {2, 3}, a);
  writer.add("odd \xC3\xA9", "I8", {5}, b).add("c", "I64", {2}, c).add("none", "BF16", {0}, {});
  ASSERT_TRUE(writer.write(posix_env(), folder / "t").ok());
  auto file = read_file(posix_env(), folder / "t", 4096);
  ASSERT_TRUE(file.ok());
  auto parsed = SafeTensors::parse(*file);
  ASSERT_TRUE(parsed.ok()) << std::move(parsed).status().text();
  EXPECT_EQ(parsed->metadata().at("quote\""), "line\n");
  const auto same = [&](std::string_view name, const Bytes& wanted) {
    const SafeTensor* found = parsed->find(name);
    ASSERT_NE(found, nullptr);
    ASSERT_EQ(found->bytes, int64_t(wanted.size()));
    if (!wanted.empty()) {
      EXPECT_EQ(std::memcmp(file->data() + found->offset, wanted.data(), wanted.size()), 0);
    }
  };
  same("a", a);
  same("odd \xC3\xA9", b);
  same("c", c);
  same("none", {});
  EXPECT_EQ(parsed->find("c")->offset % 8, 0);
  EXPECT_EQ(parsed->find("a")->offset % 4, 0);
}

TEST(SafeTensors, TheWriterRefusesWhatTheReaderWould) {
  const TempFolder folder;
  const auto code = [&](const SafeTensorsWriter& writer) {
    return writer.write(posix_env(), folder / "t").code();
  };
  const Bytes bytes(8);
  EXPECT_EQ(code(SafeTensorsWriter().add("a", "F32", {3}, bytes)), Code::invalid);
  EXPECT_EQ(code(SafeTensorsWriter().add("a", "F33", {2}, bytes)), Code::not_found);
  EXPECT_EQ(code(SafeTensorsWriter().add("a", "F32", {-2}, bytes)), Code::invalid);
  EXPECT_EQ(code(SafeTensorsWriter().add("\xFF", "F32", {2}, bytes)), Code::invalid);
  EXPECT_EQ(code(SafeTensorsWriter().add("__metadata__", "F32", {2}, bytes)), Code::invalid);
  EXPECT_EQ(code(SafeTensorsWriter().set("a", "\xFF")), Code::invalid);
  EXPECT_EQ(code(SafeTensorsWriter().add("a", "F32", {2}, bytes).add("a", "F32", {2}, bytes)), Code::invalid);
}

TEST(SafeTensors, TruncationAndGrowthAtEveryByteAreCleanErrors) {
  const Bytes file =
      file_of("{" + tensor("a", "U8", "3", "0,3") + "," + tensor("b", "F16", "4", "3,11") + "}", 11);
  ASSERT_TRUE(SafeTensors::parse(file).ok());
  for (size_t n = 0; n < file.size(); ++n) {
    ASSERT_EQ(SafeTensors::parse(std::span(file).first(n)).code(), Code::corrupt) << n;
  }
  Bytes longer = file;
  longer.emplace_back();
  expect_in(error(longer), "1 bytes after the last tensor");
}

TEST(SafeTensors, FlippedBitsNeverDoWorseThanAnError) {
  const Bytes file =
      file_of("{" + tensor("a", "U8", "3", "0,3") + "," + tensor("b", "F16", "4", "3,11") + "}", 11);
  for (size_t bit = 0; bit < file.size() * 8; ++bit) {
    Bytes flipped = file;
    flipped[bit / 8] ^= std::byte(1 << bit % 8);
    auto parsed = SafeTensors::parse(flipped);
    if (!parsed.ok()) continue;
    for (const SafeTensor& one : parsed->tensors()) ASSERT_LE(one.offset + one.bytes, int64_t(file.size()));
  }
}

TEST(SafeTensorsRegression, HeadsThatLieAboutTheirSizeAreRefused) {
  for (uint64_t size : {uint64_t(100000001), uint64_t(1) << 32, uint64_t(1) << 63, UINT64_MAX - 1}) {
    expect_in(error(file_of("{}", 100, size)), "100 MB");
  }
  expect_in(error(file_of("{}", 0, 3)), "cut short");
  expect_in(error(file_of("{}", 0, 100000000)), "cut short");
  expect_in(error(Bytes(7)), "8 bytes");
  expect_in(error("", 0), "no JSON object");
}

TEST(SafeTensorsRegression, HeaderBombsAreRefused) {
  std::string many = "{\"a\":[";
  for (int i = 0; i < 2000000; ++i) many += "0,";
  expect_in(error(many + "0]}", 0), "more than 2000000");
  expect_in(error("{\"a\":" + std::string(1000000, '['), 0), "nested deeper than 3");
}

TEST(SafeTensorsRegression, OverlapsGapsAndUncoveredBytesAreRefused) {
  const auto two = [](std::string_view a, std::string_view b, size_t behind) {
    return error("{" + tensor("a", "U8", "4", a) + "," + tensor("b", "U8", "4", b) + "}", behind);
  };
  expect_in(two("0,4", "2,6", 6), "overlaps");
  expect_in(two("0,4", "0,4", 4), "overlaps");
  expect_in(two("0,4", "5,9", 9), "gap");
  expect_in(two("1,5", "5,9", 9), "gap");
  expect_in(two("0,4", "4,8", 9), "after the last tensor");
  expect_in(two("0,4", "4,8", 7), "leave");
}

TEST(SafeTensorsRegression, RangesThatWrapOrDisagreeAreRefused) {
  const auto one = [](std::string_view shape, std::string_view range) {
    return error("{" + tensor("a", "F32", shape, range) + "}", 8);
  };
  expect_in(one("2", "8,0"), "leave");
  expect_in(one("2", "0,18446744073709551616"), "no two whole numbers");
  expect_in(one("2", "-8,0"), "no two whole numbers");
  expect_in(one("2", "0,8.0"), "no two whole numbers");
  expect_in(one("2", "0"), "no two whole numbers");
  expect_in(one("2", "0,8,8"), "no two whole numbers");
  expect_in(one("3", "0,8"), "take 12 bytes");
  expect_in(one("-2", "0,8"), "no array of whole numbers");
  expect_in(one("4611686018427387904,4", "0,0"), "counted");  // 2^64 elements wrap to 0
  expect_in(one("1152921504606846976,2,0", "0,0"), "counted");
  expect_in(error("{" + tensor("a", "F4", "3", "0,1") + "}", 1), "whole number of bytes");
}

TEST(SafeTensorsRegression, DuplicatesAndForeignFieldsAreRefused) {
  expect_in(error("{" + tensor("a", "U8", "1", "0,1") + "," + tensor("a", "U8", "1", "1,2") + "}", 2),
            "duplicate key");
  expect_in(error(R"({"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1),
            "duplicate key");
  expect_in(error(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":1}})", 1), "something else");
  expect_in(error(R"({"a":{"shape":[1],"data_offsets":[0,1]}})", 1), "no dtype");
  expect_in(error(R"({"a":{"dtype":"U8","data_offsets":[0,1]}})", 1), "something else");
  expect_in(error(R"({"a":1})", 0), "no dtype");
  expect_in(error(R"({"__metadata__":{"a":1}})", 0), "strings");
  expect_in(error(R"({"__metadata__":1})", 0), "no object");
  expect_in(error("{" + tensor("a", "Q9", "1", "0,1") + "}", 1, Code::unsupported), "\"Q9\"");
}

TEST(SafeTensorsRegression, NothingStandsBeforeOrBehindTheHead) {  // files that are two formats at once
  expect_in(error(" {}", 0), "no JSON object");
  expect_in(error("[]", 0), "no JSON object");
  expect_in(error(std::string_view("{}\0PK", 5), 0), "zero byte");
  expect_in(error("{} x", 0), "head: JSON");
  EXPECT_TRUE(SafeTensors::parse(file_of("{}      ", 0)).ok());
}

TEST(SafeTensorsGolden, ReadsAnEmbeddingTable) {
  NEED_SHARED("data/models/static-embeddings/model.safetensors");
  auto file = posix_env().map(shared_path("data/models/static-embeddings/model.safetensors"));
  ASSERT_TRUE(file.ok());
  auto parsed = SafeTensors::parse((*file)->bytes());
  ASSERT_TRUE(parsed.ok()) << std::move(parsed).status().text();
  EXPECT_GE(parsed->tensors().size(), 1u);
  int64_t bytes = 0;
  for (const SafeTensor& one : parsed->tensors()) bytes += one.bytes;
  EXPECT_EQ(parsed->tensors().front().offset + bytes, int64_t((*file)->bytes().size()));
}

}  // namespace
}  // namespace varve
