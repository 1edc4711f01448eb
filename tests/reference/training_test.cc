// A whole training run against another: the same text, start and schedule, by a transformer on a tape and an
// AdamW of two lines, both in double precision.
#include <gtest/gtest.h>

#include <map>

#include "learn/tune/lesson.h"
#include "learn/tune/model_file.h"
#include "tests/reference/tape.h"

namespace varve {
namespace {

using reference::Tape;
using Id = Tape::Id;
using Row = std::vector<Id>;

constexpr FreshShape kShape{
    .layers = 2, .width = 16, .hidden = 24, .heads = 4, .kv_heads = 2, .vocabulary = 28, .context = 16};
constexpr int32_t kLength = 16, kSequences = 2, kDim = kShape.width / kShape.heads;

// Letters of a text, 26 for a space, 27 for the rest.
std::vector<int32_t> letters() {
  const std::string text =
      "the mill stands where the river bends and the miller keeps the gate. when the water is high she opens "
      "it at dawn and when the water is low she keeps it closed until the boats have passed the bend. the "
      "boats carry corn to the town and cloth from the town and the miller takes a tenth of the corn for the "
      "use of the gate. her son counts the sacks and her daughter writes the count into a long grey book. ";
  std::vector<int32_t> all;
  for (int i = 0; i < 3; ++i) {
    for (char c : text) all.push_back(c >= 'a' && c <= 'z' ? c - 'a' : c == ' ' ? 26 : 27);
  }
  return all;
}

// The network by the book: parts by name, every number on the tape.
class Slow {
 public:
  explicit Slow(const Parts& parts) {
    for (size_t i = 0; i < parts.size(); ++i) {
      Weight& weight = weights_[parts[i].role];
      weight.rows = parts[i].rows, weight.cols = parts[i].cols;
      for (float value : parts[i].value) weight.ids.push_back(tape_.number(double(value)));
    }
    first_ = tape_.size();
    m_.resize(first_), v_.resize(first_);
  }

  // One step on the documents of a batch; its mean loss.
  double step(const TextBatch& batch, const LessonPlan& plan, int64_t t) {
    tape_.cut(first_);
    Row losses;
    for (size_t i = 0; i < batch.starts.size(); ++i) {
      const auto begin = batch.tokens.begin() + batch.starts[i];
      const auto end =
          i + 1 < batch.starts.size() ? batch.tokens.begin() + batch.starts[i + 1] : batch.tokens.end();
      add_losses({begin, end}, batch.targets.data() + batch.starts[i], losses);
    }
    const Id loss = tape_.scale(tape_.sum(losses), 1 / double(losses.size()));
    const double value = tape_.value(loss);
    tape_.back(loss);
    adamw(plan, t);
    return value;
  }

 private:
  struct Weight {
    int32_t rows = 0, cols = 0;
    Row ids;
    Row row(int32_t i) const { return {ids.begin() + i * cols, ids.begin() + (i + 1) * cols}; }
  };

  void add_losses(const std::vector<int32_t>& tokens, const int32_t* targets, Row& losses) {
    std::vector<Row> stream;
    for (int32_t token : tokens) stream.push_back(weights_["token_embd"].row(token));
    for (int32_t layer = 0; layer < kShape.layers; ++layer) {
      const std::string at = "blk." + std::to_string(layer) + ".";
      attend(stream, at);
      for (Row& x : stream) x = add(x, feed_forward(norm(x, at + "ffn_norm"), at));
    }
    for (size_t i = 0; i < stream.size(); ++i) {
      if (targets[i] < 0) continue;
      const Row logits = project(norm(stream[i], "output_norm"), "token_embd");
      Row exps;
      for (Id one : logits) exps.push_back(tape_.exp(one));
      losses.push_back(tape_.add(tape_.log(tape_.sum(exps)), tape_.scale(logits[size_t(targets[i])], -1)));
    }
  }
  Row add(const Row& a, const Row& b) {
    Row sum;
    for (size_t i = 0; i < a.size(); ++i) sum.push_back(tape_.add(a[i], b[i]));
    return sum;
  }
  Row norm(const Row& x, const std::string& name) {
    const Id mean = tape_.scale(tape_.dot(x, x), 1 / double(x.size()));
    const Id by = tape_.power(tape_.add(mean, tape_.number(double(DecoderSpec{}.epsilon))), -0.5);
    Row out;
    for (size_t i = 0; i < x.size(); ++i)
      out.push_back(tape_.times(tape_.times(x[i], by), weights_.at(name).ids[i]));
    return out;
  }
  Row project(const Row& x, const std::string& name) {
    const Weight& weight = weights_.at(name);
    Row out;
    for (int32_t i = 0; i < weight.rows; ++i) out.push_back(tape_.dot(weight.row(i), x));
    return out;
  }
  Row rotated(const Row& heads, size_t position) {
    Row out = heads;
    for (size_t i = 0; i < heads.size(); i += 2) {
      const double angle = double(position) * std::pow(double(kShape.rope_base), -double(i % kDim) / kDim);
      out[i] = tape_.add(tape_.scale(heads[i], std::cos(angle)), tape_.scale(heads[i + 1], -std::sin(angle)));
      out[i + 1] =
          tape_.add(tape_.scale(heads[i], std::sin(angle)), tape_.scale(heads[i + 1], std::cos(angle)));
    }
    return out;
  }
  void attend(std::vector<Row>& stream, const std::string& at) {
    std::vector<Row> q, k, v;
    for (size_t i = 0; i < stream.size(); ++i) {
      const Row x = norm(stream[i], at + "attn_norm");
      q.push_back(rotated(project(x, at + "attn_q"), i));
      k.push_back(rotated(project(x, at + "attn_k"), i));
      v.push_back(project(x, at + "attn_v"));
    }
    for (size_t i = 0; i < stream.size(); ++i) {
      Row heads;
      for (int32_t head = 0; head < kShape.heads; ++head) {
        const int32_t from = head * kDim, shared = head / (kShape.heads / kShape.kv_heads) * kDim;
        const auto part = [&](const Row& row, int32_t first) {
          return Row(row.begin() + first, row.begin() + first + kDim);
        };
        Row weights;
        for (size_t j = 0; j <= i; ++j)
          weights.push_back(
              tape_.exp(tape_.scale(tape_.dot(part(q[i], from), part(k[j], shared)), 1 / std::sqrt(kDim))));
        const Id whole = tape_.power(tape_.sum(weights), -1);
        for (int32_t c = 0; c < kDim; ++c) {
          Row column;
          for (size_t j = 0; j <= i; ++j) column.push_back(v[j][size_t(shared + c)]);
          heads.push_back(tape_.times(tape_.dot(weights, column), whole));
        }
      }
      stream[i] = add(stream[i], project(heads, at + "attn_output"));
    }
  }
  Row feed_forward(const Row& x, const std::string& at) {
    const Row gate = project(x, at + "ffn_gate"), up = project(x, at + "ffn_up");
    Row inner;
    for (size_t i = 0; i < gate.size(); ++i) {
      const Id sigmoid = tape_.power(tape_.add(tape_.exp(tape_.scale(gate[i], -1)), tape_.number(1)), -1);
      inner.push_back(tape_.times(tape_.times(gate[i], sigmoid), up[i]));
    }
    return project(inner, at + "ffn_down");
  }

  void adamw(const LessonPlan& plan, int64_t t) {
    const double warm = double(plan.warmup), way = (double(t) - warm) / double(plan.steps - plan.warmup);
    const double rate = double(plan.rate) *
                        (double(t) <= warm ? double(t) / warm
                                           : 0.1 + 0.9 * 0.5 * (1 + std::cos(way * 3.14159265358979323846)));
    double squares = 0;
    for (size_t i = 0; i < first_; ++i) squares += tape_.slope(Id(i)) * tape_.slope(Id(i));
    const double clip = std::min(1.0, double(plan.clip) / std::sqrt(squares));
    for (const auto& [name, weight] : weights_) {
      for (Id id : weight.ids) {
        const double g = tape_.slope(id) * clip;
        double &m = m_[size_t(id)], &v = v_[size_t(id)], &w = tape_.value(id);
        m = 0.9 * m + 0.1 * g, v = 0.95 * v + 0.05 * g * g;
        if (weight.rows > 1) w -= rate * double(plan.decay) * w;
        w -= rate * (m / (1 - std::pow(0.9, t))) / (std::sqrt(v / (1 - std::pow(0.95, t))) + 1e-8);
      }
    }
  }

  Tape tape_;
  std::map<std::string, Weight> weights_;
  size_t first_ = 0;
  std::vector<double> m_, v_;
};

struct Curve {
  std::vector<double> ours, reference;
  double last(const std::vector<double>& curve) const {  // the mean of the last twenty
    double sum = 0;
    for (size_t i = curve.size() - 20; i < curve.size(); ++i) sum += curve[i] / 20;
    return sum;
  }
};

Curve train(TrainOps::Precision precision, int64_t steps) {
  const std::vector<int32_t> tokens = letters();
  const TokenWindows batches(tokens, {.length = kLength, .sequences = kSequences});
  Ledger ledger(int64_t(64) << 20);
  ThreadPool pool(1);
  Parts parts;
  FullSource source(true, parts);
  const auto network = Network::make(*fresh_spec(kShape), source).value();
  EXPECT_TRUE(parts.allocate(ledger).ok());
  draw_values(parts, kShape.layers, 1);
  LessonPlan plan;
  plan.rate = 0.01f, plan.steps = steps, plan.warmup = steps / 10;
  plan.slots = "f32", plan.precision = precision;
  const auto lesson = Lesson::make(*network, parts, plan, kLength * kSequences, pool, ledger).value();
  Slow slow(parts);
  Curve curve;
  TextBatch batch;
  for (int64_t step = 0; step < steps; ++step) {
    EXPECT_TRUE(batches.fill(step, 0, batch).ok());
    curve.reference.push_back(slow.step(batch, plan, step + 1));
    curve.ours.push_back(lesson->step(batches).value().loss);
  }
  return curve;
}

TEST(Training, FollowsAReferenceInDoublesStepByStep) {
  const Curve curve = train(TrainOps::Precision::exact, 60);
  for (size_t i = 0; i < curve.ours.size(); ++i)
    EXPECT_NEAR(curve.ours[i] / curve.reference[i], 1, i < 20 ? 1e-5 : 1e-3) << "step " << i + 1;
}

TEST(Training, WithCoarseProductsReachesTheReferencesLossWithinOnePerCent) {
  const Curve curve = train(TrainOps::Precision::bf16, 150);
  EXPECT_LT(curve.last(curve.reference), 0.75 * curve.reference[0]) << "it learns something";
  EXPECT_NEAR(curve.last(curve.ours) / curve.last(curve.reference), 1, 0.01);
  RecordProperty("loss", std::to_string(curve.last(curve.ours)));
  RecordProperty("reference", std::to_string(curve.last(curve.reference)));
}

}  // namespace
}  // namespace varve
