#include "core/base/hash.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <cstring>

#include "core/base/check.h"
#include "core/base/checksum.h"

namespace varve {

std::string Hash256::hex() const {
  static const char digits[] = "0123456789abcdef";
  std::string text;
  for (uint8_t byte : bytes) text += {digits[byte >> 4], digits[byte & 15]};
  return text;
}

Result<Hash256> Hash256::from_hex(std::string_view text) {
  Hash256 hash;
  if (text.size() != 64) return Status(Code::invalid, "a SHA-256 has 64 hexadecimal digits");
  for (size_t i = 0; i < 64; ++i) {
    const char c = text[i];
    const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (digit < 0) return Status(Code::invalid, "a SHA-256 is written with 0-9 and a-f");
    hash.bytes[i / 2] = static_cast<uint8_t>(hash.bytes[i / 2] << 4 | digit);
  }
  return hash;
}

struct Sha256::Impl {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~Impl() { EVP_MD_CTX_free(context); }
};

Sha256::Sha256() : impl_(std::make_unique<Impl>()) {
  CHECK(EVP_DigestInit_ex(impl_->context, EVP_sha256(), nullptr) == 1, "libcrypto lacks SHA-256");
}
Sha256::~Sha256() = default;

Sha256& Sha256::add(std::span<const std::byte> bytes) {
  CHECK(EVP_DigestUpdate(impl_->context, bytes.data(), bytes.size()) == 1, "SHA-256 update failed");
  return *this;
}
Sha256& Sha256::add(std::string_view text) {
  return add(std::as_bytes(std::span(text)));
}

Hash256 Sha256::finish() {
  Hash256 hash;
  CHECK(EVP_DigestFinal_ex(impl_->context, hash.bytes.data(), nullptr) == 1, "SHA-256 finish failed");
  return hash;
}

Hash256 sha256(std::span<const std::byte> bytes) {
  return Sha256().add(bytes).finish();
}
Hash256 sha256(std::string_view text) {
  return Sha256().add(text).finish();
}

namespace {
constexpr std::array<uint32_t, 256> crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ (value & 1 ? 0x82F63B78u : 0u);
    table[i] = value;
  }
  return table;
}

__attribute__((target("sse4.2"))) uint32_t crc_by_instruction(std::span<const std::byte> bytes,
                                                              uint32_t crc) {
  uint64_t wide = crc;
  for (; bytes.size() >= 8; bytes = bytes.subspan(8)) {
    uint64_t word;
    std::memcpy(&word, bytes.data(), 8);
    wide = __builtin_ia32_crc32di(wide, word);
  }
  crc = uint32_t(wide);
  for (std::byte byte : bytes) crc = __builtin_ia32_crc32qi(crc, uint8_t(byte));
  return crc;
}

// An instruction waits for the one before it of its own quarter only.
__attribute__((target("sse4.2"))) void crcs_by_instruction(const std::byte* bytes, size_t quarter,
                                                           uint32_t* crcs) {
  uint64_t wide[4] = {crcs[0], crcs[1], crcs[2], crcs[3]};
  for (size_t at = 0; at < quarter; at += 8) {
    for (size_t i = 0; i < 4; ++i) {
      uint64_t word;
      std::memcpy(&word, bytes + i * quarter + at, 8);
      wide[i] = __builtin_ia32_crc32di(wide[i], word);
    }
  }
  for (size_t i = 0; i < 4; ++i) crcs[i] = uint32_t(wide[i]);
}
}  // namespace

uint32_t crc32c(std::span<const std::byte> bytes, uint32_t before) {
  static const bool fast = __builtin_cpu_supports("sse4.2");
  if (fast) return ~crc_by_instruction(bytes, ~before);
  static constexpr std::array<uint32_t, 256> table = crc_table();
  uint32_t crc = ~before;
  for (std::byte byte : bytes) crc = (crc >> 8) ^ table[(crc ^ uint32_t(byte)) & 255];
  return ~crc;
}

uint32_t crc32c_of_quarters(std::span<const std::byte> bytes, uint32_t before) {
  static const bool fast = __builtin_cpu_supports("sse4.2");
  const size_t quarter = bytes.size() / 32 * 8;  // whole words
  uint32_t crcs[4] = {~0u, ~0u, ~0u, ~0u};
  if (fast) crcs_by_instruction(bytes.data(), quarter, crcs);
  for (size_t i = 0; i < 4; ++i) {
    crcs[i] = fast ? ~crcs[i] : crc32c(bytes.subspan(i * quarter, quarter));
  }
  crcs[3] = crc32c(bytes.subspan(4 * quarter), crcs[3]);
  return crc32c(std::as_bytes(std::span(crcs)), before);
}

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

void secure_random(std::span<std::byte> out) {
  CHECK(RAND_bytes(reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(out.size())) == 1,
        "the operating system gives no random bytes");
}

}  // namespace varve
