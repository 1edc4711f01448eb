// Expanded blocks of every ISA beside the oracle's, of any bytes.
#include "math/kernel/side.h"

#include "math/kernel/rig_test.h"

namespace varve {
namespace {

class ExpandPerIsa : public PerIsa {};

struct Shape {
  const char* name;
  size_t values, bytes;
};
constexpr Shape kOf[size_t(Expanding::count)] = {{"sets2", 256, 74},
                                                 {"sets3", 256, 106},
                                                 {"sets4", 256, 138},
                                                 {"s4_0", 64, sizeof(BlockS4)},
                                                 {"slim2", 256, sizeof(BlockSlim2)},
                                                 {"dgq4", 256, sizeof(BlockDgq4)},
                                                 {"q1_0", 128, sizeof(BlockQ1)}};

std::vector<float> numbers(const std::vector<BlockExpanded>& blocks) {
  std::vector<float> all;
  for (const BlockExpanded& block : blocks) {
    all.insert(all.end(), block.q, block.q + 256);
    all.insert(all.end(), block.scale, block.scale + 8);
    all.insert(all.end(), block.min, block.min + 8);
  }
  return all;
}

TEST_P(ExpandPerIsa, AnyBytesBecomeTheBlocksOfTheOracle) {
  LevelTable levels{.step = 0.0123f, .offset = 128};
  for (auto& set : levels.levels) {
    for (uint8_t& level : set) level = uint8_t(random_());
  }
  for (size_t how = 0; how < size_t(Expanding::count); ++how) {
    const Shape& shape = kOf[how];
    for (size_t blocks = 1; blocks < 30; ++blocks) {
      const size_t values = blocks * shape.values;
      // At an odd address, and nothing is read before the first byte or beyond the last: sanitizers tell.
      const auto from = bytes(blocks * shape.bytes + 1);
      const BlockExpanded dirt = {{1, 2, 3}, {4}, {5}};
      std::vector<BlockExpanded> got((values + kPanel - 1) / kPanel, dirt), expected = got;
      side_kernels(GetParam()).expand[how](from.data() + 1, values, &levels, got.data());
      side_kernels("generic").expand[how](from.data() + 1, values, &levels, expected.data());
      EXPECT_TRUE(same_bits(numbers(got), numbers(expected))) << shape.name << " " << blocks;
      for (size_t i = values; i < got.size() * kPanel; ++i) {
        const BlockExpanded& last = got.back();
        EXPECT_TRUE(last.q[i % kPanel] == 0 && last.scale[i % kPanel / 32] == 0 &&
                    last.min[i % kPanel / 32] == 0);
      }
    }
  }
}

// Blocks that mean ordinary numbers, and what they mean.
struct Ordinary {
  std::vector<BlockExpanded> blocks;
  std::vector<float> values;
};
Ordinary ordinary(size_t n, std::mt19937& random) {
  Ordinary made{std::vector<BlockExpanded>(n), std::vector<float>(n * kPanel)};
  for (BlockExpanded& block : made.blocks) {
    for (uint8_t& q : block.q) q = uint8_t(random());
    for (float& scale : block.scale) scale = float(int(random() % 200) - 100) / 4096;
    for (float& min : block.min) min = float(int(random() % 200) - 100) / 64;
  }
  for (size_t i = 0; i < made.values.size(); ++i) {
    const BlockExpanded& block = made.blocks[i / kPanel];
    made.values[i] = block.scale[i % kPanel / 32] * float(block.q[i % kPanel]) - block.min[i % kPanel / 32];
  }
  return made;
}

TEST_P(ExpandPerIsa, BlocksAreDecodedAndMultipliedInAnyCompany) {
  const SideKernels& side = side_kernels(GetParam());
  const size_t w_rows = 37, x_rows = 19, blocks = 3, n = blocks * kPanel;
  const Ordinary w = ordinary(w_rows * blocks, random_);
  std::vector<float> decoded(w.values.size());
  side.decode_expanded(w.blocks.data(), decoded.size(), decoded.data());
  EXPECT_TRUE(same_bits(decoded, w.values));

  const auto x = normal(x_rows * n);
  std::vector<InputPanel> panels, known;
  for (size_t j = 0; j < x_rows; ++j) {
    const auto one = quantized({&x[j * n], &x[j * n] + n});
    panels.insert(panels.end(), one.begin(), one.end());
    known.resize(panels.size());
    oracle_.quantize(&x[j * n], n, &known[j * blocks]);
  }
  std::vector<double> expected(w_rows * x_rows), size = expected;
  for (size_t at = 0; at < expected.size(); ++at) {
    for (size_t k = 0; k < n; ++k) {
      const InputPanel& panel = known[at % x_rows * blocks + k / kPanel];
      const double term =
          double(w.values[at / x_rows * n + k]) * double(panel.scale[k % kPanel / 16]) * panel.q[k % kPanel];
      expected[at] += term, size[at] += std::abs(term);
    }
  }
  const WeightRows rows{w.blocks.data(), blocks * sizeof(BlockExpanded), w_rows, n};
  std::vector<Lanes> whole(w_rows * x_rows), alone = whole;
  side.stream_expanded(rows, panels.data(), blocks, x_rows, whole.data());
  for (size_t j = 0; j < x_rows; ++j) {
    std::vector<Lanes> one(w_rows);
    side.stream_expanded(rows, &panels[j * blocks], blocks, 1, one.data());
    for (size_t i = 0; i < w_rows; ++i) alone[i * x_rows + j] = one[i];
  }
  EXPECT_TRUE(same_bits(whole, alone));
  std::vector<float> got(whole.size());
  table_->finish(whole.data(), whole.size(), got.data());
  for (size_t at = 0; at < got.size(); ++at) EXPECT_NEAR(double(got[at]), expected[at], 1e-5 * size[at]);

  if (side.multiply_expanded == nullptr) return;
  const double bound = std::string(table_->isa) == "amx" ? 1e-2 : 1e-5;  // there inputs are bf16
  std::vector<WideInputs> packed(2 * blocks);
  for (size_t i = 0; i < 2; ++i)
    table_->pack_wide(&x[16 * i * n], n, i == 0 ? 16 : x_rows - 16, n, &packed[i], 2);
  std::vector<float> y(x_rows * w_rows);
  for (size_t i = 0; i < w_rows; i += kWideWeights) {
    const WeightRows some{&w.blocks[i * blocks], rows.row_bytes, std::min(kWideWeights, w_rows - i), n};
    side.multiply_expanded(some, packed.data(), x_rows, &y[i], w_rows, false);
  }
  for (size_t at = 0; at < y.size(); ++at) {
    const size_t from = at % w_rows * x_rows + at / w_rows;
    EXPECT_NEAR(double(y[at]), expected[from], bound * size[from]);
  }
}

INSTANTIATE_TEST_SUITE_P(Kernels, ExpandPerIsa, testing::ValuesIn(kIsaNames),
                         [](const auto& one) { return std::string(one.param); });

}  // namespace
}  // namespace varve
