// RowFrames: which rows of a file are in memory, each in a frame of its own. The window of LLM in a flash
// (Alizadeh et al. 2023): rows that were used lately stay. One bit a frame says whether its row was taken
// again since marks were taken away (marking, as for the parts of experts, and at random among those without
// one, Fiat et al. 1991): a row that was used once leaves before one that was used twice. No thread, no lock,
// no file: PartPool has those.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "core/budget/buffer.h"

namespace varve {

class RowFrames {
 public:
  // `least` frames are booked from the start and never leave.
  static Result<RowFrames> make(Ledger& ledger, int32_t rows, int64_t row_bytes, int32_t least);

  enum class Fill : uint8_t { free, reading, ready, broken };
  struct Frame {
    int32_t row = -1, pins = 0;
    Fill fill = Fill::free;
    bool marked = false;
    bool fresh = false;    // read because it was expected, and not taken yet
    bool awaited = false;  // somebody waits for it to be read
  };
  using Chunk = std::shared_ptr<Buffer>;  // of kChunk frames

  int32_t find(int32_t row) const { return index()[row]; }  // -1: it has no frame
  Frame& operator[](int32_t frame) { return frames_[size_t(frame)]; }
  std::span<std::byte> bytes(int32_t frame) const;
  // A frame for a row that has none: a free one, or that of a row that leaves; -1 when all are held.
  int32_t claim(int32_t row);
  void give_up(int32_t frame);  // its row is not there

  int64_t chunk_bytes() const { return kChunk * row_bytes_; }
  int64_t row_bytes() const { return row_bytes_; }
  int64_t bytes() const { return chunk_bytes() * chunks_held_; }  // without the least
  int64_t least_bytes() const { return least_ * row_bytes_; }
  int64_t free_frames() const { return int64_t(free_.size()); }
  void add(Chunk chunk);
  // A chunk of which nothing is held, the last one first; null: there is none. Its bytes go with it.
  Chunk drop_one();

 private:
  static constexpr int32_t kChunk = 128;
  RowFrames(Buffer index, Buffer least, int64_t row_bytes);
  std::span<int32_t> index() const;
  bool is_idle(size_t chunk) const;
  int32_t leaving();

  mutable Buffer index_;  // the frame of each row
  mutable Buffer own_;
  int64_t row_bytes_;
  int32_t least_;
  std::vector<Frame> frames_;  // the least, then by chunk
  std::vector<Chunk> chunks_;  // null where one was dropped
  int64_t chunks_held_ = 0;
  std::vector<int32_t> free_;
  size_t hand_ = 0;
  uint64_t drawn_ = 1;
};

}  // namespace varve
