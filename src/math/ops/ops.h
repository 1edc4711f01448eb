// Ops: what a model does to rows. Threads, no logic.
//
// Every operation computes a row of its result from that row of its inputs alone, in an order that does not
// depend on how many rows there are or how many threads run: a sequence in a batch gets the same bits as
// alone, and a prompt in chunks the same bits as whole. Shapes are CHECKed: a wrong one is a bug of the model
// code.
#pragma once

#include <cstdint>
#include <span>

#include "math/kernel/kernel.h"  // Activation
#include "math/ops/matrix.h"
#include "math/ops/thread_pool.h"
#include "math/pack/pack.h"

namespace varve {

enum class RopeKind : uint8_t { none, adjacent, halves };  // pairs (0,1)(2,3).. or (i, i + dim/2)
struct RopeSpec {
  RopeKind kind = RopeKind::none;
  int32_t dim = 0;  // leading values of a head that rotate
  float base = 10000;
  float scale = 1;                 // position is multiplied by it (linear scaling)
  float attention_factor = 1;      // multiplies cos and sin (YaRN, longrope)
  std::span<const float> factors;  // dim / 2 divisors of the frequencies, or empty
  // YaRN: extension > 1 turns it on (Peng et al. 2023). Slow pairs turn 1 / extension as fast, fast ones as
  // ever. The factor 0.1 ln(extension) + 1 that goes with it is the caller's to put into attention_factor.
  float yarn_extension = 1, yarn_beta_fast = 32, yarn_beta_slow = 1;
  int32_t original_context = 0;
};

// One block of cached tokens of one lane (layer x KV head): tokens rows of dim values, encoded.
struct KvPageView {
  std::span<const std::byte> keys, values;
  std::span<const int32_t> positions;  // one a token, ascending; its size is the token count
  std::span<const float> weights;      // log-multiplicities, added to the logits; empty: all 0
  const PagePack* pack = nullptr;      // of a whole page that is not in rows of a codec
  const Codec* codec = nullptr;        // of its rows; null: that of the AttendSpec
};
// Attention as it is counted for whoever decides which tokens stay: one number a token.
struct AttendScores {
  std::span<const std::span<float>> lanes;  // one number a token of each KV head; empty: nobody asks
  int32_t first_row = 0;                    // of the segment: the queries from here on vote
  float fade = 1;                           // what was counted before shrinks by this at every vote
  // A vote is the share of attention that a token got, mean over the heads of a KV head; or 1 for those heads
  // that gave it at least the average share.
  bool hits = false;
};
// What attend() and rope() hold of a head; a model with wider ones is unsupported.
inline constexpr int32_t kMaxHeadDim = 512;
struct AttendSpec {
  int32_t heads = 0, kv_heads = 0, key_dim = 0, value_dim = 0;
  float scale = 1;
  float soft_cap = 0;  // 0: none; else logits become cap * tanh(logit / cap)
  int32_t window = 0;  // 0: all; else only tokens at positions > query - window
  bool causal = true;  // false: every query sees all tokens, and there is no window
  float alibi = 0;  // > 0: distance counts against a token, by 2^(-alibi (h + 1) / heads) in head h (ALiBi)
  const Codec* codec = nullptr;
};
struct AttendSegment {  // the rows of one sequence
  int32_t first_row = 0, rows = 0;
  std::span<const int32_t> positions;                  // of the queries
  std::span<const std::span<const KvPageView>> lanes;  // one list of pages a KV head
  AttendScores scores = {};                            // counted when somebody asks
};

class Ops {
 public:
  // exact: activations stay f32. fast: where a codec has an integer kernel, activations are quantised to 8
  // bits.
  enum class Precision : uint8_t { exact, fast };
  explicit Ops(ThreadPool& pool, Precision precision = Precision::exact)
      : pool_(pool), precision_(precision) {}
  Precision precision() const { return precision_; }
  // Rows from here on are a text that is read, not tokens that are written one by one: fast products may then
  // take a way that wants many rows, whose bits are others. The law above holds within each of the two.
  void reading(bool so) { reading_ = so; }
  bool reading() const { return reading_; }

  // y = x w^T: x [n][w.cols], y [n][w.rows]. add: y += instead.
  void matmul(Rows x, const Matrix& w, Rows y, bool add = false);
  // Some rows of a matrix alone, each a Matrix of one row: y[n][i] has the bits that matmul gives for it.
  void matmul_rows(Rows x, std::span<const Matrix> rows, Rows y);
  // Some columns of a matrix w alone, `at` their places, ascending from call to call, each a Matrix of one
  // row: sums += x w^T, where x has their values only. What finish_columns() makes of it has the bits of
  // matmul with all columns, if w is f32, f16 or bf16 and x is 0 at the others. sums [kColumnSums * n][out].
  static constexpr int32_t kColumnSums = 16;
  void add_columns(Rows x, std::span<const Matrix> columns, std::span<const int32_t> at, Rows sums);
  void finish_columns(Rows sums, Rows y);
  // dx = d w: d [n][w.rows], dx [n][w.cols]; the same bytes read the other way.
  void matmul_back(Rows d, const Matrix& w, Rows dx, bool add = false);
  void add_bias(Rows x, const Matrix& bias);  // bias [1][width]
  void gather(const Matrix& table, std::span<const int32_t> rows, Rows out);
  void gather_rows(Rows in, std::span<const int32_t> rows, Rows out);  // out[i] = in[rows[i]]
  void scatter_add(Rows in, std::span<const int32_t> rows, std::span<const float> weights,
                   Rows out);  // out[rows[i]] += w[i] in[i]

  // Over each group of `group` values of a row (0: the whole row). weight/bias may be empty; else their cols
  // are those of the group, and of the row where there are no groups.
  void rms_norm(Rows x, const Matrix& weight, float epsilon, Rows out, int32_t group = 0);
  void layer_norm(Rows x, const Matrix& weight, const Matrix& bias, float epsilon, Rows out);
  void rope(Rows x, int32_t heads, const RopeSpec& spec, std::span<const int32_t> positions);  // in place
  // The same in two steps, where the same rows rotate more than once: out [n][dim]. back: the transpose.
  void rope_angles(const RopeSpec& spec, std::span<const int32_t> positions, Rows out);
  void rotate(Rows x, int32_t heads, const RopeSpec& spec, Rows angles, bool back);
  void activate(Activation kind, Rows x);                              // in place
  void activate_times(Activation kind, Rows gate, Rows up);            // gate = act(gate) * up
  void activate_times(Activation kind, Rows gate, Rows up, Rows out);  // out = act(gate) * up
  void add(Rows x, Rows y);                                            // y += x
  void times(Rows x, Rows y);                                          // y = x y, value by value
  void scale_columns(Rows x, std::span<const float> by);               // each row times `by`
  void copy(Rows x, Rows y);                                           // y = x
  void scale(Rows x, float factor);
  void soft_cap(Rows x, float cap);
  void clamp(Rows x, float low, float high);
  void fill(Rows x, float value);
  void softmax(Rows x);                     // over each row
  void mean(Rows x, std::span<float> out);  // over the rows

  void attend(const AttendSpec& spec, Rows queries, std::span<const AttendSegment> segments, Rows out);

  void gather_columns(Rows in, std::span<const int32_t> columns, Rows out);  // out[i][j] = in[i][columns[j]]
  void add_to_columns(Rows in, std::span<const int32_t> columns, Rows out);  // out[i][columns[j]] += in[i][j]

  // Work of others that is no operation on rows, on the same threads.
  void parallel(int64_t tasks, const std::function<void(int64_t)>& task) { pool_.run(tasks, task); }

  // The border to the host: the only ways that floats enter or leave.
  void load(std::span<const float> values, Rows out);
  void store(Rows x, std::span<float> out);
  void encode(Rows x, const Codec& codec, std::span<std::byte> out);  // row after row, e.g. into a KV page

 private:
  void each_row(Rows x, int64_t cost, const std::function<void(int32_t)>& task);

  void read_product(Rows x, const Matrix& w, Rows y, bool add);

  ThreadPool& pool_;
  Precision precision_;
  bool reading_ = false;
};

}  // namespace varve
