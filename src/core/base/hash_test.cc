#include "core/base/hash.h"

#include <gtest/gtest.h>

#include <vector>

#include "core/base/checksum.h"

namespace varve {
namespace {

TEST(Hash, Sha256OfThePublishedExample) {
  EXPECT_EQ(sha256("abc").hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Sha256().add("a").add("bc").finish(), sha256("abc"));
}

TEST(Hash, HexRoundTripsAndRefusesOtherText) {
  const Hash256 hash = sha256("x");
  auto back = Hash256::from_hex(hash.hex());
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(*back, hash);
  EXPECT_EQ(Hash256::from_hex("12").code(), Code::invalid);
  EXPECT_EQ(Hash256::from_hex(std::string(64, 'G')).code(), Code::invalid);
}

TEST(Hash, Crc32cOfThePublishedExample) {
  EXPECT_EQ(crc32c(std::as_bytes(std::span(std::string_view("123456789")))), 0xE3069283u);
}

TEST(Hash, TheCrcOfQuartersIsOfTheirCrcs) {
  std::vector<std::byte> bytes(107);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = std::byte(i * 37);
  for (const size_t size : {size_t(0), size_t(31), size_t(32), size_t(96), bytes.size()}) {
    const std::span<const std::byte> all = std::span(bytes).first(size);
    const size_t quarter = size / 32 * 8;
    uint32_t crcs[4];
    for (size_t i = 0; i < 4; ++i)
      crcs[i] = crc32c(i < 3 ? all.subspan(i * quarter, quarter) : all.subspan(3 * quarter));
    EXPECT_EQ(crc32c_of_quarters(all, 5), crc32c(std::as_bytes(std::span(crcs)), 5));
  }
}

TEST(Hash, ConstantTimeCompareStillCompares) {
  EXPECT_TRUE(equal_in_constant_time("key", "key"));
  EXPECT_FALSE(equal_in_constant_time("key", "kez"));
  EXPECT_FALSE(equal_in_constant_time("key", "keys"));
}

}  // namespace
}  // namespace varve
