// Supernet: some versions of every weight that rounds, side by side in one file of the working folder, of
// which any choice becomes a model's file without rounding anything again. What a former run has written of a
// round stays.
#pragma once

#include <algorithm>

#include "learn/compress/compressed_file.h"
#include "learn/compress/rounding.h"

namespace varve {

class Supernet {
 public:
  struct Unit {
    size_t weight = 0;                   // of the draft's
    std::vector<const Codec*> versions;  // by growing size
  };
  // The files' names begin with `path`. Another round than a former run's begins anew.
  static Result<Supernet> open(Draft& draft, std::vector<Unit> units, const std::string& path, int32_t round);

  bool whole() const { return std::find(done_.begin(), done_.end(), false) == done_.end(); }
  // Writes the versions that are not there yet.
  Status fill(const Rounding& rounding);
  // The draft's weights get the formats of the chosen versions.
  void choose(std::span<const size_t> chosen);
  // choose(), and the file of that model, in the working folder.
  Status compose(std::span<const size_t> chosen, CompressedFile& into);
  // After begin() of what was chosen: the bytes of the weights that are not done, and their marks.
  Status finish(std::span<const size_t> chosen, CompressedFile& into, const CompressProgress& progress);

 private:
  explicit Supernet(Draft& draft) : draft_(&draft) {}
  int64_t bytes(size_t unit, size_t version) const;
  Status copy(size_t unit, size_t version, CompressedFile& into);
  Draft* draft_;
  std::vector<Unit> units_;
  std::vector<std::vector<int64_t>> places_;  // in the file, of [unit][version]
  std::vector<std::vector<size_t>> marks_at_;
  std::vector<bool> done_;
  std::byte round_{};
  std::unique_ptr<File> file_, marks_;
};

}  // namespace varve
