#include "learn/grad/parts.h"

#include <algorithm>

namespace varve {

Part& Parts::add(std::string role, int32_t rows, int32_t cols) {
  CHECK(buffer_.size() == 0, "parts are added before they are allocated");
  Part& part = parts_.emplace_back();
  part.role = std::move(role), part.rows = rows, part.cols = cols, part.index = int32_t(parts_.size()) - 1;
  offsets_.push_back(values_);
  values_ += (part.size() + 15) / 16 * 16;  // every part begins at a cache line
  return part;
}

Part& Parts::hold(std::string role, int32_t rows, int32_t cols) {
  CHECK(held_buffer_.size() == 0, "parts are added before they are allocated");
  Part& part = held_.emplace_back();
  part.role = std::move(role), part.rows = rows, part.cols = cols, part.index = -1;
  held_values_ += (part.size() + 15) / 16 * 16;
  return part;
}

Status Parts::allocate(Ledger& ledger) {
  buffer_ = TRY(Buffer::make(ledger, Tag::weights, values_ * 4));
  held_buffer_ = TRY(Buffer::make(ledger, Tag::weights, held_values_ * 4));
  for (Part& part : parts_) part.value = all().subspan(size_t(offset(part)), size_t(part.size()));
  std::span<float> free(reinterpret_cast<float*>(held_buffer_.bytes().data()), size_t(held_values_));
  for (Part& part : held_) {
    part.value = free.first(size_t(part.size()));
    free = free.subspan(size_t((part.size() + 15) / 16 * 16));
  }
  return {};
}

Status Parts::stream(std::unique_ptr<File> file) {
  TRY(file->truncate(0));
  TRY(file->truncate(values_ * 4));
  file_ = std::move(file);
  return {};
}

Status Parts::read(int64_t at, std::span<std::byte> out) const {
  if (file_ != nullptr) return file_->read(at, out);
  std::copy_n(buffer_.bytes().begin() + at, out.size(), out.begin());
  return {};
}

Status Parts::write(int64_t at, std::span<const std::byte> bytes) {
  if (file_ != nullptr) return file_->write(at, bytes);
  std::copy_n(bytes.begin(), bytes.size(), buffer_.bytes().begin() + at);
  return {};
}

std::span<float> Parts::all() {
  return {reinterpret_cast<float*>(buffer_.bytes().data()), size_t(buffer_.size()) / 4};
}

std::span<const float> Parts::all() const {
  return {reinterpret_cast<const float*>(buffer_.bytes().data()), size_t(buffer_.size()) / 4};
}

Part* Parts::find(std::string_view role) {
  for (std::deque<Part>* some : {&parts_, &held_}) {
    for (Part& part : *some) {
      if (part.role == role) return &part;
    }
  }
  return nullptr;
}

const Part* Parts::find(std::string_view role) const {
  return const_cast<Parts*>(this)->find(role);
}

bool FullSource::has(std::string_view role) const {
  if (from_ != nullptr) return from_->find(role) != kNoWeight;
  return (role == "output" && !tied_) || role.ends_with(".exp_probs_b.bias");
}

Result<Part*> FullSource::part(std::string_view role, int32_t rows, int32_t cols) {
  if (from_ != nullptr) {
    const WeightId id = from_->find(role);
    if (id == kNoWeight) return Status(Code::invalid, "the model has no " + std::string(role));
    const WeightEntry& entry = from_->entries()[id];
    if (entry.rows != rows || entry.cols != cols || entry.stack != 1) {
      return Status(Code::invalid, std::string(role) + " has not the shape that its model wants");
    }
  }
  return &parts_.add(std::string(role), rows, cols);
}

Result<std::unique_ptr<Leaf>> FullSource::leaf(std::string_view role, int32_t rows, int32_t cols) {
  return dense_leaf(*TRY(part(role, rows, cols)));
}

Result<Vector> FullSource::vector(std::string_view role, int32_t width) {
  return Vector{.part = TRY(part(role, 1, width))};
}

Status FullSource::read() {
  constexpr int32_t kAtOnce = 1 << 18;
  for (size_t i = 0; from_ != nullptr && i < parts_.size(); ++i) {
    const Part& part = parts_[i];
    const WeightId id = from_->find(part.role);
    const int32_t step = std::max(1, kAtOnce / part.cols);
    std::vector<float> values(size_t(std::min(step, part.rows)) * size_t(part.cols));
    for (int32_t row = 0; row < part.rows; row += step) {
      const int32_t rows = std::min(step, part.rows - row);
      const auto some = std::span(values).first(size_t(rows) * size_t(part.cols));
      const WeightPin pin = TRY(from_->pin_rows(id, row, rows));
      (*pin).codec->decode((*pin).bytes, some);
      TRY(parts_.write((parts_.offset(part) + int64_t(row) * part.cols) * 4, std::as_bytes(some)));
    }
  }
  return {};
}

Result<Accumulate> Accumulate::make(const Parts& parts, Ledger& ledger) {
  Accumulate sink(parts);
  sink.buffer_ = TRY(Buffer::make(ledger, Tag::gradients, parts.values() * 4));
  return sink;
}

Status Accumulate::take(TrainOps& train, const Part& part, int32_t first_row, Rows x, Rows d) {
  const int64_t begin = int64_t(first_row) * part.cols, count = int64_t(d.width()) * part.cols;
  train.outer_add(d, x, of(part).subspan(size_t(begin), size_t(count)));
  return {};
}

Status Accumulate::take_rows(TrainOps& train, const Part& part, std::span<const int32_t> rows, float factor,
                             Rows d) {
  train.scatter_add(d, rows, factor, of(part));
  return {};
}

Status Accumulate::take_vector(const Part& part, std::span<const float> gradient) {
  const std::span<float> sum = of(part);
  for (size_t i = 0; i < sum.size(); ++i) sum[i] += gradient[i];
  return {};
}

}  // namespace varve
