// Which neurons CoreInfer settles on, of made values.
#include <gtest/gtest.h>

#include <cmath>

#include "run/model/choose/chooser.h"

namespace varve {
namespace {

class CoreInferTest : public ::testing::Test {
 protected:
  std::unique_ptr<NeuronChoice> begin(const char* spec, NeuronShape shape) {
    return neuron_choosers().make(spec).value()->begin(shape, ledger_).value();
  }
  void see(NeuronChoice& choice, int32_t layer, int32_t width, const std::vector<float>& values) {
    scratch_.release(0);
    Rows rows = scratch_.take(int32_t(values.size()) / width, width);
    ops_.load(values, rows);
    choice.see(ops_, layer, rows);
  }
  std::vector<int32_t> choose(NeuronChoice& choice, int32_t layer) {
    return choice.choose({ops_, scratch_, layer, {}, std::nullopt, {}});
  }

  Ledger ledger_{int64_t(16) << 20};
  ThreadPool pool_{2};
  Ops ops_{pool_};
  Scratch scratch_ = Scratch::make(ledger_, 1 << 20).value();
};

TEST_F(CoreInferTest, TakesThoseThatAreCoreOfMostTokensWhateverTheirSize) {
  const auto choice = begin("coreinfer:share=.34,token=.5,least=3", {1, 6});
  // 1 is core of every token, 4 of two; 0 is larger than all, once. Two of four that fire are core.
  see(*choice, 0, 6, {90, 8, 0, 1, 2, 0, 0, -8, 0, 1, 7, 2});
  EXPECT_TRUE(choose(*choice, 0).empty()) << "two tokens are too few";
  see(*choice, 0, 6, {0, 5, 1, 0, 6, 0});
  EXPECT_EQ(choose(*choice, 0), (std::vector<int32_t>{0, 1, 4}));
}

TEST_F(CoreInferTest, IsFixedFromItsFirstUseOnAndEachLayerHasItsOwn) {
  const auto choice = begin("coreinfer:share=.5,token=1,least=1", {2, 4});
  see(*choice, 0, 4, {1, 2, 0, 0});
  see(*choice, 1, 4, {0, 0, 3, -4});
  EXPECT_TRUE(choice->known(0).empty());
  EXPECT_EQ(choose(*choice, 0), (std::vector<int32_t>{0, 1}));
  for (int i = 0; i < 5; ++i) see(*choice, 0, 4, {0, 0, 9, 9});
  EXPECT_EQ(choose(*choice, 0), (std::vector<int32_t>{0, 1}));
  EXPECT_EQ(choice->known(0).size(), 2u);
  EXPECT_EQ(choose(*choice, 1), (std::vector<int32_t>{2, 3}));
}

TEST_F(CoreInferTest, DoesNotDependOnHowAPromptWasCut) {
  constexpr int32_t kWidth = 50, kRows = 61;
  std::vector<float> values;
  for (int32_t i = 0; i < kWidth * kRows; ++i) values.push_back(float(i * 7919 % 1013) / 500 - 1);
  const auto whole = begin("coreinfer:share=.3", {1, kWidth}), cut = begin("coreinfer:share=.3", {1, kWidth});
  see(*whole, 0, kWidth, values);
  for (int32_t row = 0; row < kRows; row += 9) {
    const auto from = values.begin() + row * kWidth;
    see(*cut, 0, kWidth, {from, row + 9 < kRows ? from + 9 * kWidth : values.end()});
  }
  EXPECT_EQ(choose(*whole, 0).size(), 15u);
  EXPECT_EQ(choose(*whole, 0), choose(*cut, 0));
}

TEST_F(CoreInferTest, ValuesThatAreNoNumbersBreakNothingAndOptionsAreChecked) {
  const auto choice = begin("coreinfer:least=1", {1, 4});
  see(*choice, 0, 4, {std::nanf(""), INFINITY, 1, 0});
  EXPECT_EQ(choose(*choice, 0).size(), 2u);
  for (const char* wrong : {"coreinfer:share=0", "coreinfer:share=2", "coreinfer:least=0", "coreinfer:half=1",
                            "sketch:margin=1000"})
    EXPECT_EQ(neuron_choosers().make(wrong).code(), Code::invalid) << wrong;
  EXPECT_EQ(neuron_use("").value(), NeuronUse::firing);
  EXPECT_EQ(neuron_use("coreinfer").value(), NeuronUse::chosen);
  EXPECT_EQ(neuron_use("sketch").value(), NeuronUse::foreseen);
}

}  // namespace
}  // namespace varve
