// CompressedFile: what a draft becomes, in a folder of its own until it is whole. Weights are written in
// any order; which of them are done is a byte each, durable after the weight itself.
#pragma once

#include "core/format/gguf_head.h"
#include "learn/compress/draft.h"

namespace varve {

class CompressedFile {
 public:
  // `plan` is what must agree for a former run's work to be of use. conflict: another process has the folder.
  static Result<std::unique_ptr<CompressedFile>> open(Env& env, const std::string& out,
                                                      const std::string& plan);
  std::string work(std::string_view name) const { return folder_ + "/" + std::string(name); }
  const std::string& out() const { return out_; }

  // Once everything is decided, or to try it: head, vectors, and what is not rounded. Weights that a former
  // run with the same head has done stay.
  Status begin(const Draft& draft);
  bool done(size_t weight) const { return done_[weight]; }
  Status write(size_t weight, int64_t at, std::span<const std::byte> bytes);  // `at` within the weight
  Status write_companion(size_t companion, int64_t at, std::span<const std::byte> bytes);
  Status finish_weight(size_t weight);
  Status read(size_t weight, int64_t at, std::span<std::byte> bytes) const;
  int64_t tensor_bytes() const { return tensor_bytes_; }

  Status commit();  // to its place; the folder goes

 private:
  Status remove_notes();
  Status copy_rest(const Draft& draft);
  CompressedFile(Env& env, std::string out) : env_(env), out_(std::move(out)), folder_(out_ + ".work") {}
  Env& env_;
  std::string out_, folder_;
  std::unique_ptr<File> lock_, file_, marks_;
  std::vector<int64_t> offsets_, companion_offsets_;  // of the draft's weights and companions
  std::vector<bool> done_;
  int64_t tensor_bytes_ = 0, file_bytes_ = 0;
};

}  // namespace varve
