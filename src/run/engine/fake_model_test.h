// A model whose next token is a plain function of the tokens and positions that it finds in the KV, in every
// lane: whatever is lost, doubled, moved or mixed up there changes the text.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <limits>

#include "run/engine/engine.h"

namespace varve {

class NoWeights : public WeightStore {
 public:
  std::span<const WeightEntry> entries() const override { return {}; }
  WeightId find(std::string_view) const override { return kNoWeight; }
  Result<WeightPin> pin(WeightId, int32_t) const override { return Status(Code::not_found, "no weights"); }
  void hint(std::span<const WeightId>) const override {}
  int64_t resident_bytes() const override { return 0; }
};

class DigitTokenizer : public Tokenizer {  // a token is its number in letters
 public:
  explicit DigitTokenizer(std::vector<Token> ends) { special_.end_of_generation = std::move(ends); }
  void encode(std::string_view, bool, std::vector<Token>&) const override {}
  void decode(Token, bool, std::string&) const override {}
  int32_t size() const override { return 64; }
  const SpecialTokens& special() const override { return special_; }
  std::string_view piece(Token) const override { return {}; }
  bool is_control(Token) const override { return false; }

 private:
  SpecialTokens special_;
};

// What a row sees: the (token, position) pairs before it and its own.
using Seen = std::vector<std::pair<int32_t, int32_t>>;

inline uint64_t mix(uint64_t a, uint64_t b) {
  a = (a ^ b) * 0x9E3779B97F4A7C15ull;
  return a ^ (a >> 29);
}

class FakeModel : public Model {
 public:
  static constexpr int32_t kVocabulary = 64, kWidth = 3;
  static constexpr Token kFails = 60, kNotANumber = 61;  // in a prompt: the pass fails, the logits are broken

  explicit FakeModel(std::vector<Token> ends = {}, int32_t context = 512) : tokenizer_(std::move(ends)) {
    shape_ = {.family = "fake",
              .layers = 2,
              .width = kWidth,
              .heads = 2,
              .vocabulary = kVocabulary,
              .context = context,
              .kv = {.layers = 2, .kv_heads = 2, .key_dim = 4, .value_dim = 2}};
  }

  static std::vector<float> logits_of(const Seen& seen) {
    uint64_t state = 1;
    for (auto [token, position] : seen) state = mix(mix(state, uint64_t(token)), uint64_t(position));
    std::vector<float> logits(kVocabulary);
    for (int32_t i = 0; i < kVocabulary; ++i) logits[i] = float(mix(state, uint64_t(i)) >> 40) / (1 << 20);
    logits[kFails] = logits[kNotANumber] = -100;
    return logits;
  }

  const Hash256& fingerprint() const override { return fingerprint_; }
  const ModelShape& shape() const override { return shape_; }
  const std::string& name() const override { return shape_.family; }
  const Tokenizer* tokenizer() const override { return &tokenizer_; }
  const ChatTemplate* chat_template() const override { return nullptr; }
  const WeightStore& weights() const override { return weights_; }
  int64_t scratch_bytes(int32_t rows, int32_t) const override {
    return Scratch::bytes_for(rows, 8) + Scratch::bytes_for(rows, 4);
  }

  Status forward(const Batch& batch, Ops& ops, Scratch& scratch, Rows out) const override {
    TRY(read(batch, ops, scratch));
    for (size_t i = 0; i < batch.outputs.size(); ++i) {
      std::vector<float> logits = logits_of(seen_by(batch, batch.outputs[i]));
      if (batch.tokens[batch.outputs[i]] == kNotANumber) {
        logits.assign(logits.size(), std::numeric_limits<float>::quiet_NaN());
      }
      ops.load(logits, out.slice(int32_t(i), 1));
    }
    return {};
  }
  Status hidden(const Batch& batch, Ops& ops, Scratch& scratch, Rows out) const override {
    TRY(read(batch, ops, scratch));
    for (size_t i = 0; i < batch.outputs.size(); ++i) {
      const Seen seen = seen_by(batch, batch.outputs[i]);
      ops.load(hidden_of(seen, batch.layer), out.slice(int32_t(i), 1));
    }
    return {};
  }
  Status head(std::span<const Segment> segments, Ops& ops, Scratch&, Rows hidden,
              Rows logits) const override {
    CHECK(int32_t(segments.size()) == hidden.count() && logits.count() == hidden.count(), "a segment a row");
    for (int32_t i = 0; i < hidden.count(); ++i) {
      std::vector<float> row(kWidth);
      ops.store(hidden.slice(i, 1), row);
      ops.load(head_of(row), logits.slice(i, 1));
    }
    return {};
  }

  static std::vector<float> hidden_of(const Seen& seen, int32_t layer) {
    return {float(seen.back().first), float(seen.size()), 0.1f * float(seen[0].first) + float(layer)};
  }
  static std::vector<float> head_of(const std::vector<float>& hidden) {
    std::vector<float> logits(kVocabulary);
    for (int32_t i = 0; i < kVocabulary; ++i)
      logits[size_t(i)] =
          float(mix(uint64_t(hidden[0]), mix(uint64_t(hidden[1]), uint64_t(i))) >> 40) / (1 << 22);
    return logits;
  }

  mutable std::atomic<int64_t> rows_computed = 0;
  std::function<void()> before_pass;  // set before the engine starts

 private:
  Status read(const Batch& batch, Ops& ops, Scratch& scratch) const {
    if (before_pass) before_pass();
    rows_computed += int64_t(batch.tokens.size());
    for (int32_t layer = 0; layer < shape_.layers; ++layer) {
      for (const Segment& segment : batch.segments) {
        const int64_t mark = scratch.mark();
        std::vector<float> keys, values;
        for (int32_t row = segment.first; row < segment.first + segment.rows; ++row) {
          const float token = float(batch.tokens[row]), position = float(batch.positions[row]);
          for (int head = 0; head < 2; ++head) {
            keys.insert(keys.end(), {token, position, float(layer), float(head)});
            values.insert(values.end(), {token, position});
          }
          if (batch.tokens[row] == kFails && layer == 1) return Status(Code::io, "the disk is gone");
        }
        Rows key_rows = scratch.take(segment.rows, 8), value_rows = scratch.take(segment.rows, 4);
        ops.load(keys, key_rows);
        ops.load(values, value_rows);
        const auto positions = batch.positions.subspan(segment.first, segment.rows);
        TRY(segment.kv->append(ops, layer, key_rows, value_rows, positions));
        scratch.release(mark);
      }
    }
    return {};
  }

  // From every lane, which must agree.
  Seen seen_by(const Batch& batch, int32_t row) const {
    const Segment* of = nullptr;
    for (const Segment& segment : batch.segments) {
      if (segment.first <= row && row < segment.first + segment.rows) of = &segment;
    }
    Seen first;
    for (int32_t layer = 0; layer < shape_.layers; ++layer) {
      for (int32_t head = 0; head < 2; ++head) {
        Seen seen = read_lane(*of->kv, layer, head, batch.positions[row]);
        if (layer + head == 0) first = seen;
        CHECK(seen == first, "lanes differ");
      }
    }
    return first;
  }
  static Seen read_lane(KvCache& kv, int32_t layer, int32_t head, int32_t upto) {
    Seen seen;
    for (const KvPageView& page : kv.lanes(layer)[head]) {
      const size_t rows = page.positions.size();
      std::vector<float> keys(rows * 4), values(rows * 2);
      kv.codec().decode(page.keys, keys);
      kv.codec().decode(page.values, values);
      for (size_t i = 0; i < rows && page.positions[i] <= upto; ++i) {
        CHECK(keys[i * 4 + 1] == float(page.positions[i]) && values[i * 2 + 1] == keys[i * 4 + 1] &&
                  keys[i * 4 + 2] == float(layer) && keys[i * 4 + 3] == float(head),
              "a row of another lane or position");
        CHECK(values[i * 2] == keys[i * 4], "keys and values of different tokens");
        seen.emplace_back(int32_t(keys[i * 4]), page.positions[i]);
      }
    }
    return seen;
  }

  ModelShape shape_;
  Hash256 fingerprint_;
  DigitTokenizer tokenizer_;
  NoWeights weights_;
};

}  // namespace varve
