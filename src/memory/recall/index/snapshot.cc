#include "memory/recall/index/snapshot.h"

#include <algorithm>

#include "core/base/hash.h"
#include "memory/recall/index/check.h"

namespace varve {
namespace {

constexpr size_t kPieceBytes = 1 << 20;

struct PieceHead {
  uint32_t bytes = 0, crc = 0;  // crc: of the place in the file, then the bytes, so that no piece moves
};

uint32_t crc_of(int64_t offset, std::span<const std::byte> bytes) {
  return crc32c(bytes, crc32c(std::as_bytes(std::span(&offset, 1))));
}

}  // namespace

Result<SnapshotWriter> SnapshotWriter::begin(Env& env, std::string path) {
  return SnapshotWriter(TRY(Replacement::begin(env, std::move(path))));
}

Status SnapshotWriter::put(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const size_t some = std::min(bytes.size(), kPieceBytes - piece_.size());
    piece_.insert(piece_.end(), bytes.begin(), bytes.begin() + int64_t(some));
    bytes = bytes.subspan(some);
    if (piece_.size() == kPieceBytes) TRY(flush());
  }
  return {};
}

Status SnapshotWriter::text(std::string_view text) {
  TRY(number(uint64_t(text.size())));
  return put(std::as_bytes(std::span(text)));
}

Status SnapshotWriter::flush() {
  const PieceHead head{uint32_t(piece_.size()), crc_of(offset_, piece_)};
  TRY(file_.append(std::as_bytes(std::span(&head, 1))));
  TRY(file_.append(piece_));
  offset_ += int64_t(sizeof(head) + piece_.size());
  piece_.clear();
  return {};
}

Status SnapshotWriter::commit() {
  TRY(flush());
  return file_.commit();
}

Result<SnapshotReader> SnapshotReader::open(Env& env, const std::string& path) {
  auto file = TRY(env.open(path, Open::read));
  const int64_t size = TRY(file->size());
  return SnapshotReader(std::move(file), size);
}

Status SnapshotReader::damaged() {
  return Status(Code::corrupt, "the index file is damaged; it is built anew");
}

int64_t SnapshotReader::left() const {
  return size_ - offset_ + int64_t(piece_.size() - used_);
}

Status SnapshotReader::next_piece() {
  PieceHead head;
  TRY(file_->read(offset_, std::as_writable_bytes(std::span(&head, 1))));
  if (head.bytes == 0 || head.bytes > kPieceBytes) return damaged();
  piece_.resize(head.bytes);
  used_ = 0;
  TRY(file_->read(offset_ + int64_t(sizeof(head)), piece_));
  if (crc_of(offset_, piece_) != head.crc) return damaged();
  offset_ += int64_t(sizeof(head)) + head.bytes;
  return {};
}

Status SnapshotReader::get(std::span<std::byte> out) {
  while (!out.empty()) {
    if (used_ == piece_.size()) TRY(next_piece());
    const size_t some = std::min(out.size(), piece_.size() - used_);
    std::memcpy(out.data(), piece_.data() + used_, some);
    used_ += some;
    out = out.subspan(some);
  }
  return {};
}

Status check_snapshot(Env& env, const std::string& path) {
  const auto file = TRY(env.open(path, Open::read));
  const int64_t size = TRY(file->size());
  std::vector<std::byte> piece;
  for (int64_t offset = 0; offset < size; offset += int64_t(sizeof(PieceHead) + piece.size())) {
    PieceHead head;
    if (offset + int64_t(sizeof(head)) > size) return SnapshotReader::damaged();
    TRY(file->read(offset, std::as_writable_bytes(std::span(&head, 1))));
    const int64_t begin = offset + int64_t(sizeof(head));
    if (head.bytes > kPieceBytes || begin + head.bytes > size) return SnapshotReader::damaged();
    piece.resize(head.bytes);
    TRY(file->read(begin, piece));
    if (crc_of(offset, piece) != head.crc) return SnapshotReader::damaged();
  }
  return size > 0 ? Status() : SnapshotReader::damaged();
}

Result<std::string> SnapshotReader::text(size_t most) {
  const auto bytes = TRY(number<uint64_t>());
  if (bytes > most) return damaged();
  std::string text(size_t(bytes), '\0');
  TRY(get(std::as_writable_bytes(std::span(text))));
  return text;
}

}  // namespace varve
