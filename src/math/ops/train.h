// TrainOps: what learning needs of rows beyond Ops: products both ways, and the way back through each op.
//
// Sums are made in an order that depends on shapes alone, never on threads: one thread and two give the same
// bits. Gradients of weights are floats of the host (a Buffer of whoever learns), those of activations Rows.
#pragma once

#include <cstdint>
#include <span>

#include "math/ops/ops.h"

namespace varve {

// Attention over the rows of whole documents, without a cache: row i attends to [start of its document, i].
struct DocumentAttention {
  int32_t heads = 0, kv_heads = 0, key_dim = 0, value_dim = 0;
  float scale = 1;
  int32_t window = 0;               // 0: all; else only the last `window` rows, the own one counted
  std::span<const int32_t> starts;  // first rows of the documents, ascending, the first is 0
  // Log-multiplicities of keys, [row][kv_heads], for queries at least `near` rows after them; empty: none.
  std::span<const float> logs = {};
  int32_t near = 1;
};
inline constexpr int32_t kMaxTrainHeadDim = 256;

class TrainOps {
 public:
  // exact: f32 products, slowly, for checks. bf16: factors rounded to bf16, sums in f32 (the matrix unit,
  // where there is one).
  enum class Precision : uint8_t { exact, bf16 };
  static Result<TrainOps> make(ThreadPool& pool, Ledger& ledger, Precision precision);
  static int64_t work_bytes();  // what make() books, for packed factors
  Ops& ops() { return ops_; }

  void product(Rows x, const Matrix& w, Rows y, bool add = false);        // y (+)= x w^T
  void product_back(Rows d, const Matrix& w, Rows dx, bool add = false);  // dx (+)= d w
  // dw += d^T x: [d.width][x.width].
  void outer_add(Rows d, Rows x, std::span<float> dw);
  void column_sums_add(Rows d, std::span<float> sums);  // for biases

  // dx += what d pulls through Ops::rms_norm of x; dweight (empty: nobody asks) += as well.
  struct NormBack {
    Rows x, d, dx;
    Matrix weight;
    float epsilon = 0;
    int32_t group = 0;
  };
  void rms_norm_back(const NormBack& norm, std::span<float> dweight);
  // gate = f'(gate) up d; up = f(gate) d, in place.
  void activate_times_back(Activation kind, Rows gate, Rows up, Rows d);

  // out [row][heads * value_dim]; log_sums [row][heads]: of the exponentials of a row, for the way back.
  void attend(const DocumentAttention& spec, Rows q, Rows k, Rows v, Rows out, Rows log_sums);
  // `out` is what attend() gave; dq, dk, dv and dlogs are written, not added to.
  struct AttendBack {
    Rows q, k, v, out, log_sums, d;
    Rows dq, dk, dv;
    std::span<float> dlogs = {};  // as spec.logs; empty: nobody asks
  };
  void attend_back(const DocumentAttention& spec, const AttendBack& rows);

  // Cut cross-entropy: logits of a part of the vocabulary [first, first + width). The running maximum and sum
  // of each row are updated, and the logit of its target picked when it lies here. Start with -inf, 0 and 0.
  struct Tally {
    std::span<float> largest, sum, picked;
  };
  void tally(Rows logits, int32_t first, std::span<const int32_t> targets, const Tally& tally);
  // logits = weight * (softmax - one at the target), by the log of a row's whole sum. tally() leaves
  // other numbers in place of logits: multiply again, or where they were the whole vocabulary, see below.
  struct Labels {
    std::span<const int32_t> targets;
    std::span<const float> log_sums, weights;
  };
  void cross_entropy_back(Rows logits, int32_t first, const Labels& labels);
  // The same of what one tally() of the whole vocabulary left, by its sums.
  void cross_entropy_tallied(Rows tallied, std::span<const float> sums, const Labels& labels);

  // The slots of what a step saves: rows to bytes and back, on all threads.
  void save(Rows x, const Codec& codec, std::span<std::byte> out);
  void restore(std::span<const std::byte> bytes, const Codec& codec, Rows out);
  // out[rows[i]] += factor * d[i], in order of i: the gradient of an embedding. Every row is one of out's.
  void scatter_add(Rows d, std::span<const int32_t> rows, float factor, std::span<float> out);

  // Gradients measured, not made. |d^T x|^2; and the square of what scatter_add() would add to zeros.
  double outer_squares(Rows d, Rows x);
  double scatter_squares(Rows d, std::span<const int32_t> rows);
  // out[i] += the row rows[i] - first of d^T x, where it has one.
  void outer_rows_add(Rows d, Rows x, int32_t first, std::span<const int32_t> rows, std::span<float> out);
  double dot(Rows d, std::span<const float> other);

 private:
  TrainOps(ThreadPool& pool, Precision precision, Buffer work)
      : pool_(pool), ops_(pool), precision_(precision), work_(std::move(work)) {}
  void packed_product(const struct Factor& left, const struct Factor& right, Rows out, bool add);
  void each(Rows x, const std::function<void(int32_t)>& task);

  ThreadPool& pool_;
  Ops ops_;
  Precision precision_;
  Buffer work_;
};

}  // namespace varve
