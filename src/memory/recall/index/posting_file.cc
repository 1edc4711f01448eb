#include "memory/recall/index/posting_file.h"

#include <algorithm>

#include "core/base/checksum.h"
#include "core/base/hash.h"

namespace varve {
namespace {

struct ListHead {
  uint32_t count = 0, crc = 0;  // crc: of the place, the count and the records
};

uint32_t crc_of(int64_t offset, uint32_t count, std::span<const std::byte> records) {
  const int64_t before[] = {offset, count};
  return crc32c_of_quarters(records, crc32c(std::as_bytes(std::span(before))));
}

}  // namespace

Result<std::unique_ptr<PostingFile>> PostingFile::create(Env& env, std::string path, size_t width) {
  std::unique_ptr<PostingFile> made(new PostingFile(env, std::move(path), width));
  made->file_ = TRY(env.open(made->path_, Open::create));
  return made;
}

Result<std::unique_ptr<PostingFile>> PostingFile::open(Env& env, SnapshotReader& in,
                                                       const std::string& folder, size_t width) {
  const std::string name = TRY(in.text(512));
  if (name.find('/') != std::string::npos) return in.damaged();
  std::unique_ptr<PostingFile> made(new PostingFile(env, folder + "/" + name, width));
  TRY(in.array(made->counts_));
  made->offsets_.reserve(made->counts_.size());
  for (const uint32_t count : made->counts_) {
    made->offsets_.push_back(made->end_);
    made->end_ += made->size_of(count);
  }
  made->file_ = TRY(env.open(made->path_, Open::write));
  if (TRY(made->file_->size()) != made->end_) return in.damaged();
  made->saved_ = true;
  return made;
}

Status PostingFile::save(SnapshotWriter& out) {
  TRY(file_->sync());
  saved_ = true;
  TRY(out.text(name()));
  return out.array(counts_);
}

PostingFile::View PostingFile::view_of(const std::byte* records, size_t count) const {
  const auto* slots = reinterpret_cast<const uint32_t*>(records);
  const auto* places = reinterpret_cast<const Places*>(slots + count);
  return {
      {slots, count}, {places, count}, {reinterpret_cast<const uint16_t*>(places + count), count * width_}};
}

std::vector<std::byte> PostingFile::encoded(int64_t offset, const View& records) const {
  const auto count = uint32_t(records.slots.size());
  std::vector<std::byte> bytes(size_t(size_of(count)));
  std::byte* at = bytes.data() + sizeof(ListHead);
  const auto put = [&](std::span<const std::byte> part) {
    if (!part.empty()) std::memcpy(at, part.data(), part.size());
    at += part.size();
  };
  put(std::as_bytes(records.slots));
  put(std::as_bytes(records.places));
  put(std::as_bytes(records.halves));
  const ListHead head{count, crc_of(offset, count, std::span(bytes).subspan(sizeof(ListHead)))};
  std::memcpy(bytes.data(), &head, sizeof(head));
  return bytes;
}

Status PostingFile::append(const View& records) {
  const std::vector<std::byte> bytes = encoded(end_, records);
  TRY(file_->write(end_, bytes));
  offsets_.push_back(end_);
  counts_.push_back(uint32_t(records.slots.size()));
  end_ += int64_t(bytes.size());
  return {};
}

Result<PostingFile::View> PostingFile::read(size_t list, std::vector<std::byte>& room) const {
  const auto size = size_t(size_of(counts_[list]));
  if (room.size() < size) room.resize(size);
  TRY(file_->read(offsets_[list], std::span(room).first(size)));
  ListHead head;
  std::memcpy(&head, room.data(), sizeof(head));
  if (head.count > counts_[list]) return SnapshotReader::damaged();
  const std::span<const std::byte> records(room.data() + sizeof(head),
                                           size_t(size_of(head.count)) - sizeof(head));
  if (crc_of(offsets_[list], head.count, records) != head.crc) return SnapshotReader::damaged();
  return view_of(records.data(), head.count);
}

Status PostingFile::blank(size_t list, uint32_t slot) {
  std::vector<std::byte> room;
  const View view = TRY(read(list, room));
  const auto found = std::find(view.slots.begin(), view.slots.end(), slot);
  if (found == view.slots.end()) return {};
  Records left;
  for (size_t row = 0; row < view.slots.size(); ++row) {
    left.add(view.slots[row], view.places[row], view.halves.subspan(row * width_, width_));
  }
  const auto row = size_t(found - view.slots.begin());
  left.slots[row] = kNobody;
  left.places[row].fill(kNobody);
  std::fill_n(left.halves.begin() + int64_t(row * width_), width_, uint16_t(0));
  TRY(file_->write(offsets_[list], encoded(offsets_[list], left.view())));
  return saved_ ? file_->sync() : Status();
}

}  // namespace varve
