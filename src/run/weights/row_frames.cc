#include "run/weights/row_frames.h"

#include <algorithm>

#include "core/base/check.h"

namespace varve {

RowFrames::RowFrames(Buffer index, Buffer least, int64_t row_bytes)
    : index_(std::move(index)),
      own_(std::move(least)),
      row_bytes_(row_bytes),
      least_(int32_t(own_.size() / row_bytes)),
      frames_(size_t(least_)) {
  std::fill(this->index().begin(), this->index().end(), -1);
  for (int32_t i = least_; i-- > 0;) free_.push_back(i);
}

Result<RowFrames> RowFrames::make(Ledger& ledger, int32_t rows, int64_t row_bytes, int32_t least) {
  Buffer index = TRY(Buffer::make(ledger, Tag::weights, int64_t(rows) * int64_t(sizeof(int32_t))));
  Buffer own = TRY(Buffer::make(ledger, Tag::weights, least * row_bytes));
  return RowFrames(std::move(index), std::move(own), row_bytes);
}

std::span<int32_t> RowFrames::index() const {
  return {reinterpret_cast<int32_t*>(index_.bytes().data()), size_t(index_.size()) / sizeof(int32_t)};
}

std::span<std::byte> RowFrames::bytes(int32_t frame) const {
  const bool own = frame < least_;
  Buffer& buffer = own ? own_ : *chunks_[size_t((frame - least_) / kChunk)];
  const int64_t at = own ? frame : (frame - least_) % kChunk;
  return buffer.bytes().subspan(size_t(at * row_bytes_), size_t(row_bytes_));
}

// Anywhere among those without a mark: a pass goes through more rows than there are frames, and whoever went
// through the frames in order would come to each just before it is needed again. Where marks are everywhere,
// they go: twice around at most.
int32_t RowFrames::leaving() {
  constexpr int kProbes = 16;
  const auto is_idle = [](const Frame& frame) { return frame.fill == Fill::ready && frame.pins == 0; };
  for (int i = 0; i < kProbes; ++i) {
    drawn_ = drawn_ * 6364136223846793005u + 1442695040888963407u;
    const size_t at = size_t(drawn_ >> 33) % frames_.size();
    const Frame& frame = frames_[at];
    if (is_idle(frame) && !frame.marked && !frame.fresh) return int32_t(at);
  }
  for (size_t steps = 0; steps < 2 * frames_.size(); ++steps) {
    hand_ = (hand_ + 1) % frames_.size();
    Frame& frame = frames_[hand_];
    if (!is_idle(frame)) continue;
    if (!frame.marked && (!frame.fresh || steps >= frames_.size())) return int32_t(hand_);
    frame.marked = false;
  }
  return -1;
}

int32_t RowFrames::claim(int32_t row) {
  CHECK(find(row) < 0, "a row has one frame");
  int32_t found = -1;
  if (!free_.empty()) {
    found = free_.back();
    free_.pop_back();
  }
  if (found < 0) found = leaving();
  if (found < 0) return found;
  if (frames_[size_t(found)].row >= 0) index()[frames_[size_t(found)].row] = -1;
  frames_[size_t(found)] = {.row = row, .fill = Fill::reading};
  index()[row] = found;
  return found;
}

void RowFrames::give_up(int32_t frame) {
  Frame& one = frames_[size_t(frame)];
  index()[one.row] = -1;
  one = {};
  free_.push_back(frame);
}

void RowFrames::add(Chunk chunk) {
  auto place = std::find(chunks_.begin(), chunks_.end(), nullptr);
  if (place == chunks_.end()) {
    place = chunks_.insert(place, nullptr);
    frames_.resize(frames_.size() + kChunk);
  }
  const auto first = int32_t(least_ + (place - chunks_.begin()) * kChunk);
  *place = std::move(chunk);
  ++chunks_held_;
  for (int32_t i = kChunk; i-- > 0;) free_.push_back(first + i);
}

bool RowFrames::is_idle(size_t chunk) const {
  const auto first = frames_.begin() + least_ + ptrdiff_t(chunk) * kChunk;
  return std::all_of(first, first + kChunk,
                     [](const Frame& one) { return one.pins == 0 && one.fill != Fill::reading; });
}

RowFrames::Chunk RowFrames::drop_one() {
  for (size_t chunk = chunks_.size(); chunk-- > 0;) {
    if (chunks_[chunk] == nullptr || !is_idle(chunk)) continue;
    const auto first = int32_t(least_ + int64_t(chunk) * kChunk);
    const auto own = [&](int32_t frame) { return frame >= first && frame < first + kChunk; };
    std::erase_if(free_, own);
    for (int32_t frame = first; frame < first + kChunk; ++frame) {
      Frame& one = frames_[size_t(frame)];
      if (one.row >= 0) index()[one.row] = -1;
      one = {};
    }
    --chunks_held_;
    return std::move(chunks_[chunk]);
  }
  return nullptr;
}

}  // namespace varve
