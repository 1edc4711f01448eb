#include "memory/recall/index/posting_list.h"

#include <algorithm>
#include <cstring>

namespace varve {

void put_varint(std::vector<uint8_t>& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(uint8_t(value | 0x80));
  out.push_back(uint8_t(value));
}

PostingList& PostingList::operator=(PostingList&& other) noexcept {
  if (this == &other) return *this;
  release();
  open_ = other.open_;
  closed_ = std::move(other.closed_);
  count_ = std::exchange(other.count_, 0);
  living_ = std::exchange(other.living_, 0);
  size_ = std::exchange(other.size_, 0);
  capacity_ = std::exchange(other.capacity_, kHere);
  std::memcpy(here_, other.here_, sizeof(here_));  // the bytes, or where they are
  return *this;
}

void PostingList::put(uint64_t value) {
  uint8_t bytes[10];
  uint32_t length = 0;
  for (; value >= 0x80; value >>= 7) bytes[length++] = uint8_t(value | 0x80);
  bytes[length++] = uint8_t(value);
  if (size_ + length > capacity_) {
    // Lists are many and most are short: room grows by a fifth, not by doubling.
    const uint32_t room = size_ + size_ / 5 + 16;
    uint8_t* fresh = new uint8_t[room];
    std::memcpy(fresh, begin(), size_);
    release();
    there_ = fresh;
    capacity_ = room;
  }
  std::memcpy((capacity_ <= kHere ? here_ : there_) + size_, bytes, length);
  size_ += length;
}

void PostingList::append(uint32_t document, uint32_t count, uint32_t length) {
  const uint32_t before = open_.last;
  if (count_ != 0 && count_ % kBlock == 0) {
    if (closed_ == nullptr) closed_ = std::make_unique<std::vector<Block>>();
    if (closed_->size() == closed_->capacity()) closed_->reserve(closed_->size() * 5 / 4 + 1);
    closed_->push_back(open_);
    open_ = {.begin = size_};
  }
  put(uint64_t(document - before) << 1 | (count > 1));
  if (count > 1) put(count);
  open_.last = document;
  open_.most_count = std::max(open_.most_count, count);
  open_.least_length = std::min(open_.least_length, length);
  ++count_, ++living_;
}

int64_t PostingList::bytes() const {
  const int64_t far = capacity_ > kHere ? int64_t(capacity_) + 16 : 0;
  return far + (closed_ ? int64_t(closed_->capacity() * sizeof(Block)) + 40 : 0);
}

void PostingCursor::leap(uint32_t document) {
  const size_t last = list_->blocks() - 1;
  size_t low = block_, high = last;  // the first block whose last document is not below
  while (low < high) {
    const size_t middle = (low + high) / 2;
    if (list_->block(middle).last < document) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  block_ = low;
  if (list_->block(low).last < document) {
    at_ = end_;
    document_ = PostingList::kEnd;
    return;
  }
  const uint32_t before = low == 0 ? 0 : list_->block(low - 1).last;
  if (low == 0 || document_ > before) return;  // already in it
  at_ = list_->begin() + list_->block(low).begin;
  document_ = before;
  next();
}

PostingList::Block PostingCursor::bound(uint32_t from, uint32_t to) {
  const size_t blocks = list_->blocks();
  PostingList::Block sum;
  while (bound_block_ < blocks && list_->block(bound_block_).last < from) ++bound_block_;
  for (size_t i = bound_block_; i < blocks; ++i) {
    if (i > 0 && list_->block(i - 1).last >= to) break;
    sum.most_count = std::max(sum.most_count, list_->block(i).most_count);
    sum.least_length = std::min(sum.least_length, list_->block(i).least_length);
  }
  return sum;
}

}  // namespace varve
