// Parts: the tensors that learn, in one booked buffer, in the order in which they were added. And the two
// sources of leaves that need no more than that.
#pragma once

#include <deque>

#include "core/io/env.h"
#include "learn/grad/leaf.h"

namespace varve {

class Parts {
 public:
  Part& add(std::string role, int32_t rows, int32_t cols);  // before allocate()
  // Beside those that learn: what a form keeps and nobody changes. No gradient, and in no checkpoint: it is
  // a function of the model and a seed.
  Part& hold(std::string role, int32_t rows, int32_t cols);
  Status allocate(Ledger& ledger);  // zeroed, under `weights`
  // Instead: the values lie in a file, zeros at first, and a part has a value only where somebody lends it
  // room. The file is the caller's to remove.
  Status stream(std::unique_ptr<File> file);
  bool streams() const { return file_ != nullptr; }
  // Values of a part, wherever they lie.
  Status read(const Part& part, std::span<float> out) const {
    return read(offset(part) * 4, std::as_writable_bytes(out));
  }
  Status write(const Part& part, std::span<const float> values) {
    return write(offset(part) * 4, std::as_bytes(values));
  }
  // Bytes of what a checkpoint holds.
  Status read(int64_t at, std::span<std::byte> out) const;
  Status write(int64_t at, std::span<const std::byte> bytes);
  int64_t values() const { return values_; }
  int64_t held_values() const { return held_values_; }
  size_t size() const { return parts_.size(); }
  Part& operator[](size_t index) { return parts_[index]; }
  const Part& operator[](size_t index) const { return parts_[index]; }
  Part* find(std::string_view role);  // held ones too
  const Part* find(std::string_view role) const;
  std::span<float> all();  // every value, in order; what a checkpoint holds
  std::span<const float> all() const;
  // Where the part begins in anything that lies like all().
  int64_t offset(const Part& part) const { return offsets_[size_t(part.index)]; }

 private:
  std::deque<Part> parts_, held_;
  std::vector<int64_t> offsets_;
  int64_t values_ = 0, held_values_ = 0;
  Buffer buffer_, held_buffer_;
  std::unique_ptr<File> file_;
};

// Everything learns. From a store: the tensors that it has, whose values read() copies; without, those that
// the spec needs.
class FullSource : public LeafSource {
 public:
  FullSource(bool tied, Parts& parts) : tied_(tied), parts_(parts) {}
  FullSource(const WeightStore& from, Parts& parts) : from_(&from), parts_(parts) {}
  bool has(std::string_view role) const override;
  Result<std::unique_ptr<Leaf>> leaf(std::string_view role, int32_t rows, int32_t cols) override;
  Result<Vector> vector(std::string_view role, int32_t width) override;
  Status read();  // after allocate()

 private:
  Result<Part*> part(std::string_view role, int32_t rows, int32_t cols);
  bool tied_ = false;
  const WeightStore* from_ = nullptr;
  Parts& parts_;
};

// Keeps every gradient until somebody steps: the sum over micro-batches.
class Accumulate : public Sink {
 public:
  static Result<Accumulate> make(const Parts& parts, Ledger& ledger);
  Status take(TrainOps& train, const Part& part, int32_t first_row, Rows x, Rows d) override;
  Status take_rows(TrainOps& train, const Part& part, std::span<const int32_t> rows, float factor,
                   Rows d) override;
  Status take_vector(const Part& part, std::span<const float> gradient) override;

  std::span<float> all() {
    return {reinterpret_cast<float*>(buffer_.bytes().data()), size_t(parts_->values())};
  }
  std::span<float> of(const Part& part) {
    return all().subspan(size_t(parts_->offset(part)), size_t(part.size()));
  }

 private:
  explicit Accumulate(const Parts& parts) : parts_(&parts) {}
  const Parts* parts_;
  Buffer buffer_;
};

}  // namespace varve
