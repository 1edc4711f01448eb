#include "learn/grad/network.h"

#include <algorithm>
#include <cmath>

namespace varve {
namespace {

constexpr int64_t kLogitsBytes = 16 << 20;  // of the head, unless the vocabulary alone takes more
constexpr int32_t kLeastHeadRows = 128;

RopeSpec rope_of(const RopeTable& table) {
  return {.kind = table.kind,
          .dim = table.kind == RopeKind::none ? 0 : table.dim,
          .base = table.base,
          .scale = table.scale,
          .attention_factor = table.attention_factor,
          .yarn_extension = table.yarn_extension,
          .yarn_beta_fast = table.yarn_beta_fast,
          .yarn_beta_slow = table.yarn_beta_slow,
          .original_context = table.original_context};
}

std::vector<int32_t> positions_of(std::span<const int32_t> starts, size_t rows) {
  std::vector<int32_t> positions(rows);
  size_t next = 0;
  int32_t start = 0;
  for (size_t i = 0; i < rows; ++i) {
    if (next < starts.size() && starts[next] == int32_t(i)) start = starts[next++];
    positions[i] = int32_t(i) - start;
  }
  return positions;
}

}  // namespace

NetworkPlan plan_layers(const Score& score, int32_t layers, int32_t rows, KeepMode mode, const Codec& codec,
                        float recompute) {
  LayerPlan plan;
  for (size_t i = 0; i < kSlots; ++i) {
    const bool kept = Slot(i) == Slot::x || (mode != KeepMode::recompute && !score.derived(Slot(i)));
    if (!kept || score.width(Slot(i)) == 0 || Slot(i) == Slot::y) continue;
    const bool whole = Slot(i) == Slot::x || Slot(i) == Slot::o || Slot(i) == Slot::sums;
    plan[i] = {mode == KeepMode::spill ? Keep::spill : Keep::hold, &codec, whole ? 1 : 1 - recompute};
  }
  return {.rows = rows, .layers = std::vector<LayerPlan>(size_t(layers), plan)};
}

// The rows of one call, and what lasts through it.
struct Network::Pass {
  const Lines& lines;
  Flow flow;
  std::vector<int32_t> positions;
  Rows x, y, angles, angles_local;  // x: the stream; y: where a block writes it
  Rows d;                           // its slope, on the way back

  Documents documents() const { return {positions, lines.starts}; }
  int32_t rows() const { return int32_t(lines.tokens.size()); }
};

Result<std::unique_ptr<Network>> Network::make(const DecoderSpec& spec, LeafSource& source) {
  std::unique_ptr<Network> network(new Network);
  network->spec_ = spec;
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    network->scores_.push_back(TRY(Score::make(spec, int32_t(i), source)));
    network->local_ = network->local_ || spec.layers[i].local;
  }
  network->embedding_ = TRY(source.leaf("token_embd", spec.vocabulary, spec.width));
  if (source.has("output")) network->output_ = TRY(source.leaf("output", spec.vocabulary, spec.width));
  if (source.has("output.bias"))
    return Status(Code::unsupported, "a model with a bias of logits cannot learn yet");
  network->output_norm_ = TRY(source.vector("output_norm", spec.width));
  network->rope_ = rope_of(spec.rope);
  network->rope_local_ = rope_of(spec.rope_local);
  return network;
}

int64_t Network::head_bytes(const NetworkPlan& plan) const {
  return 2 * Scratch::bytes_for(plan.rows, spec_.width) +
         Scratch::bytes_for(plan.head_rows, plan.head_columns);
}

Result<NetworkBytes> Network::bytes(const NetworkPlan& given) const {
  NetworkPlan plan = given;
  complete(plan);
  const SavedBytes saved = TRY(Saved::bytes(scores_[0], plan.layers, plan.rows));
  int64_t block = 0;
  for (const Score& score : scores_) {
    const int64_t frame = score.frame_bytes(plan.rows, plan.passes == 0);
    block = std::max(block, frame + score.scratch_bytes(plan.rows));
  }
  const int64_t row = Scratch::bytes_for(plan.rows, spec_.width);
  const int64_t angles =
      Scratch::bytes_for(plan.rows, rope_.dim) + Scratch::bytes_for(plan.rows, rope_local_.dim);
  return NetworkBytes{
      .kept = saved.held + saved.staging,
      .spilled = saved.spilled,
      .working = (3 + std::max(0, plan.passes - 1)) * row + angles + std::max(block, head_bytes(plan)),
      .logits = Scratch::bytes_for(plan.head_rows, plan.head_columns)};
}

void Network::complete(NetworkPlan& plan) const {
  const int64_t vocabulary = spec_.vocabulary;
  if (plan.head_rows == 0) {
    plan.head_rows = int32_t(std::clamp<int64_t>(kLogitsBytes / 4 / vocabulary, kLeastHeadRows, 1 << 20));
  }
  plan.head_rows = std::min(plan.head_rows, plan.rows);
  if (plan.head_columns == 0) {
    plan.head_columns =
        int32_t(std::min(vocabulary, std::max<int64_t>(kLogitsBytes / 4 / plan.head_rows, 256)));
  }
  plan.head_columns = std::min(plan.head_columns, spec_.vocabulary);
}

Status Network::prepare(NetworkPlan plan, TrainOps& train, Ledger& ledger, std::unique_ptr<File> spill) {
  CHECK(plan.rows > 0 && plan.layers.size() == scores_.size(), "a plan for each layer");
  complete(plan);
  const NetworkBytes needed = TRY(bytes(plan));
  scratch_ = TRY(Scratch::make(ledger, needed.working));
  saved_ = TRY(Saved::make(scores_[0], plan.layers, plan.rows, ledger, std::move(spill)));
  plan_ = std::move(plan);
  train_ = &train;
  return {};
}

Status Network::check(const Lines& lines, std::span<float> nll) const {
  const size_t rows = lines.tokens.size();
  CHECK(train_ != nullptr && rows > 0 && rows <= size_t(plan_.rows), "a micro-batch of the planned size");
  CHECK(lines.targets.size() == rows && lines.weights.size() == rows && nll.size() == rows,
        "a target a token");
  CHECK(!lines.starts.empty() && lines.starts[0] == 0, "the first document begins at the first row");
  for (size_t i = 0; i < rows; ++i) {
    if (lines.tokens[i] < 0 || lines.tokens[i] >= spec_.vocabulary || lines.targets[i] >= spec_.vocabulary) {
      return Status(Code::invalid, "token " + std::to_string(lines.tokens[i]) +
                                       " or its successor is outside of "
                                       "the vocabulary of " +
                                       std::to_string(spec_.vocabulary));
    }
    CHECK(lines.targets[i] >= 0 || lines.weights[i] == 0, "no weight without a target");
  }
  return {};
}

Status Network::evaluate(const Lines& lines, std::span<float> nll, bool base) {
  return run(lines, nll, nullptr, base);
}

Status Network::learn(const Lines& lines, std::span<float> nll, Sink& sink) {
  return run(lines, nll, &sink, false);
}

Network::Pass Network::begin(const Lines& lines, bool base) {
  Scratch& scratch = *scratch_;
  scratch.release(0);
  Pass pass{.lines = lines,
            .flow = {*train_, scratch, base},
            .positions = positions_of(lines.starts, lines.tokens.size())};
  pass.x = scratch.take(pass.rows(), spec_.width);
  pass.y = scratch.take(pass.rows(), spec_.width);
  pass.d = scratch.take(pass.rows(), spec_.width);
  pass.angles = scratch.take(pass.rows(), rope_.dim);
  pass.angles_local = scratch.take(pass.rows(), rope_local_.dim);
  if (rope_.dim > 0) train_->ops().rope_angles(rope_, pass.positions, pass.angles);
  if (local_ && rope_local_.dim > 0)
    train_->ops().rope_angles(rope_local_, pass.positions, pass.angles_local);
  return pass;
}

Status Network::run(const Lines& lines, std::span<float> nll, Sink* sink, bool base) {
  TRY(check(lines, nll));
  CHECK(sink == nullptr || plan_.passes == 0, "a plan with a way back");
  Pass pass = begin(lines, base);
  TRY(forward(pass, sink != nullptr));
  TRY(head(pass, nll, sink));
  return sink == nullptr ? Status() : backward(pass, *sink);
}

Status Network::evaluate(const Lines& lines, std::span<const std::span<float>> nll, const Enter& enter) {
  for (const std::span<float> one : nll) TRY(check(lines, one));
  CHECK(int32_t(nll.size()) <= plan_.passes, "no more passes than planned");
  Pass pass = begin(lines, false);
  std::vector<Rows> streams = {pass.x};
  while (streams.size() < nll.size()) streams.push_back(pass.flow.scratch.take(pass.rows(), spec_.width));
  const auto layers = int32_t(scores_.size());
  for (int32_t stage = 0; stage <= layers + 1; ++stage) {
    for (size_t i = 0; i < nll.size(); ++i) {
      TRY(enter(stage, int32_t(i)));
      pass.x = streams[i];
      if (stage == 0) {
        TRY(embed(pass));
      } else if (stage <= layers) {
        TRY(block(pass, size_t(stage) - 1, false));
      } else {
        TRY(head(pass, nll[i], nullptr));
      }
      streams[i] = pass.x;
    }
  }
  return {};
}

Status Network::embed(Pass& pass) {
  TRY(embedding_->gather(pass.flow, pass.lines.tokens, pass.x));
  if (spec_.embedding_scale != 1) train_->ops().scale(pass.x, spec_.embedding_scale);
  return {};
}

Status Network::block(Pass& pass, size_t i, bool save) {
  const int64_t mark = pass.flow.scratch.mark();
  Frame frame = scores_[i].frame(pass.flow, pass.rows(), false);
  frame.documents = pass.documents(), frame.angles = pass.angles, frame.angles_local = pass.angles_local;
  frame[Slot::x] = pass.x, frame[Slot::y] = pass.y;
  TRY(scores_[i].forward(frame));
  if (save) TRY(saved_->put(*train_, int32_t(i), frame));
  pass.flow.scratch.release(mark);
  std::swap(pass.x, pass.y);
  return {};
}

Status Network::forward(Pass& pass, bool save) {
  TRY(embed(pass));
  for (size_t i = 0; i < scores_.size(); ++i) TRY(block(pass, i, save));
  return {};
}

Status Network::head(Pass& pass, std::span<float> nll, Sink* sink) {
  Scratch& scratch = pass.flow.scratch;
  const int64_t mark = scratch.mark();
  const Rows normed = scratch.take(pass.rows(), spec_.width), slopes = scratch.take(pass.rows(), spec_.width);
  train_->ops().rms_norm(pass.x, output_norm_.matrix(), spec_.epsilon, normed);
  if (spec_.logit_scale != 1) train_->ops().scale(normed, spec_.logit_scale);
  for (int32_t first = 0; first < pass.rows(); first += plan_.head_rows) {
    TRY(head_rows(pass, normed, slopes, first, nll, sink));
  }
  if (sink != nullptr) {
    if (spec_.logit_scale != 1) train_->ops().scale(slopes, spec_.logit_scale);
    train_->ops().fill(pass.d, 0);
    const Part* part = output_norm_.part;
    std::vector<float> slope(part == nullptr ? 0 : size_t(spec_.width));
    train_->rms_norm_back(
        {.x = pass.x, .d = slopes, .dx = pass.d, .weight = output_norm_.matrix(), .epsilon = spec_.epsilon},
        slope);
    if (part != nullptr) TRY(sink->take_vector(*part, slope));
  }
  scratch.release(mark);
  return {};
}

// A few rows against the vocabulary, a stretch at a time: once for the sums, and back, where the whole
// vocabulary was one stretch, from what is left of them, else from the logits made again.
Status Network::head_rows(Pass& pass, Rows normed, Rows slopes, int32_t first, std::span<float> nll,
                          Sink* sink) {
  const int32_t count = std::min(plan_.head_rows, pass.rows() - first), columns = plan_.head_columns;
  const Leaf& leaf = output_ != nullptr ? *output_ : *embedding_;
  const auto at = size_t(first), n = size_t(count);
  const auto targets = pass.lines.targets.subspan(at, n);
  std::vector<float> largest(n, -INFINITY), sums(n), picked(n), log_sums(n);
  const int64_t mark = pass.flow.scratch.mark();
  const Rows x = normed.slice(first, count), dx = slopes.slice(first, count);
  auto logits = [&](int32_t from, const Matrix& weight, Rows out) {
    train_->product(x, weight, out);
    train_->tally(out, from, targets, {largest, sums, picked});
  };
  const Rows room = pass.flow.scratch.take(count, columns);
  for (int32_t from = 0; from < spec_.vocabulary; from += columns) {
    const int32_t some = std::min(columns, spec_.vocabulary - from);
    const WeightPin weight = TRY(leaf.rows_of(from, some));
    logits(from, *weight, room.columns(0, some));
  }
  for (size_t i = 0; i < n; ++i) {
    log_sums[i] = largest[i] + std::log(sums[i]);
    nll[at + i] = targets[i] < 0 ? 0 : log_sums[i] - picked[i];
  }
  const TrainOps::Labels labels{targets, log_sums, pass.lines.weights.subspan(at, n)};
  for (int32_t from = 0; sink != nullptr && from < spec_.vocabulary; from += columns) {
    const int32_t some = std::min(columns, spec_.vocabulary - from);
    const WeightPin weight = TRY(leaf.rows_of(from, some));
    const Rows part = room.columns(0, some);
    if (columns == spec_.vocabulary) {
      train_->cross_entropy_tallied(part, sums, labels);
    } else {
      train_->product(x, *weight, part);
      train_->cross_entropy_back(part, from, labels);
    }
    train_->product_back(part, *weight, dx, from > 0);
    for (Part* live : leaf.parts()) TRY(sink->take(*train_, *live, from, x, part));
  }
  pass.flow.scratch.release(mark);
  return {};
}

Status Network::backward(Pass& pass, Sink& sink) {
  const auto lowest = size_t(sink.lowest());
  for (size_t i = scores_.size(); i-- > lowest;) {
    const int64_t mark = pass.flow.scratch.mark();
    Frame frame = scores_[i].frame(pass.flow, pass.rows(), true);
    frame.documents = pass.documents(), frame.angles = pass.angles, frame.angles_local = pass.angles_local;
    frame[Slot::x] = pass.x, frame[Slot::y] = pass.y;
    frame.d(Slot::x) = frame.d(Slot::mid) = frame.d(Slot::y) = pass.d;
    const auto there = TRY(saved_->get(*train_, int32_t(i), frame));
    TRY(scores_[i].restore(frame, there));
    TRY(scores_[i].backward(frame, sink));
    pass.flow.scratch.release(mark);
    TRY(sink.done(int32_t(i)));
  }
  if (lowest > 0) return {};
  for (Part* live : embedding_->parts()) {
    TRY(sink.take_rows(*train_, *live, pass.lines.tokens, spec_.embedding_scale, pass.d));
  }
  return {};
}

}  // namespace varve
