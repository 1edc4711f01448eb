#include "learn/grad/leaf.h"

#include <array>

namespace varve {

Matrix Part::matrix(int32_t first, int32_t count) const {
  static const Codec* const kF32 = std::move(codec_named("f32")).value();
  const auto rows_of =
      std::as_bytes(value.subspan(size_t(first) * size_t(cols), size_t(count) * size_t(cols)));
  return {kF32, rows_of, count, cols};
}

Status Leaf::gather(Flow& flow, std::span<const int32_t> rows, Rows out) const {
  const WeightPin table = TRY(rows_of(0, this->rows()));
  flow.train.ops().gather(*table, rows, out);
  return {};
}

namespace {

class Dense : public Leaf {
 public:
  explicit Dense(Part& part) : part_(&part) {}
  int32_t rows() const override { return part_->rows; }
  int32_t cols() const override { return part_->cols; }
  Status forward(Flow& flow, Rows x, Rows y, bool add) const override {
    flow.train.product(x, part_->matrix(), y, add);
    return {};
  }
  Status backward(Flow& flow, Rows x, Rows d, Rows dx, bool add, Sink& sink) const override {
    flow.train.product_back(d, part_->matrix(), dx, add);
    return sink.take(flow.train, *part_, 0, x, d);
  }
  std::span<Part* const> parts() const override { return {&part_, 1}; }
  Result<WeightPin> rows_of(int32_t first, int32_t count) const override {
    return WeightPin(part_->matrix(first, count), nullptr);
  }

 private:
  Part* part_;
};

class Frozen : public Leaf {
 public:
  Frozen(const WeightStore& store, WeightId id) : store_(store), id_(id) {}
  int32_t rows() const override { return store_.entries()[id_].rows; }
  int32_t cols() const override { return store_.entries()[id_].cols; }
  Status forward(Flow& flow, Rows x, Rows y, bool add) const override {
    const WeightPin weight = TRY(store_.pin(id_));
    flow.train.product(x, *weight, y, add);
    return {};
  }
  Status backward(Flow& flow, Rows, Rows d, Rows dx, bool add, Sink&) const override {
    const WeightPin weight = TRY(store_.pin(id_));
    flow.train.product_back(d, *weight, dx, add);
    return {};
  }
  Result<WeightPin> rows_of(int32_t first, int32_t count) const override {
    return store_.pin_rows(id_, first, count);
  }
  Status gather(Flow& flow, std::span<const int32_t> rows, Rows out) const override {
    if (!store_.streams()) return Leaf::gather(flow, rows, out);
    constexpr int32_t kFirst[] = {0};
    for (size_t i = 0; i < rows.size(); ++i) {
      const WeightPin row = TRY(store_.pin_rows(id_, rows[i], 1));
      flow.train.ops().gather(*row, kFirst, out.slice(int32_t(i), 1));
    }
    return {};
  }

 private:
  const WeightStore& store_;
  WeightId id_;
};

// Nothing of the size of the weight is made: only rows of r values.
class LowRank : public Leaf {
 public:
  LowRank(std::unique_ptr<Leaf> base, Part& a, Part& b, float scale)
      : base_(std::move(base)), parts_{&a, &b}, scale_(scale) {}
  int32_t rows() const override { return base_->rows(); }
  int32_t cols() const override { return base_->cols(); }
  Status forward(Flow& flow, Rows x, Rows y, bool add) const override {
    TRY(base_->forward(flow, x, y, add));
    if (flow.base) return {};
    const int64_t mark = flow.scratch.mark();
    flow.train.product(through(flow, x), parts_[1]->matrix(), y, true);
    flow.scratch.release(mark);
    return {};
  }
  Status backward(Flow& flow, Rows x, Rows d, Rows dx, bool add, Sink& sink) const override {
    TRY(base_->backward(flow, x, d, dx, add, sink));
    const int64_t mark = flow.scratch.mark();
    TRY(sink.take(flow.train, *parts_[1], 0, through(flow, x), d));
    const Rows back = flow.scratch.take(x.count(), parts_[0]->rows);
    flow.train.product_back(d, parts_[1]->matrix(), back);
    flow.train.ops().scale(back, scale_);
    flow.train.product_back(back, parts_[0]->matrix(), dx, true);
    TRY(sink.take(flow.train, *parts_[0], 0, x, back));
    flow.scratch.release(mark);
    return {};
  }
  std::span<Part* const> parts() const override { return parts_; }
  int64_t scratch_bytes(int32_t rows) const override {
    return base_->scratch_bytes(rows) + 2 * Scratch::bytes_for(rows, parts_[0]->rows);
  }
  Result<WeightPin> rows_of(int32_t, int32_t) const override {
    return Status(Code::unsupported, "a low-rank sum is no matrix");
  }

 private:
  Rows through(Flow& flow, Rows x) const {  // scale * x a^T
    const Rows low = flow.scratch.take(x.count(), parts_[0]->rows);
    flow.train.product(x, parts_[0]->matrix(), low);
    flow.train.ops().scale(low, scale_);
    return low;
  }
  std::unique_ptr<Leaf> base_;
  std::array<Part*, 2> parts_;
  float scale_;
};

}  // namespace

std::unique_ptr<Leaf> dense_leaf(Part& part) {
  return std::make_unique<Dense>(part);
}
std::unique_ptr<Leaf> frozen_leaf(const WeightStore& store, WeightId id) {
  return std::make_unique<Frozen>(store, id);
}
std::unique_ptr<Leaf> low_rank_leaf(std::unique_ptr<Leaf> base, Part& a, Part& b, float scale) {
  return std::make_unique<LowRank>(std::move(base), a, b, scale);
}

}  // namespace varve
