#include "memory/cube/cube_file.h"

#include <gtest/gtest.h>

namespace varve {
namespace {

CubeHeader header() {
  CubeHeader h;
  h.id = CubeId::make(5);
  h.kind = "fact";
  h.owner = h.space = "alice";
  h.title = "caf\xC3\xA9";
  h.event = -1;
  h.trust = Trust::model;
  h.strength = 0.1;
  return h;
}

std::string sealed(std::string file) {
  const Hash256 hash = sha256(file);
  return file.append(reinterpret_cast<const char*>(hash.bytes.data()), hash.bytes.size());
}

// A whole file around any header text.
std::string with_header(const std::string& json) {
  std::string file = encode_cube_file(header(), "").substr(0, 24);
  for (int i = 0; i < 4; ++i) file[size_t(12 + i)] = char(uint8_t(json.size() >> (8 * i)));
  return sealed(file + json);
}

TEST(CubeFile, RoundTrips) {
  const CubeHeader h = header();
  auto back = parse_cube_file(encode_cube_file(h, "words"));
  ASSERT_TRUE(back.ok()) << std::move(back).status().text();
  EXPECT_EQ(back->payload, "words");
  EXPECT_EQ(back->header.id, h.id);
  EXPECT_EQ(back->header.title, h.title);
  EXPECT_EQ(back->header.event, h.event);
  EXPECT_EQ(back->header.valid_to, std::nullopt);
  EXPECT_EQ(back->header.trust, h.trust);
  EXPECT_EQ(back->header.strength, h.strength);
}

TEST(CubeFile, CutAnywhereOrWithAnyBitFlippedItIsRefused) {
  const std::string file = encode_cube_file(header(), "words");
  for (size_t bytes = 0; bytes < file.size(); ++bytes) {
    EXPECT_EQ(parse_cube_file(std::string_view(file).substr(0, bytes)).code(), Code::corrupt) << bytes;
  }
  for (size_t bit = 0; bit < file.size() * 8; ++bit) {
    std::string damaged = file;
    damaged[bit / 8] ^= char(1 << bit % 8);
    const Code code = parse_cube_file(damaged).code();
    EXPECT_TRUE(code == Code::corrupt || (code == Code::unsupported && bit / 8 >= 8 && bit / 8 < 12)) << bit;
  }
  EXPECT_EQ(parse_cube_file(file + "x").code(), Code::corrupt);
}

TEST(CubeFile, AWholeFileMayStillBeNoCube) {
  EXPECT_TRUE(parse_cube_file(with_header(R"({"kind":"note","owner":"a","future":[1]})")).ok());
  for (const char* json :
       {"", "[]", "{}", R"({"kind":"note"})", R"({"kind":"note","owner":"A B"})",
        R"({"kind":"note","owner":"a","turn":1.5})", R"({"kind":"note","owner":"a","turn":2147483648})",
        R"({"kind":"note","owner":"a","version":0})", R"({"kind":"note","owner":"a","life":"erased"})",
        R"({"kind":"note","owner":"a","form":"activation"})",
        R"({"kind":"note","owner":"a","trust":"system"})", R"({"kind":"note","owner":"a","strength":1e999})",
        R"({"kind":"note","owner":"a","strength":-1})", R"({"kind":"note","owner":"a","space":"../etc"})",
        R"({"kind":"note","owner":"a","title":"\u0000"})", R"({"kind":"note","owner":"a","model":"ab"})",
        R"({"kind":"note","kind":"fact","owner":"a"})"}) {
    EXPECT_EQ(parse_cube_file(with_header(json)).code(), Code::invalid) << json;
  }
}

TEST(CubeFile, LyingLengthsAndNewerVersionsAreRefused) {
  const std::string file = encode_cube_file(header(), "words"), body = file.substr(0, file.size() - 32);
  for (size_t at : {12, 16, 19, 23}) {
    for (int value : {0, 1, 127, 255}) {
      std::string lying = body;
      lying[at] = char(uint8_t(uint8_t(lying[at]) + value));
      EXPECT_EQ(parse_cube_file(sealed(lying)).code(), value == 0 ? Code::ok : Code::corrupt) << at;
    }
  }
  std::string newer = body;
  newer[8] = 2;
  EXPECT_EQ(parse_cube_file(sealed(newer)).code(), Code::unsupported);
}

}  // namespace
}  // namespace varve
