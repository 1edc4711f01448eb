#include "memory/recall/index/posting_file.h"

#include "core/base/hash.h"

namespace varve {
namespace {

struct ListHead {
  uint32_t count = 0, crc = 0;  // crc: of the place, the count and the records
};

uint32_t crc_of(int64_t offset, uint32_t count, std::span<const std::byte> records) {
  const int64_t before[] = {offset, count};
  return crc32c(records, crc32c(std::as_bytes(std::span(before))));
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
  for (const uint32_t count : made->counts_) {
    made->offsets_.push_back(made->end_);
    made->end_ += made->size_of(count);
  }
  made->file_ = TRY(env.open(made->path_, Open::write));
  if (TRY(made->file_->size()) != made->end_) return in.damaged();
  return made;
}

Status PostingFile::save(SnapshotWriter& out) const {
  TRY(out.text(std::string_view(path_).substr(path_.find_last_of('/') + 1)));
  return out.array(counts_);
}

std::vector<std::byte> PostingFile::encoded(const Records& records) const {
  std::vector<std::byte> bytes(size_t(size_of(records.slots.size())));
  if (records.slots.empty()) return bytes;
  std::byte* at = bytes.data() + sizeof(ListHead);
  std::memcpy(at, records.slots.data(), records.slots.size() * 4);
  std::memcpy(at + records.slots.size() * 4, records.halves.data(), records.halves.size() * 2);
  return bytes;
}

Status PostingFile::append(const Records& records) {
  std::vector<std::byte> bytes = encoded(records);
  const auto count = uint32_t(records.slots.size());
  const ListHead head{count, crc_of(end_, count, std::span(bytes).subspan(sizeof(ListHead)))};
  std::memcpy(bytes.data(), &head, sizeof(head));
  TRY(file_->write(end_, bytes));
  offsets_.push_back(end_);
  counts_.push_back(count);
  end_ += int64_t(bytes.size());
  return {};
}

Status PostingFile::finish() {
  offsets_.shrink_to_fit();
  counts_.shrink_to_fit();
  return file_->sync();
}

Result<PostingFile::Records> PostingFile::read(size_t list) const {
  std::vector<std::byte> bytes(size_t(size_of(counts_[list])));
  TRY(file_->read(offsets_[list], bytes));
  ListHead head;
  std::memcpy(&head, bytes.data(), sizeof(head));
  if (head.count > counts_[list]) return SnapshotReader::damaged();
  const std::span<const std::byte> records(bytes.data() + sizeof(head),
                                           size_t(size_of(head.count)) - sizeof(head));
  if (crc_of(offsets_[list], head.count, records) != head.crc) return SnapshotReader::damaged();
  Records found;
  if (head.count == 0) return found;
  found.slots.resize(head.count);
  found.halves.resize(head.count * width_);
  std::memcpy(found.slots.data(), records.data(), found.slots.size() * 4);
  std::memcpy(found.halves.data(), records.data() + found.slots.size() * 4, found.halves.size() * 2);
  return found;
}

Status PostingFile::shrink(size_t list, const Records& left) {
  std::vector<std::byte> bytes = encoded(left);
  const auto count = uint32_t(left.slots.size());
  const ListHead head{count, crc_of(offsets_[list], count, std::span(bytes).subspan(sizeof(ListHead)))};
  std::memcpy(bytes.data(), &head, sizeof(head));
  bytes.resize(size_t(size_of(counts_[list])));  // zeros over what was there
  TRY(file_->write(offsets_[list], bytes));
  return file_->sync();
}

}  // namespace varve
