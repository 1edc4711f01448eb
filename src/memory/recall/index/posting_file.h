// PostingFile: posting lists of vectors on disk, one after another, each with its checksum. Written in order,
// then read at any place; a list may lose records in place, never gain any.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "memory/recall/index/snapshot.h"

namespace varve {

class PostingFile {
 public:
  struct Records {  // of one list: slots, and for each a row of f16
    std::vector<uint32_t> slots;
    std::vector<uint16_t> halves;
  };

  static Result<std::unique_ptr<PostingFile>> create(Env& env, std::string path, size_t width);
  static Result<std::unique_ptr<PostingFile>> open(Env& env, SnapshotReader& in, const std::string& folder,
                                                   size_t width);
  Status save(SnapshotWriter& out) const;

  Status append(const Records& records);
  Status finish();  // all is written, durably
  size_t lists() const { return counts_.size(); }
  Result<Records> read(size_t list) const;          // corrupt: not what was written
  Status shrink(size_t list, const Records& left);  // durable; no byte of others stays
  int64_t bytes() const { return int64_t(offsets_.capacity() * 8 + counts_.capacity() * 4); }
  Status remove() { return env_.remove(path_); }

 private:
  PostingFile(Env& env, std::string path, size_t width) : env_(env), path_(std::move(path)), width_(width) {}
  int64_t size_of(size_t count) const { return 8 + int64_t(count) * int64_t(4 + 2 * width_); }
  std::vector<std::byte> encoded(const Records& records) const;

  Env& env_;
  std::string path_;
  size_t width_;
  std::unique_ptr<File> file_;
  int64_t end_ = 0;
  std::vector<int64_t> offsets_;
  std::vector<uint32_t> counts_;  // as they were written: the most that a list has
};

}  // namespace varve
