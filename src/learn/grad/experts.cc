// A mixture of experts on the way forth and back (Shazeer et al. 2017), as run/model/block/experts.cc runs
// it. Nothing of it is saved: on the way back each expert is played again for the rows that chose it. Weights
// of the chosen sum to one, so that their slopes are those of a softmax over the chosen logits. Who is chosen
// is balanced without a loss of its own (Wang et al. 2024): a bias that only choosing sees falls for experts
// that got more than their share of the rows, and rises for the others.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "learn/grad/op.h"

namespace varve {
namespace {

// Of the bias' slope: too small to count among the gradients, and optimizers take steps of one size anyway.
constexpr float kBalance = 1e-3f;

struct Route {  // the rows that an expert gets, which choice it is of each, and with what weight
  std::vector<int32_t> rows, rank;
  std::vector<float> shares;
};

void softmax(std::span<float> values) {
  const float most = *std::max_element(values.begin(), values.end());
  float sum = 0;
  for (float& value : values) sum += value = std::exp(value - most);
  for (float& value : values) value /= sum;
}

class Experts : public Op {
 public:
  explicit Experts(ExpertsOp op) : op_(std::move(op)) {}

  Status forward(Frame& f) const override {
    Ops& ops = f.flow.train.ops();
    ops.copy(f[op_.residual], f[op_.out]);
    const auto routes = TRY(route(f));
    for (size_t i = 0; i < routes.size(); ++i) {
      if (routes[i].rows.empty()) continue;
      const int64_t mark = f.flow.scratch.mark();
      const Room room = play(f, op_.experts[i], routes[i]);
      TRY(run(f, op_.experts[i], routes[i], room));
      ops.scatter_add(room.sum, routes[i].rows, routes[i].shares, f[op_.out]);
      f.flow.scratch.release(mark);
    }
    return {};
  }

  Status backward(Frame& f, Sink& sink) const override {
    Ops& ops = f.flow.train.ops();
    const auto routes = TRY(route(f));
    ops.fill(f.d(op_.in), 0);
    const size_t count = routes.size(), used = size_t(op_.used);
    std::vector<float> worth(size_t(f[op_.in].count()) * used);  // the slope of each choice's weight
    for (size_t i = 0; i < count; ++i) {
      if (routes[i].rows.empty()) continue;
      const int64_t mark = f.flow.scratch.mark();
      TRY(expert_back(f, i, routes[i], worth, sink));
      f.flow.scratch.release(mark);
    }
    return router_back(f, routes, worth, sink);
  }

  std::vector<Slot> writes() const override { return {op_.out}; }
  int64_t scratch_bytes(int32_t rows) const override {
    const int32_t width = op_.router->cols(), hidden = op_.experts[0].up->rows();
    int64_t own = 0;
    for (const Leaf* leaf : {op_.experts[0].gate.get(), op_.experts[0].up.get(), op_.experts[0].down.get()})
      own = std::max(own, leaf->scratch_bytes(rows));
    const int64_t expert = 3 * Scratch::bytes_for(rows, width) + 4 * Scratch::bytes_for(rows, hidden) + own;
    return std::max(expert, Scratch::bytes_for(rows, op_.router->rows()) + op_.router->scratch_bytes(rows));
  }

 private:
  struct Room {
    Rows own, gate, up, act, sum;
  };

  Result<std::vector<Route>> route(Frame& f) const {
    const auto count = size_t(op_.router->rows()), used = size_t(op_.used);
    const int64_t mark = f.flow.scratch.mark();
    const Rows x = f[op_.in], logits = f.flow.scratch.take(x.count(), int32_t(count));
    TRY(op_.router->forward(f.flow, x, logits, false));
    std::vector<float> values(count), bias(count), chosen(used);
    if (!op_.balance.empty()) {
      const Matrix given = op_.balance.matrix();
      given.codec->decode(given.bytes, bias);
    }
    std::vector<int32_t> ranked(count);
    std::vector<Route> routes(count);
    for (int32_t row = 0; row < x.count(); ++row) {
      f.flow.train.ops().store(logits.slice(row, 1), values);
      softmax(values);
      std::iota(ranked.begin(), ranked.end(), 0);
      const auto score = [&](int32_t i) { return values[size_t(i)] + bias[size_t(i)]; };
      std::partial_sort(ranked.begin(), ranked.begin() + op_.used, ranked.end(), [&](int32_t a, int32_t b) {
        return score(a) != score(b) ? score(a) > score(b) : a < b;
      });
      float sum = 0;
      for (size_t i = 0; i < used; ++i) sum += chosen[i] = values[size_t(ranked[i])];
      for (size_t i = 0; i < used; ++i) {
        Route& route = routes[size_t(ranked[i])];
        route.rows.push_back(row), route.rank.push_back(int32_t(i)), route.shares.push_back(chosen[i] / sum);
      }
    }
    f.flow.scratch.release(mark);
    return routes;
  }

  Room play(Frame& f, const ExpertsOp::One& expert, const Route& route) const {
    const auto rows = int32_t(route.rows.size());
    const int32_t width = expert.up->cols(), hidden = expert.up->rows();
    Scratch& scratch = f.flow.scratch;
    return {scratch.take(rows, width), scratch.take(rows, hidden), scratch.take(rows, hidden),
            scratch.take(rows, hidden), scratch.take(rows, width)};
  }

  Status run(Frame& f, const ExpertsOp::One& expert, const Route& route, const Room& room) const {
    Ops& ops = f.flow.train.ops();
    ops.gather_rows(f[op_.in], route.rows, room.own);
    TRY(expert.gate->forward(f.flow, room.own, room.gate, false));
    TRY(expert.up->forward(f.flow, room.own, room.up, false));
    ops.activate_times(op_.kind, room.gate, room.up, room.act);
    return expert.down->forward(f.flow, room.act, room.sum, false);
  }

  Status expert_back(Frame& f, size_t which, const Route& route, std::span<float> worth, Sink& sink) const {
    Ops& ops = f.flow.train.ops();
    const ExpertsOp::One& expert = op_.experts[which];
    const Room room = play(f, expert, route);
    TRY(run(f, expert, route, room));
    const auto rows = int32_t(route.rows.size());
    const Rows d = f.flow.scratch.take(rows, expert.up->cols()),
               d_act = f.flow.scratch.take(rows, expert.up->rows());
    ops.gather_rows(f.d(op_.out), route.rows, d);
    std::vector<float> slope(size_t(d.width())), sum(slope.size());
    for (int32_t i = 0; i < rows; ++i) {
      ops.store(d.slice(i, 1), slope), ops.store(room.sum.slice(i, 1), sum);
      float& own = worth[size_t(route.rows[size_t(i)] * op_.used + route.rank[size_t(i)])];
      own = std::inner_product(slope.begin(), slope.end(), sum.begin(), 0.f);
      for (float& value : slope) value *= route.shares[size_t(i)];
      ops.load(slope, d.slice(i, 1));
    }
    TRY(expert.down->backward(f.flow, room.act, d, d_act, false, sink));
    f.flow.train.activate_times_back(op_.kind, room.gate, room.up, d_act);
    TRY(expert.gate->backward(f.flow, room.own, room.gate, d, false, sink));
    TRY(expert.up->backward(f.flow, room.own, room.up, d, true, sink));
    ops.scatter_add(d, route.rows, std::vector<float>(route.rows.size(), 1.f), f.d(op_.in));
    return {};
  }

  Status router_back(Frame& f, std::span<const Route> routes, std::span<const float> worth,
                     Sink& sink) const {
    const int32_t rows = f[op_.in].count();
    const size_t count = routes.size(), used = size_t(op_.used);
    std::vector<float> slopes(size_t(rows) * count), mean(static_cast<size_t>(rows)), excess(count);
    const auto each = [&](auto take) {
      for (size_t e = 0; e < count; ++e) {
        for (size_t i = 0; i < routes[e].rows.size(); ++i) {
          const auto row = size_t(routes[e].rows[i]);
          take(e, row, routes[e].shares[i], worth[row * used + size_t(routes[e].rank[i])]);
        }
      }
    };
    each([&](size_t, size_t row, float share, float own) { mean[row] += share * own; });
    each([&](size_t e, size_t row, float share, float own) {
      slopes[row * count + e] = share * (own - mean[row]);
    });
    const int64_t mark = f.flow.scratch.mark();
    const Rows d = f.flow.scratch.take(rows, int32_t(count));
    f.flow.train.ops().load(slopes, d);
    TRY(op_.router->backward(f.flow, f[op_.in], d, f.d(op_.in), true, sink));
    f.flow.scratch.release(mark);
    if (op_.balance.part == nullptr) return {};
    for (size_t e = 0; e < count; ++e)
      excess[e] = kBalance * (float(routes[e].rows.size()) / float(size_t(rows) * used) - 1 / float(count));
    return sink.take_vector(*op_.balance.part, excess);
  }

  ExpertsOp op_;
};

}  // namespace

std::unique_ptr<Op> make_op(ExpertsOp op) {
  return std::make_unique<Experts>(std::move(op));
}

}  // namespace varve
