// PostingFile: posting lists of vectors on disk, one after another, each with its checksum. Written in order,
// then read at any place; a list may lose records, never gain any, and those left keep their places.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "memory/recall/index/snapshot.h"

namespace varve {

class PostingFile {
 public:
  static constexpr size_t kCopies = 4;
  static constexpr uint32_t kNobody = UINT32_MAX;  // the slot of a record that is no more
  using Places = std::array<uint32_t, kCopies>;  // the lists that a vector lies in: its own, then the others

  struct View {  // of one list: for each vector its slot, its lists and a row of f16
    std::span<const uint32_t> slots;
    std::span<const Places> places;
    std::span<const uint16_t> halves;
  };
  struct Records {
    std::vector<uint32_t> slots;
    std::vector<Places> places;
    std::vector<uint16_t> halves;

    void add(uint32_t slot, const Places& in, std::span<const uint16_t> row) {
      slots.push_back(slot);
      places.push_back(in);
      halves.insert(halves.end(), row.begin(), row.end());
    }
    void clear() { slots.clear(), places.clear(), halves.clear(); }
    View view() const { return {slots, places, halves}; }
  };

  static Result<std::unique_ptr<PostingFile>> create(Env& env, std::string path, size_t width);
  static Result<std::unique_ptr<PostingFile>> open(Env& env, SnapshotReader& in, const std::string& folder,
                                                   size_t width);
  Status save(SnapshotWriter& out);  // the lists are durable before the snapshot is
  bool saved() const { return saved_; }

  Status append(const View& records);
  size_t lists() const { return counts_.size(); }
  size_t most(size_t list) const { return counts_[list]; }  // records that it may have
  // Good until `room` changes. corrupt: not what was written.
  Result<View> read(size_t list, std::vector<std::byte>& room) const;
  Status blank(size_t list,
               uint32_t slot);  // no byte of it stays; durable where a snapshot speaks of the file
  int64_t bytes() const { return int64_t(offsets_.capacity() * 8 + counts_.capacity() * 4); }
  std::string_view name() const { return std::string_view(path_).substr(path_.find_last_of('/') + 1); }
  Status remove() { return env_.remove(path_); }

 private:
  PostingFile(Env& env, std::string path, size_t width) : env_(env), path_(std::move(path)), width_(width) {}
  int64_t size_of(size_t count) const {
    return 8 + int64_t(count) * int64_t(4 + sizeof(Places) + 2 * width_);
  }
  std::vector<std::byte> encoded(int64_t offset, const View& records) const;
  View view_of(const std::byte* records, size_t count) const;

  Env& env_;
  std::string path_;
  size_t width_;
  std::unique_ptr<File> file_;
  bool saved_ = false;
  int64_t end_ = 0;
  std::vector<int64_t> offsets_;
  std::vector<uint32_t> counts_;  // as they were written: the most that a list has
};

}  // namespace varve
