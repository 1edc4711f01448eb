#include "tests/support/run_model.h"

#include <algorithm>
#include <numeric>

namespace varve {

ModelRun::ModelRun(const std::string& path, int threads, Env& env, Open* open) : pool_(threads), ops_(pool_) {
  auto model = open != nullptr ? open(env, path, ledger_) : open_model(env, path, ledger_);
  if (!model.ok()) ADD_FAILURE() << std::move(model).status().text();
  CHECK(model.ok(), "the model opens");
  model_ = std::move(model).value();
  auto kv = make_kv_pool(ledger_, model_->shape().kv, KvRecipe{.pack = "f32"});
  CHECK(kv.ok(), "the KV pool opens");
  kv_ = std::move(kv).value();
}

std::vector<ModelRun::Sequence> ModelRun::start(const std::vector<Tokens>& sequences) {
  std::vector<Sequence> started;
  for (const Tokens& tokens : sequences) {
    auto kv = make_kv_cache(kv_);
    CHECK(kv.ok() && (*kv)->reserve(int32_t(tokens.size())).ok(), "room for the sequence");
    const size_t index = started.size();
    const Adapter* adapter = index < adapters_.size() ? adapters_[index] : nullptr;
    NeuronChoice* neurons = index < choices_.size() ? choices_[index] : nullptr;
    started.push_back(
        {.tokens = &tokens, .adapter = adapter, .neurons = neurons, .kv = std::move(kv).value()});
  }
  return started;
}

void ModelRun::step(std::vector<Sequence>& sequences, int32_t chunk) {
  std::vector<Token> tokens;
  std::vector<int32_t> positions;
  std::vector<Segment> segments;
  std::vector<Sequence*> stepping;
  ops_.reading(sequences[0].done < size_t(prompt_));
  if (ops_.reading()) chunk = prompt_;
  for (Sequence& sequence : sequences) {
    const size_t left = sequence.tokens->size() - sequence.done;
    const size_t count = chunk == 0 ? left : std::min(left, size_t(chunk));
    if (count == 0) continue;
    segments.push_back(
        {int32_t(tokens.size()), int32_t(count), sequence.kv.get(), sequence.adapter, sequence.neurons});
    for (size_t i = sequence.done; i < sequence.done + count; ++i) {
      tokens.push_back((*sequence.tokens)[i]);
      positions.push_back(int32_t(i));
    }
    stepping.push_back(&sequence);
  }
  const int32_t rows = int32_t(tokens.size());
  std::vector<int32_t> outputs(tokens.size());
  std::iota(outputs.begin(), outputs.end(), 0);
  int64_t delta_bytes = 0;
  for (WeightId id = 0; id < model_->weights().entries().size(); ++id) {
    for (const Adapter* adapter : adapters_) {
      const Delta* delta = adapter == nullptr ? nullptr : adapter->on(id);
      if (delta != nullptr) delta_bytes = std::max(delta_bytes, delta->scratch_bytes(rows));
    }
  }
  const int64_t bytes =
      model_->scratch_bytes(rows, rows) + Scratch::bytes_for(rows, vocabulary()) + delta_bytes;
  auto scratch = Scratch::make(ledger_, bytes);  // a byte too few would end the test
  CHECK(scratch.ok(), "room for the scratch");
  Rows logits = scratch->take(rows, vocabulary());
  Status done = model_->forward({tokens, positions, segments, outputs}, ops_, *scratch, logits);
  CHECK(done.ok(), "a step is carried out");
  for (size_t i = 0; i < segments.size(); ++i) {
    Sequence& sequence = *stepping[i];
    const size_t at = sequence.logits.size(), count = size_t(segments[i].rows) * vocabulary();
    sequence.logits.resize(at + count);
    ops_.store(logits.slice(segments[i].first, segments[i].rows), std::span(sequence.logits).subspan(at));
    sequence.done += size_t(segments[i].rows);
  }
}

std::vector<Logits> ModelRun::logits(const std::vector<Tokens>& sequences, int32_t chunk) {
  auto running = start(sequences);
  auto left = [](const Sequence& one) { return one.done < one.tokens->size(); };
  while (std::any_of(running.begin(), running.end(), left)) step(running, chunk);
  std::vector<Logits> all;
  for (Sequence& sequence : running) all.push_back(std::move(sequence.logits));
  return all;
}

Logits ModelRun::logits(const Tokens& tokens, int32_t chunk) {
  return logits(std::vector<Tokens>{tokens}, chunk)[0];
}

std::vector<float> ModelRun::hidden(const Tokens& tokens, int32_t layer) {
  auto running = start({tokens});
  const int32_t rows = int32_t(tokens.size()), width = model_->shape().width;
  const std::vector<Segment> segments{{0, rows, running[0].kv.get(), running[0].adapter}};
  std::vector<int32_t> positions(tokens.size());
  std::iota(positions.begin(), positions.end(), 0);
  const std::vector<int32_t> outputs{rows - 1};
  auto scratch = Scratch::make(ledger_, model_->scratch_bytes(rows, 1) + Scratch::bytes_for(1, width));
  CHECK(scratch.ok(), "room for the scratch");
  Rows out = scratch->take(1, width);
  CHECK(model_->hidden({tokens, positions, segments, outputs, layer}, ops_, *scratch, out).ok(),
        "a step is carried out");
  std::vector<float> values(static_cast<size_t>(width));
  ops_.store(out, values);
  return values;
}

Logits ModelRun::head(std::span<const float> hidden) {
  auto scratch = Scratch::make(ledger_, model_->scratch_bytes(1, 1) +
                                            Scratch::bytes_for(1, vocabulary() + model_->shape().width) + 64);
  CHECK(scratch.ok(), "room for the scratch");
  Rows in = scratch->take(1, model_->shape().width), out = scratch->take(1, vocabulary());
  ops_.load(hidden, in);
  const std::vector<Segment> segments{{0, 1, nullptr, nullptr}};
  CHECK(model_->head(segments, ops_, *scratch, in, out).ok(), "a head is carried out");
  Logits logits(static_cast<size_t>(vocabulary()));
  ops_.store(out, logits);
  return logits;
}

Tokens golden_tokens(int32_t count, int32_t vocabulary, uint32_t seed) {
  Tokens tokens;
  for (int32_t i = 0; i < count; ++i) {
    seed = seed * 1664525 + 1013904223;
    tokens.push_back(Token((seed >> 8) % uint32_t(vocabulary)));
  }
  return tokens;
}

double nmse(std::span<const float> ours, std::span<const float> theirs) {
  EXPECT_EQ(ours.size(), theirs.size());
  double apart = 0, whole = 0;
  for (size_t i = 0; i < std::min(ours.size(), theirs.size()); ++i) {
    const double difference = double(ours[i]) - double(theirs[i]);
    apart += difference * difference;
    whole += double(theirs[i]) * double(theirs[i]);
  }
  return apart / whole;
}

}  // namespace varve
