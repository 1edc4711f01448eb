// Attention is read off the sums that a KV cache keeps for a policy that asks for all of it; token by token,
// so that what a query gave is what its sums grew by.
#include "run/engine/head_profile.h"

#include <algorithm>

#include "core/base/rng.h"

namespace varve {
namespace {

class Watched {
 public:
  static Result<Watched> start(const Model& model, Ops& ops, Ledger& ledger, int32_t tokens) {
    Watched one(model, ops);
    const auto pool =
        TRY(make_kv_pool(ledger, model.shape().kv, {.policy = "h2o", .budget_tokens = 1 << 29}));
    one.kv_ = TRY(make_kv_cache(pool));
    TRY(one.kv_->reserve(tokens));
    one.scratch_ = TRY(
        Scratch::make(ledger, model.scratch_bytes(1, 1) + Scratch::bytes_for(1, model.shape().vocabulary)));
    return one;
  }
  Status read(Token token) {
    const int32_t place = kv_->tokens(), output = 0;
    const Segment segment{0, 1, kv_.get(), nullptr};
    const int64_t mark = scratch_.mark();
    Rows logits = scratch_.take(1, model_->shape().vocabulary);
    TRY(model_->forward({{&token, 1}, {&place, 1}, {&segment, 1}, {&output, 1}}, *ops_, scratch_, logits));
    scratch_.release(mark);
    return {};
  }
  int32_t tokens() const { return kv_->tokens(); }
  // What every token received so far, lane by lane.
  std::span<const float> sums(int32_t layer, int32_t head) {
    const int32_t newest = kv_->tokens() - 1;
    return kv_->scores(layer, {&newest, 1}).lanes[size_t(head)];
  }

 private:
  Watched(const Model& model, Ops& ops) : model_(&model), ops_(&ops) {}
  const Model* model_;
  Ops* ops_;
  std::unique_ptr<KvCache> kv_;
  Scratch scratch_;
};

std::vector<Token> random_tokens(const Model& model, const HeadProfileOptions& options) {
  std::vector<Token> tokens;
  const Tokenizer* tokenizer = model.tokenizer();
  for (uint64_t i = 0; int32_t(tokens.size()) < options.random_tokens; ++i) {
    const auto token =
        Token(random_bits({options.seed, 0, Site::selection}, i) % uint64_t(model.shape().vocabulary));
    if (i < 100000 && tokenizer != nullptr && tokenizer->is_control(token)) continue;
    tokens.push_back(token);
  }
  return tokens;
}

// Of the second reading: what a token gives to where it stood before, and to what followed it there.
Status measure_recall(Watched& run, const std::vector<Token>& tokens, HeadProfile& profile) {
  for (Token token : tokens) TRY(run.read(token));
  std::vector<float> before(profile.lanes.size());
  const auto given = [&](int32_t lane, int32_t at) {
    const auto sums = run.sums(lane / profile.heads, lane % profile.heads);
    return sums[size_t(at)] + sums[size_t(at) + 1];
  };
  const auto n = int32_t(tokens.size());
  for (int32_t i = 0; i < n; ++i) {
    for (size_t lane = 0; lane < before.size(); ++lane) before[lane] = given(int32_t(lane), i);
    TRY(run.read(tokens[size_t(i)]));
    for (size_t lane = 0; lane < before.size(); ++lane)
      profile.lanes[lane].recall += (given(int32_t(lane), i) - before[lane]) / float(n);
  }
  return {};
}

// What a token receives once it is neither a sink nor among the newest.
Status measure_far(Watched& run, std::span<const Token> text, const HeadProfileOptions& options,
                   HeadProfile& profile) {
  std::vector<std::vector<float>> near(profile.lanes.size());  // of each token while it was new
  const auto sums = [&](size_t lane) {
    return run.sums(int32_t(lane) / profile.heads, int32_t(lane) % profile.heads);
  };
  for (Token token : text) {
    TRY(run.read(token));
    const int32_t leaves = run.tokens() - 1 - options.window;
    for (size_t lane = 0; leaves >= 0 && lane < near.size(); ++lane)
      near[lane].push_back(sums(lane)[size_t(leaves)]);
  }
  for (size_t lane = 0; lane < near.size(); ++lane) {
    double far = 0;
    for (size_t t = size_t(options.sinks); t < near[lane].size(); ++t) far += sums(lane)[t] - near[lane][t];
    profile.lanes[lane].far = float(far / double(near[lane].size() - size_t(options.sinks)));
  }
  return {};
}

}  // namespace

Result<HeadProfile> profile_heads(const Model& model, Ops& ops, Ledger& ledger, std::span<const Token> text,
                                  const HeadProfileOptions& options) {
  if (int64_t(text.size()) <= int64_t(options.sinks) + options.window)
    return Status(Code::invalid, "a text of " + std::to_string(text.size()) +
                                     " tokens says nothing of what lies further back than " +
                                     std::to_string(options.sinks + options.window));
  const KvShape& shape = model.shape().kv;
  HeadProfile profile{shape.layers, shape.kv_heads, {}};
  profile.lanes.resize(size_t(shape.layers) * size_t(shape.kv_heads));
  Watched twice = TRY(Watched::start(model, ops, ledger, 2 * options.random_tokens));
  TRY(measure_recall(twice, random_tokens(model, options), profile));
  Watched once = TRY(Watched::start(model, ops, ledger, int32_t(text.size())));
  TRY(measure_far(once, text, options, profile));
  return profile;
}

}  // namespace varve
