// What every chooser keeps to.
#include <gtest/gtest.h>

#include <algorithm>

#include "run/model/choose/chooser.h"

namespace varve {
namespace {

TEST(NeuronChooserContract, NamesAnswerSeenOrNotInOrderAndWithinTheLayer) {
  constexpr int32_t kNeurons = 64, kWidth = 32;
  ASSERT_FALSE(neuron_choosers().entries().empty());
  for (const auto& entry : neuron_choosers().entries()) {
    Ledger ledger(int64_t(16) << 20);
    ThreadPool pool(2);
    Ops ops(pool);
    Scratch scratch = Scratch::make(ledger, 1 << 20).value();
    const auto chooser = neuron_choosers().make(entry.name).value();
    EXPECT_FALSE(entry.summary.empty());
    const auto choice = chooser->begin({2, kNeurons}, ledger).value();
    std::vector<float> gate(size_t(kNeurons) * kWidth), errors(size_t(kNeurons), .1f);
    for (size_t i = 0; i < gate.size(); ++i) gate[i] = float(i * 7919 % 1013) / 500 - 1;
    const Matrix matrix{*codec_named("f32"), std::as_bytes(std::span(gate)), kNeurons, kWidth};
    std::vector<float> values(size_t(kNeurons) * 20, 0.f);
    for (size_t i = 0; i < values.size(); i += 3) values[i] = 1;
    Rows seen = scratch.take(20, kNeurons), x = scratch.take(1, kWidth);
    ops.load(values, seen);
    ops.load(std::span(gate).first(kWidth), x);
    const int64_t before = scratch.mark();
    choice->see(ops, 1, seen);
    const auto chosen = choice->choose({ops, scratch, 1, x, Neurons::Sketch{matrix, errors}, {}});
    EXPECT_EQ(scratch.mark(), before) << entry.name;
    ASSERT_FALSE(chosen.empty()) << entry.name;
    EXPECT_TRUE(std::is_sorted(chosen.begin(), chosen.end()));
    EXPECT_EQ(std::adjacent_find(chosen.begin(), chosen.end()), chosen.end());
    EXPECT_TRUE(chosen.front() >= 0 && chosen.back() < kNeurons);
    EXPECT_LT(chosen.size(), size_t(kNeurons)) << entry.name << " leaves some out";
  }
}

}  // namespace
}  // namespace varve
