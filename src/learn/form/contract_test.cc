// What every form owes: it begins as the model was, its gradients are those of what it computes, what it
// writes down is what it computed, and it stays inside the room that it asked for.
#include <gtest/gtest.h>

#include <cmath>

#include "core/base/rng.h"
#include "learn/form/form.h"
#include "tests/support/memory_env.h"

namespace varve {
namespace {

constexpr int32_t kRowsOfWeight = 32, kCols = 64, kCount = 9;

struct Rig {  // one weight, q8_0, and a form over it
  explicit Rig(const std::string& spec) {
    std::vector<float> values(size_t(kRowsOfWeight) * kCols);
    for (size_t i = 0; i < values.size(); ++i) values[i] = float(0.2 * random_normal({1, 0, Site::test}, i));
    const Codec& codec = **codec_named("q8_0");
    std::vector<std::byte> bytes(size_t(codec.bytes_for(int64_t(values.size()))));
    codec.encode(values, bytes);
    GgufWriter writer;
    writer.set("general.architecture", "llama")
        .add("w.weight", *codec.gguf_type(), {kCols, kRowsOfWeight}, bytes);
    EXPECT_TRUE(writer.write(env, "m").ok());
    const Gguf gguf = Gguf::parse(env.map("m").value()->bytes()).value();
    store = std::move(open_resident_weights(env, "m", gguf, ledger)).value();
    plain = frozen_leaf(*store, store->find("w"));
    source = std::make_unique<AdapterSource>(*store, std::move(forms().make(spec)).value(),
                                             std::vector<std::string>{"w"}, parts);
    auto made = source->leaf("w", kRowsOfWeight, kCols);
    EXPECT_TRUE(made.ok());
    leaf = std::move(made).value();
    EXPECT_TRUE(parts.allocate(ledger).ok());
    room = leaf->scratch_bytes(kCount);
    sink.emplace(std::move(Accumulate::make(parts, ledger)).value());
    x = drawn(kCount * kCols, 2), slopes = drawn(kCount * kRowsOfWeight, 3);
    const Status began = begin();
    EXPECT_TRUE(began.ok()) << began.text();
  }
  static std::vector<float> drawn(size_t count, uint64_t seed) {
    std::vector<float> values(count);
    for (size_t i = 0; i < count; ++i) values[i] = float(random_normal({seed, 0, Site::test}, i));
    return values;
  }
  Status begin() {
    return source->form().begin(
        {source->weights(), parts, *store, train, ledger, 5, [&](const Beginning::Visit& visit) {
           gradient();
           for (size_t i = 0; i < parts.size(); ++i) visit(parts[i], sink->of(parts[i]));
           return Status();
         }});
  }
  std::vector<float> forward(const Leaf& by, bool base = false) {
    Scratch rows = Scratch::make(ledger, 1 << 20).value(), scratch = Scratch::make(ledger, room).value();
    const Rows in = rows.take(kCount, kCols), out = rows.take(kCount, kRowsOfWeight);
    train.ops().load(x, in);
    Flow flow{train, scratch, base};
    EXPECT_TRUE(by.forward(flow, in, out, false).ok());
    std::vector<float> y(size_t(kCount) * kRowsOfWeight);
    train.ops().store(out, y);
    return y;
  }
  double loss() {
    const auto y = forward(*leaf);
    double sum = 0;
    for (size_t i = 0; i < y.size(); ++i) sum += double(y[i]) * double(slopes[i]);
    return sum;
  }
  std::vector<float> gradient() {  // of the input; those of the parts are in the sink
    std::ranges::fill(sink->all(), 0.f);
    Scratch rows = Scratch::make(ledger, 1 << 20).value(), scratch = Scratch::make(ledger, room).value();
    const Rows in = rows.take(kCount, kCols), d = rows.take(kCount, kRowsOfWeight),
               dx = rows.take(kCount, kCols);
    train.ops().load(x, in), train.ops().load(slopes, d);
    Flow flow{train, scratch};
    EXPECT_TRUE(leaf->backward(flow, in, d, dx, false, *sink).ok());
    std::vector<float> back(x.size()), same(slopes.size());
    train.ops().store(dx, back), train.ops().store(d, same);
    EXPECT_EQ(same, slopes) << "the slopes are the caller's";
    return back;
  }
  void shake() {  // parts that are not at their beginning
    for (size_t i = 0; i < parts.size(); ++i) {
      for (size_t j = 0; j < parts[i].value.size(); ++j) {
        parts[i].value[j] += float(0.1 * random_normal({9, i, Site::test}, j));
      }
    }
  }

  MemoryEnv env;
  Ledger ledger{int64_t(1) << 26};
  ThreadPool pool{1};
  TrainOps train = std::move(TrainOps::make(pool, ledger, TrainOps::Precision::exact)).value();
  std::unique_ptr<WeightStore> store;
  Parts parts;
  std::unique_ptr<AdapterSource> source;
  std::unique_ptr<Leaf> plain, leaf;
  std::optional<Accumulate> sink;
  std::vector<float> x, slopes;
  int64_t room = 0;
};

double difference(const std::vector<float>& a, const std::vector<float>& b) {
  double most = 0;
  for (size_t i = 0; i < a.size(); ++i) most = std::max(most, std::abs(double(a[i]) - double(b[i])));
  return most;
}

class EveryForm : public testing::TestWithParam<std::string> {
 protected:
  std::string spec() const { return GetParam() == "peqa" ? "peqa" : GetParam() + ":rank=4"; }
};

TEST_P(EveryForm, BeginsAsTheModelWas) {
  Rig rig(spec());
  // kasa has already taken the four weakest of 32 directions away.
  EXPECT_LT(difference(rig.forward(*rig.leaf), rig.forward(*rig.plain)), GetParam() == "kasa" ? 2 : 1e-5);
  rig.shake();
  EXPECT_GT(difference(rig.forward(*rig.leaf), rig.forward(*rig.plain)), 1e-2);
  EXPECT_EQ(rig.forward(*rig.leaf, true), rig.forward(*rig.plain)) << "left out, it is the base to the bit";
}

TEST_P(EveryForm, BeginsTheSameEveryTime) {
  Rig rig(spec());
  const std::vector<float> first(rig.parts.all().begin(), rig.parts.all().end());
  const auto before = rig.forward(*rig.leaf);
  rig.shake();
  ASSERT_TRUE(rig.begin().ok());
  EXPECT_EQ(std::vector<float>(rig.parts.all().begin(), rig.parts.all().end()), first);
  EXPECT_EQ(rig.forward(*rig.leaf), before);
}

TEST_P(EveryForm, GradientsAreDifferencesOfWhatItComputes) {
  Rig rig(spec());
  rig.shake();
  const auto back = rig.gradient();
  auto differs = [&](float& value) {
    const float keep = value;
    value = keep + 0.02f;
    const double above = rig.loss(), high = double(value);
    value = keep - 0.02f;
    const double slope = (above - rig.loss()) / (high - double(value));
    value = keep;
    return slope;
  };
  for (size_t at : {size_t(0), size_t(100), back.size() - 1}) {
    EXPECT_NEAR(double(back[at]), differs(rig.x[at]), 2e-3) << at;
  }
  for (size_t i = 0; i < rig.parts.size(); ++i) {
    Part& part = rig.parts[i];
    if (GetParam() == "dora" && i < 2) continue;  // a row's own length counts as constant: see below
    for (size_t at : {size_t(0), part.value.size() / 2, part.value.size() - 1}) {
      EXPECT_NEAR(double(rig.sink->of(part)[at]), differs(part.value[at]), 1e-2) << part.role << " " << at;
    }
  }
}

TEST_P(EveryForm, WhatItWritesDownIsWhatItComputed) {
  Rig rig(spec());
  rig.shake();
  Learnt learnt;
  ASSERT_TRUE(rig.source->form().finish(rig.source->weights(), rig.parts, rig.ledger, learnt).ok());
  std::vector<float> w(size_t(kRowsOfWeight) * kCols);
  const WeightPin pin = rig.store->pin(rig.store->find("w")).value();
  (*pin).codec->decode((*pin).bytes, w);
  std::vector<float> factors(size_t(kRowsOfWeight), 1);
  if (learnt.kind == "scales")
    factors.assign(learnt.tensors[0].values.begin(), learnt.tensors[0].values.end());
  for (size_t i = 0; i < kRowsOfWeight; ++i) {
    double square = 0;
    for (size_t j = 0; j < kCols; ++j) {
      if (learnt.kind != "scales") {
        const auto &a = learnt.tensors[0], &b = learnt.tensors[1];
        for (size_t r = 0; r < size_t(a.rows); ++r) {
          w[i * kCols + j] +=
              learnt.alpha / float(a.rows) * b.values[i * size_t(a.rows) + r] * a.values[r * kCols + j];
        }
      }
      square += double(w[i * kCols + j]) * double(w[i * kCols + j]);
    }
    if (learnt.kind == "dora") factors[i] = float(double(learnt.tensors[2].values[i]) / std::sqrt(square));
    for (size_t j = 0; j < kCols; ++j) w[i * kCols + j] *= factors[i];
  }
  const auto y = rig.forward(*rig.leaf);
  for (size_t t = 0; t < kCount; ++t) {
    for (size_t i = 0; i < kRowsOfWeight; ++i) {
      double sum = 0;
      for (size_t j = 0; j < kCols; ++j) sum += double(w[i * kCols + j]) * double(rig.x[t * kCols + j]);
      ASSERT_NEAR(double(y[t * kRowsOfWeight + i]), sum, 1e-4);
    }
  }
}

TEST_P(EveryForm, RefusesOptionsThatItDoesNotKnow) {
  EXPECT_EQ(forms().make(GetParam() + ":speed=3").code(), Code::invalid);
}

INSTANTIATE_TEST_SUITE_P(Forms, EveryForm, testing::ValuesIn(forms().names()),
                         [](const auto& one) { return one.param; });

// As published, lengths count as constants: the gradient is that of a low-rank sum, its slopes stretched.
TEST(Dora, TheFactorsGradientIsThatOfASumWithStretchedSlopes) {
  Rig dora("dora:rank=4"), lora("lora:rank=4");
  dora.shake();
  for (size_t i : {0, 1}) std::ranges::copy(dora.parts[i].value, lora.parts[i].value.begin());
  const auto turned = lora.forward(*lora.leaf), stretched = dora.forward(*dora.leaf);
  for (size_t i = 0; i < turned.size(); ++i) lora.slopes[i] = dora.slopes[i] * stretched[i] / turned[i];
  dora.gradient(), lora.gradient();
  for (size_t i : {0, 1}) {
    for (size_t j = 0; j < dora.parts[i].value.size(); ++j) {
      EXPECT_NEAR(dora.sink->of(dora.parts[i])[j], lora.sink->of(lora.parts[i])[j], 2e-3f);
    }
  }
}

TEST(LoraGa, BeginsAlongTheGradient) {
  Rig rig("lora_ga:rank=4");
  // The gradient of the weight is d^T x; b a's first step lies in the directions that lead it.
  std::vector<double> g(size_t(kRowsOfWeight) * kCols), along(size_t(4) * kRowsOfWeight);
  for (size_t t = 0; t < kCount; ++t) {
    for (size_t i = 0; i < g.size(); ++i) {
      g[i] += double(rig.slopes[t * kRowsOfWeight + i / kCols]) * double(rig.x[t * kCols + i % kCols]);
    }
  }
  double all = 0, seen = 0;
  const auto a = rig.parts[0].value;
  for (double value : g) all += value * value;
  for (size_t k = 0; k < 4; ++k) {
    double size = 0;
    for (size_t j = 0; j < kCols; ++j) size += double(a[k * kCols + j]) * double(a[k * kCols + j]);
    EXPECT_NEAR(size, std::sqrt(kRowsOfWeight) / 16, 1e-4) << "d_out^(1/2) / gamma";
    for (size_t i = 0; i < kRowsOfWeight; ++i) {
      double sum = 0;
      for (size_t j = 0; j < kCols; ++j) sum += g[i * kCols + j] * double(a[k * kCols + j]);
      seen += sum * sum / size;
    }
  }
  EXPECT_GT(seen, 0.55 * all) << "4 of 9 directions, the strongest";
}

TEST(Kasa, TakesTheWeakestDirectionsAway) {
  Rig rig("kasa:rank=4");
  const Part &a = *rig.parts.find("w.held_a"), &b = *rig.parts.find("w.held_b");
  double taken = 0, whole = 0;
  for (size_t i = 0; i < kRowsOfWeight; ++i) {
    for (size_t j = 0; j < kCols; ++j) {
      double sum = 0;
      for (size_t k = 0; k < 4; ++k) sum += double(b.value[i * 4 + k]) * double(a.value[k * kCols + j]);
      taken += sum * sum;
    }
  }
  std::vector<float> w(size_t(kRowsOfWeight) * kCols);
  const WeightPin pin = rig.store->pin(rig.store->find("w")).value();
  (*pin).codec->decode((*pin).bytes, w);
  for (float value : w) whole += double(value) * double(value);
  EXPECT_LT(taken, 0.03 * whole) << "an eighth of the directions";
  EXPECT_GT(taken, 0);
}

TEST(Peqa, IsForQuantisedModels) {
  MemoryEnv env;
  Ledger ledger{1 << 20};
  const std::vector<float> values(64, 1);
  GgufWriter writer;
  writer.set("general.architecture", "llama").add("w.weight", 0, {8, 8}, std::as_bytes(std::span(values)));
  ASSERT_TRUE(writer.write(env, "m").ok());
  const Gguf gguf = Gguf::parse(env.map("m").value()->bytes()).value();
  const auto store = std::move(open_resident_weights(env, "m", gguf, ledger)).value();
  Parts parts;
  AdapterSource source(*store, std::move(forms().make("peqa")).value(), {"w"}, parts);
  EXPECT_EQ(source.leaf("w", 8, 8).code(), Code::unsupported);
}

// What learns, of a weight of n x m: the published savings, by arithmetic that the parts must follow.
TEST(Forms, LearnAsFewValuesAsPublished) {
  const std::pair<const char*, int64_t> expected[] = {
      {"lora:rank=4", 4 * (kCols + kRowsOfWeight)},
      {"dora:rank=4", 4 * (kCols + kRowsOfWeight) + kRowsOfWeight},
      {"paca:rank=4", 4 * kRowsOfWeight},
      {"peqa", kRowsOfWeight},
      {"lamda:rank=4", 4 * 4 + 4 * kRowsOfWeight},
      {"lora_ga:rank=4", 4 * (kCols + kRowsOfWeight)},
      {"kasa:rank=4", 4 * (kCols + kRowsOfWeight) + 16}};  // 4 strengths, to a cache line
  for (const auto& [spec, values] : expected) EXPECT_EQ(Rig(spec).parts.values(), values) << spec;
}

}  // namespace
}  // namespace varve
