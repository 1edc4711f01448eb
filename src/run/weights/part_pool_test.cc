// The pool of parts under jumps: what is wanted is read, whatever was begun before.
#include "run/weights/part_pool.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <thread>

#include "tests/support/temp_folder.h"

namespace varve {
namespace {

// So slow that the pass jumps while a part is read ahead.
struct SlowFile : File {
  explicit SlowFile(std::unique_ptr<File> file) : below(std::move(file)) {}
  Result<int64_t> size() const override { return below->size(); }
  Status read(int64_t offset, std::span<std::byte> out) const override {
    std::this_thread::sleep_for(std::chrono::microseconds(300));
    return below->read(offset, out);
  }
  Result<int64_t> read_up_to(int64_t offset, std::span<std::byte> out) const override {
    std::this_thread::sleep_for(std::chrono::microseconds(300));
    return below->read_up_to(offset, out);
  }
  Status write(int64_t, std::span<const std::byte>) override { return Status(Code::io, "read only"); }
  Status truncate(int64_t) override { return Status(Code::io, "read only"); }
  Status sync() override { return {}; }
  const std::unique_ptr<File> below;
};

TEST(PartPool, JumpsThatLeaveEverySlotBegunStillEnd) {
  constexpr int64_t kPart = 256 << 10;
  constexpr int32_t kParts = 24;
  std::vector<std::byte> bytes(size_t(kParts * kPart));
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = std::byte(i / 251);
  const TempFolder folder;
  ASSERT_TRUE(write_file(posix_env(), folder / "parts", bytes).ok());
  std::vector<FilePart> parts;
  std::vector<int32_t> order;
  for (int32_t i = 0; i < kParts; ++i) parts.push_back({i * kPart, kPart}), order.push_back(i);
  Ledger ledger(int64_t(64) << 20);
  for (const int32_t readers : {1, 3}) {
    auto file = std::make_unique<SlowFile>(posix_env().open(folder / "parts", Open::read).value());
    PartPool pool(std::move(file), "parts", parts,
                  Buffer::make(ledger, Tag::weights, 6 * PartPool::slot_bytes(kPart)).value(),
                  {.read_bytes = 32 << 10, .readers = readers}, ledger);
    pool.follow(order);
    for (int32_t i = 0; i < 4 * kParts; ++i) {
      const int32_t part = kParts - 1 - i % kParts;  // backwards: what is read ahead is never what comes
      const auto taken = pool.take(part).value();
      EXPECT_EQ(std::memcmp(taken.bytes.data(), bytes.data() + part * kPart, size_t(kPart)), 0);
    }
  }
}

}  // namespace
}  // namespace varve
