// The rows of a PartPool: neurons that fire.
#include <algorithm>
#include <chrono>
#include <cstring>

#include "core/base/check.h"
#include "run/weights/part_pool.h"

namespace varve {
namespace {

constexpr int64_t kMostRun = 128 << 10;  // bytes of one read

}  // namespace

int64_t PartPool::bytes_to_lay(int64_t rows, int64_t row_bytes, const RowRate& rate) {
  return rate.readers * std::max(row_bytes, kMostRun) + kDirectBytes + rows * int64_t(sizeof(int32_t)) +
         2 * kMostRows * row_bytes;
}

Status PartPool::lay_rows(RowFile file, int64_t row_bytes) {
  CHECK(!frames_ && row_bytes % kDirectBytes == 0, "rows of whole blocks, laid once");
  const int64_t all = int64_t(file.offsets.size()) * file.rows_a_table;
  const int64_t room = std::max(row_bytes, kMostRun);
  const int32_t readers = file.rate.readers;
  Buffer rooms = TRY(Buffer::make(ledger_, Tag::weights, readers * room + kDirectBytes));
  auto frames = TRY(RowFrames::make(ledger_, int32_t(all), row_bytes, 2 * kMostRows));
  std::lock_guard lock(mutex_);
  rows_ = std::move(file);
  row_rooms_ = std::move(rooms);
  frames_.emplace(std::move(frames));
  const size_t skipped = -reinterpret_cast<uintptr_t>(row_rooms_.bytes().data()) % size_t(kDirectBytes);
  for (int32_t i = 0; i < readers; ++i) {
    const auto own = row_rooms_.bytes().subspan(skipped + size_t(i * room), size_t(room));
    readers_.emplace_back([this, own] { work_rows(own); });
  }
  return {};
}

void PartPool::pass_rows(int64_t count) {
  std::lock_guard lock(mutex_);
  counts_.neurons += count;
}

int64_t PartPool::row_room() const {
  std::lock_guard lock(mutex_);
  return frames_ ? routed_room_ + frames_->least_bytes() : 0;
}

int64_t PartPool::row_offset(int32_t row) const {
  return rows_.offsets[size_t(row / rows_.rows_a_table)] + row % rows_.rows_a_table * frames_->row_bytes();
}

// More of them, as long as others leave room. Not under the lock: the ledger may ask this pool for bytes.
void PartPool::make_frames(std::span<const int32_t> rows) {
  for (;;) {
    std::unique_lock lock(mutex_);
    const auto missing =
        std::count_if(rows.begin(), rows.end(), [&](int32_t row) { return frames_->find(row) < 0; });
    const int64_t bytes = frames_->chunk_bytes();
    if (missing <= frames_->free_frames() || frames_->bytes() + bytes > routed_room_) return;
    lock.unlock();
    if (ledger_.limit() - ledger_.used() < bytes) return;
    auto made = Buffer::make(ledger_, Tag::weights, bytes);
    if (!made.ok()) return;
    auto chunk = std::make_shared<Buffer>(std::move(made).value());
    lock.lock();
    if (frames_->bytes() + bytes > routed_room_) {
      lock.unlock();  // then the chunk goes
      return;
    }
    frames_->add(std::move(chunk));
    counts_.resident_bytes += bytes;
  }
}

// All of them or none: what is there first, so that it does not leave for what is not.
bool PartPool::hold_rows(std::span<const int32_t> rows) {
  std::vector<int32_t> claimed;
  for (const int32_t row : rows)
    if (const int32_t frame = frames_->find(row); frame >= 0) ++(*frames_)[frame].pins;
  bool all = true;
  for (const int32_t row : rows) {
    if (frames_->find(row) >= 0) continue;
    const int32_t frame = frames_->claim(row);
    all = all && frame >= 0;
    if (!all) break;
    (*frames_)[frame].pins = 1;
    claimed.push_back(row);
  }
  if (!all) {
    for (const int32_t row : claimed) frames_->give_up(frames_->find(row));
    for (const int32_t row : rows)
      if (const int32_t frame = frames_->find(row); frame >= 0) --(*frames_)[frame].pins;
    return false;
  }
  counts_.fired += int64_t(rows.size());
  counts_.fired_there += int64_t(rows.size() - claimed.size());
  for (const int32_t row : rows) {
    RowFrames::Frame& frame = (*frames_)[frames_->find(row)];
    counts_.fired_there -= frame.fresh;
    frame.marked =
        !std::exchange(frame.fresh, false) && !std::binary_search(claimed.begin(), claimed.end(), row);
  }
  missing_rows_.insert(missing_rows_.end(), claimed.begin(), claimed.end());
  if (!claimed.empty()) row_work_.notify_all();
  return true;
}

Result<PartPool::TakenRows> PartPool::take_rows(std::span<const int32_t> rows) {
  CHECK(frames_ && int32_t(rows.size()) <= kMostRows, "rows that fit");
  make_frames(rows);
  const auto start = std::chrono::steady_clock::now();
  std::unique_lock lock(mutex_);
  ++frames_awaited_;
  ready_.wait(lock, [&] { return hold_rows(rows); });
  --frames_awaited_;
  TakenRows taken;
  auto frames = std::make_shared<std::vector<int32_t>>();
  for (const int32_t row : rows) frames->push_back(frames_->find(row));
  taken.hold =
      std::shared_ptr<const void>(frames.get(), [this, frames](const void*) { release_rows(*frames); });
  const auto is_under_way = [&](int32_t frame) { return (*frames_)[frame].fill == RowFrames::Fill::reading; };
  for (const int32_t frame : *frames) {
    RowFrames::Frame& one = (*frames_)[frame];
    if (is_under_way(frame) && !std::exchange(one.awaited, true)) ++rows_awaited_;
  }
  ready_.wait(lock, [&] { return std::none_of(frames->begin(), frames->end(), is_under_way); });
  counts_.waited_seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  Status problem;
  for (const int32_t frame : *frames) {
    if ((*frames_)[frame].fill == RowFrames::Fill::broken)
      problem = Status(row_problem_.code(), std::string(row_problem_.message()));
    taken.at.push_back(frames_->bytes(frame).data());
  }
  lock.unlock();
  if (!problem.ok()) return problem;
  return taken;
}

void PartPool::release_rows(std::span<const int32_t> frames) {
  std::lock_guard lock(mutex_);
  for (const int32_t frame : frames) {
    RowFrames::Frame& one = (*frames_)[frame];
    if (--one.pins == 0 && one.fill == RowFrames::Fill::broken) frames_->give_up(frame);
  }
  if (frames_awaited_ > 0) ready_.notify_all();
}

void PartPool::expect_rows(std::span<const int32_t> rows) {
  make_frames(rows);
  std::lock_guard lock(mutex_);
  bool any = false;
  for (const int32_t row : rows)
    if (const int32_t frame = frames_->find(row); frame >= 0) (*frames_)[frame].marked = true;
  for (const int32_t row : rows) {
    if (frames_->find(row) >= 0) continue;
    const int32_t frame = frames_->claim(row);
    if (frame < 0) break;
    (*frames_)[frame].fresh = true;
    missing_rows_.push_back(row);
    any = true;
  }
  if (any) row_work_.notify_all();
}

// Rows that follow each other so closely that one read takes less time than two.
PartPool::RowErrand PartPool::next_rows() {
  RowErrand errand;
  while (!missing_rows_.empty()) {
    const int32_t row = missing_rows_.front();
    const int64_t begin = row_offset(row), end = begin + frames_->row_bytes();
    const bool first = errand.rows.empty();
    if (!first &&
        (begin < errand.offset + errand.bytes ||
         begin - errand.offset - errand.bytes > rows_.rate.gap_bytes || end - errand.offset > kMostRun))
      break;
    if (first) errand.offset = begin;
    errand.bytes = end - errand.offset;
    errand.rows.push_back(row);
    errand.frames.push_back(frames_->find(row));
    errand.to.push_back(frames_->bytes(errand.frames.back()));
    missing_rows_.pop_front();
  }
  return errand;
}

void PartPool::work_rows(std::span<std::byte> room) {
  std::unique_lock lock(mutex_);
  for (;;) {
    row_work_.wait(lock, [&] { return stopping_ || !missing_rows_.empty(); });
    if (stopping_) return;
    const RowErrand errand = next_rows();
    lock.unlock();
    Status read = read_rows(errand, room);
    lock.lock();
    end_rows(errand, std::move(read));
  }
}

Status PartPool::read_rows(const RowErrand& errand, std::span<std::byte> room) const {
  const int64_t got = TRY(rows_.file->read_up_to(errand.offset, room.first(size_t(errand.bytes))));
  if (got < errand.bytes) return cut_short(rows_.path, errand.offset + got);
  for (size_t i = 0; i < errand.rows.size(); ++i) {
    const auto from = room.subspan(size_t(row_offset(errand.rows[i]) - errand.offset), errand.to[i].size());
    if (!rows_.is_right(errand.rows[i], from))
      return Status(Code::corrupt, rows_.path + " is damaged at " +
                                       std::to_string(row_offset(errand.rows[i])) +
                                       ": remove it, and let 'varve neurons' write it anew");
    std::memcpy(errand.to[i].data(), from.data(), from.size());
  }
  return {};
}

void PartPool::end_rows(const RowErrand& errand, Status read) {
  for (const int32_t frame : errand.frames) {
    RowFrames::Frame& one = (*frames_)[frame];
    one.fill = read.ok() ? RowFrames::Fill::ready : RowFrames::Fill::broken;
    rows_awaited_ -= std::exchange(one.awaited, false);
    if (!read.ok() && one.pins == 0) frames_->give_up(frame);
  }
  counts_.neuron_reads += 1, counts_.neuron_read_bytes += errand.bytes;
  if (!read.ok()) row_problem_ = std::move(read);
  if (rows_awaited_ == 0 || frames_awaited_ > 0) ready_.notify_all();
}

}  // namespace varve
