// The gate's policy, and what a cache keeps for it beside each token.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "run/kv/desk_test.h"
#include "run/kv/policy/gate_file_test.h"

namespace varve {
namespace {

const Fate K = Fate::keep, D = Fate::drop;

TEST(Gate, KeepsSinksTheNewestAndTheLargestMarks) {
  const auto policy = kv_policies().make("gate:file=" + GateFile().write());
  ASSERT_TRUE(policy.ok());
  EXPECT_TRUE((*policy)->needs().hidden);
  const std::vector<int32_t> positions{0, 1, 2, 5, 6, 7, 8};
  const std::vector<float> marks{-9, 1, 3, -2, 5, -9, -9};
  EXPECT_EQ((*policy)->plan({.positions = positions, .marks = marks}, 5).fate,
            (std::vector<Fate>{K, D, K, D, K, K, K}));
  const auto fewer = kv_policies().make("gate:sinks=0,recent=0,file=" + GateFile().write());
  EXPECT_EQ((*fewer)->plan({.positions = positions, .marks = marks}, 3).fate,
            (std::vector<Fate>{D, D, K, D, K, D, K}));
}

TEST(Gate, SaysWhatIsWrongWithItsFile) {
  const auto refused = [](const std::string& spec, const char* words) {
    const Status status = kv_policies().make(spec).status();
    EXPECT_NE(status.message().find(words), std::string::npos) << status.text();
  };
  refused("gate", "'varve learn --recipe gate' writes");
  EXPECT_EQ(kv_policies().make("gate:file=/nowhere").code(), Code::not_found);
  refused("gate:file=" + GateFile{.kind = "lora"}.write(), "holds no gate");
  refused("gate:file=" + GateFile{.near = 0}.write(), "newest tokens");
  refused("gate:file=" + GateFile{.scale = INFINITY}.write(), "no number");
  refused("gate:file=" + GateFile{.layers = 0}.write(), "a weight and a bias");
  // Eight heads: its last tensor fills whole lines, and nothing but values can be cut off.
  const std::string whole = GateFile{.heads = 8}.write(), cut = whole + ".cut";
  std::ifstream in(whole, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(in), {}};
  for (size_t size = 0; size < bytes.size(); size += 7) {
    std::ofstream(cut, std::ios::binary | std::ios::trunc) << bytes.substr(0, size);
    EXPECT_FALSE(kv_policies().make("gate:file=" + cut).ok()) << size;
  }
}

TEST(Gate, IsForTheModelThatItWasTrainedFor) {
  Hash256 model, other;
  model.bytes[3] = 7;
  const GateFile file{.layers = 2, .heads = 2, .width = 8, .model = model};
  const auto recipe = parse_kv_recipe("policy=gate:file=" + file.write() + " budget_tokens=64");
  ASSERT_TRUE(recipe.ok());
  Ledger ledger(1 << 20);
  EXPECT_TRUE(make_kv_pool(ledger, kShape, *recipe, &model).ok());
  EXPECT_TRUE(make_kv_pool(ledger, kShape, *recipe).ok()) << "nobody says which model it is";
  const Status wrong = make_kv_pool(ledger, kShape, *recipe, &other).status();
  EXPECT_NE(wrong.message().find("another model"), std::string::npos) << wrong.text();
  const KvShape deeper{.layers = 3, .kv_heads = 2, .key_dim = 32, .value_dim = 32};
  const Status shape = make_kv_pool(ledger, deeper, *recipe, &model).status();
  EXPECT_NE(shape.message().find("2 layers of 2 KV heads; this one has 3 of 2"), std::string::npos)
      << shape.text();
  EXPECT_EQ(parse_kv_recipe("policy=gate:file=" + file.write()).code(), Code::invalid) << "no budget";
}

// Rows of which the gate sees one number: the mark of the token at a position.
struct Marked {
  explicit Marked(int32_t budget, int32_t width = 1)
      : desk("policy=gate:recent=8,file=" + GateFile{.layers = 2, .width = width}.write() +
             " budget_tokens=" + std::to_string(budget)) {}
  static float told(int32_t position) { return float(position * 37 % 101); }
  Status grow(KvCache& kv, int32_t count, int32_t width = 1) {
    TRY(kv.reserve(count));
    std::vector<int32_t> positions;
    std::vector<float> hidden;
    for (int32_t i = 0; i < count; ++i) {
      positions.push_back(kv.tokens() + i);
      for (int32_t j = 0; j < width; ++j) hidden.push_back(told(positions.back()));
    }
    for (int32_t layer = 0; layer < kShape.layers; ++layer) {
      const int64_t mark = desk.scratch.mark();
      const Rows rows = desk.scratch.take(count, kWidth), h = desk.scratch.take(count, width);
      desk.ops.fill(rows, 1), desk.ops.load(hidden, h);
      kv.notes().hidden = h;
      TRY(kv.append(desk.ops, layer, rows, rows, positions));
      desk.scratch.release(mark);
    }
    return {};
  }
  Desk desk;
};

// What a lane holds: the sink, the newest 8, and of the rest the tokens that were told most, or least: the
// sign of a head's one weight says which.
class Simulated {
 public:
  Simulated(int32_t budget, float sign) : budget_(size_t(budget)), sign_(sign) {}
  void grow(int32_t count) {
    while (count-- > 0) held_.push_back(next_++);
  }
  void fit() {
    std::vector<int32_t> rest(held_.begin() + 1, held_.end() - 8);
    std::sort(rest.begin(), rest.end(), [&](int32_t a, int32_t b) {
      return std::pair(sign_ * Marked::told(a), a) > std::pair(sign_ * Marked::told(b), b);
    });
    rest.resize(budget_ - 9);
    rest.push_back(0);
    rest.insert(rest.end(), held_.end() - 8, held_.end());
    std::sort(rest.begin(), rest.end());
    held_ = rest;
  }
  const std::vector<int32_t>& held() const { return held_; }

 private:
  size_t budget_;
  float sign_;
  int32_t next_ = 0;
  std::vector<int32_t> held_;
};

void expect_kept(KvCache& kv, const Simulated& most, const Simulated& least) {
  for (int32_t layer = 0; layer < kShape.layers; ++layer) {
    for (const auto& lane : kv.lanes(layer)) {
      std::vector<int32_t> kept;
      for (const KvPageView& page : lane)
        kept.insert(kept.end(), page.positions.begin(), page.positions.end());
      EXPECT_TRUE(kept == most.held() || kept == least.held()) << "layer " << layer;
    }
  }
}

TEST(Gate, MarksStayWithTheirTokensThroughDropsAndForks) {
  Marked one(48);
  auto kv = one.desk.cache();
  ASSERT_TRUE(one.grow(*kv, 40).ok());
  auto fork = one.desk.cache(kv->snapshot(40).value());  // pages with marks, which it did not compute
  for (auto* cache : {kv.get(), fork.get()}) {
    Simulated most(48, 1), least(48, -1);
    most.grow(64), least.grow(64);
    ASSERT_TRUE(one.grow(*cache, 24).ok());
    for (int round = 0; round < 4; ++round) {
      ASSERT_TRUE(cache->fit().ok());
      most.fit(), least.fit();
      expect_kept(*cache, most, least);
      ASSERT_TRUE(one.grow(*cache, 64).ok());
      most.grow(64), least.grow(64);
    }
    EXPECT_LE(cache->bytes(), kv_bytes_for(kShape, one.desk.recipe, 1000));
  }
}

TEST(Gate, RefusesHiddenStatesOfAnotherWidth) {
  Marked one(48, 4);
  auto kv = one.desk.cache();
  EXPECT_EQ(one.grow(*kv, 10, 3).code(), Code::invalid);
}

TEST(Gate, SavedStateIsNotItsOwn) {
  const Marked one(48);
  EXPECT_FALSE(codec_named(one.desk.kv_pool->methods.saved_as).ok()) << "files hold no marks";
}

}  // namespace
}  // namespace varve
