// A window of rows: what is used again stays, what is held is not touched.
#include "run/weights/row_frames.h"

#include <gtest/gtest.h>

#include <list>
#include <random>
#include <set>

namespace varve {
namespace {

constexpr int32_t kRows = 4000, kBytes = 64, kChunk = 128;

class Frames : public ::testing::Test {
 protected:
  RowFrames frames(int chunks, int32_t least = 16) {
    RowFrames made = RowFrames::make(ledger_, kRows, kBytes, least).value();
    for (int i = 0; i < chunks; ++i) made.add(chunk(made));
    return made;
  }
  RowFrames::Chunk chunk(const RowFrames& of) {
    return std::make_shared<Buffer>(Buffer::make(ledger_, Tag::weights, of.chunk_bytes()).value());
  }
  // Uses a row as a pass does; whether it was there.
  static bool use(RowFrames& frames, int32_t row) {
    int32_t at = frames.find(row);
    if (at >= 0) return frames[at].marked = true;
    at = frames.claim(row);
    EXPECT_GE(at, 0);
    frames.bytes(at)[0] = std::byte(row % 251);
    frames[at].fill = RowFrames::Fill::ready;
    return false;
  }
  Ledger ledger_{1 << 20};
};

// Some rows fire for nearly every token, most of them seldom, as in trained ReLU networks.
std::vector<int32_t> trace() {
  std::vector<int32_t> all;
  std::mt19937 random(5);
  for (int token = 0; token < 400; ++token) {
    for (int i = 0; i < 150; ++i) {
      const double at = std::generate_canonical<double, 32>(random);
      all.push_back(int32_t(at * at * at * kRows));
    }
  }
  return all;
}

int64_t hits_of_lru(const std::vector<int32_t>& rows, size_t room) {
  std::list<int32_t> order;
  std::vector<std::list<int32_t>::iterator> at(size_t(kRows), order.end());
  int64_t hits = 0;
  for (const int32_t row : rows) {
    if (auto& place = at[size_t(row)]; place != order.end()) {
      ++hits;
      order.erase(place);
    } else if (order.size() == room) {
      at[size_t(order.back())] = order.end();
      order.pop_back();
    }
    order.push_front(row);
    at[size_t(row)] = order.begin();
  }
  return hits;
}

TEST_F(Frames, KeepWhatIsUsedAgainNoWorseThanLru) {
  const std::vector<int32_t> rows = trace();
  RowFrames window = frames(4);
  int64_t hits = 0;
  for (const int32_t row : rows) {
    hits += use(window, row);
    ASSERT_EQ(window.bytes(window.find(row))[0], std::byte(row % 251));
  }
  const int64_t lru = hits_of_lru(rows, 4 * kChunk + 16);
  EXPECT_GT(double(hits), 1.1 * double(lru));
  RecordProperty("hit_rate", std::to_string(double(hits) / double(rows.size())));
  RecordProperty("hit_rate_of_lru", std::to_string(double(lru) / double(rows.size())));
}

TEST_F(Frames, WhatIsHeldOrBeingReadIsNotTaken) {
  RowFrames window = frames(0);
  for (int32_t row = 0; row < 16; ++row) use(window, row);
  for (int32_t row = 0; row < 16; ++row) {
    if (row % 2 == 0) window[window.find(row)].pins = 1;
    if (row % 2 == 1) window[window.find(row)].fill = RowFrames::Fill::reading;
  }
  EXPECT_EQ(window.claim(100), -1);
  window[window.find(6)].pins = 0;
  const int32_t frame = window.claim(100);
  EXPECT_EQ(window.find(6), -1);
  EXPECT_EQ(window.find(100), frame);
  window.give_up(frame);
  EXPECT_EQ(window.find(100), -1);
  EXPECT_EQ(window.claim(101), frame);
}

TEST_F(Frames, ChunksLeaveWithTheirRowsAndComeBack) {
  RowFrames window = frames(2);
  const int64_t booked = ledger_.used();
  for (int32_t row = 0; row < 16 + 2 * kChunk; ++row) use(window, row);
  EXPECT_EQ(window.free_frames(), 0);
  const int32_t held = 3;
  window[window.find(held)].pins = 1;
  std::set<int32_t> there;
  EXPECT_NE(window.drop_one(), nullptr);
  EXPECT_EQ(window.drop_one(), nullptr) << "one row of the other is held";
  EXPECT_EQ(ledger_.used(), booked - window.chunk_bytes());
  for (int32_t row = 0; row < 16 + 2 * kChunk; ++row)
    if (window.find(row) >= 0) there.insert(row);
  EXPECT_EQ(there.size(), size_t(16 + kChunk));
  for (const int32_t row : there) EXPECT_EQ(window.bytes(window.find(row))[0], std::byte(row % 251));
  window.add(chunk(window));
  for (int32_t row = 500; row < 500 + kChunk; ++row) use(window, row);
  for (const int32_t row : there) EXPECT_GE(window.find(row), 0) << "there was room";
}

}  // namespace
}  // namespace varve
