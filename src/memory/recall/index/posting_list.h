// PostingList: the documents of one term, ascending, each with its count: about two bytes a posting, and
// nothing on the heap for a rare term. Blocks of 128 say what lies in them, so that a search may leap.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace varve {

// Little-endian groups of seven bits. get_varint() stays below `end` whatever the bytes are.
void put_varint(std::vector<uint8_t>& out, uint64_t value);
inline uint64_t get_varint(const uint8_t*& at, const uint8_t* end) {
  uint64_t value = 0;
  for (int shift = 0; at < end && shift < 64; shift += 7) {
    const uint8_t byte = *at++;
    value |= uint64_t(byte & 0x7F) << shift;
    if (byte < 0x80) break;
  }
  return value;
}

class PostingList {
 public:
  static constexpr uint32_t kBlock = 128, kEnd = UINT32_MAX;

  struct Block {  // the last document, where its bytes begin, and what bounds the scores in it
    uint32_t last = 0, begin = 0, most_count = 0, least_length = kEnd;
  };

  PostingList() = default;
  PostingList(PostingList&& other) noexcept { *this = std::move(other); }
  PostingList& operator=(PostingList&& other) noexcept;
  ~PostingList() { release(); }

  void append(uint32_t document, uint32_t count, uint32_t length);  // above all before it
  uint32_t living() const { return living_; }                       // documents, without the removed
  void drop_one() { --living_; }
  int64_t bytes() const;

 private:
  friend class PostingCursor;
  static constexpr uint32_t kHere = 8;
  const uint8_t* begin() const { return capacity_ <= kHere ? here_ : there_; }
  const uint8_t* end() const { return begin() + size_; }
  void put(uint64_t value);
  void release() { capacity_ <= kHere ? void() : delete[] there_; }
  size_t blocks() const { return closed_ == nullptr ? 1 : closed_->size() + 1; }
  const Block& block(size_t i) const { return i + 1 < blocks() ? (*closed_)[i] : open_; }

  Block open_;
  std::unique_ptr<std::vector<Block>> closed_;
  uint32_t count_ = 0, living_ = 0, size_ = 0, capacity_ = kHere;
  union {
    uint8_t here_[kHere] = {};
    uint8_t* there_;
  };
};

class PostingCursor {
 public:
  explicit PostingCursor(const PostingList& list) : list_(&list), at_(list.begin()), end_(list.end()) {
    next();
  }

  uint32_t document() const { return document_; }  // PostingList::kEnd when none is left
  uint32_t count() const { return count_; }
  void next() {
    if (at_ == end_) {
      document_ = PostingList::kEnd;
      return;
    }
    const uint64_t step = get_varint(at_, end_);
    document_ += uint32_t(step >> 1);
    count_ = (step & 1) ? uint32_t(get_varint(at_, end_)) : 1;
  }
  void seek(uint32_t document) {  // forward, to the first that is not below
    if (document_ >= document) return;
    if (list_->block(block_).last < document) leap(document);
    while (document_ < document) next();
  }
  // The most that a count and the least that a length can be among the documents in [from, to); ranges
  // ascend.
  PostingList::Block bound(uint32_t from, uint32_t to);

 private:
  void leap(uint32_t document);

  const PostingList* list_;
  const uint8_t *at_, *end_;
  size_t block_ = 0, bound_block_ = 0;
  uint32_t document_ = 0, count_ = 0;
};

}  // namespace varve
