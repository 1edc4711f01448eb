// Every GGUF number format against floats that an independent engine made of the same bytes: equal bit by
// bit.
#include <cstring>

#include "core/format/gguf.h"
#include "math/codec/codec.h"
#include "math/kernel/kernel.h"
#include "tests/support/shared.h"

namespace varve {
namespace {

class GoldenCodec : public testing::TestWithParam<std::pair<std::string, std::string>> {};

TEST_P(GoldenCodec, DecodesBitByBit) {
  const auto& [file, codec_name] = GetParam();
  NEED_SHARED("golden/quant/llama-" + file + ".gguf");
  auto mapped = posix_env().map(shared_path("golden/quant/llama-" + file + ".gguf"));
  auto floats = posix_env().map(shared_path("golden/quant/" + file + ".attn_q.f32"));
  ASSERT_TRUE(mapped.ok() && floats.ok());
  const auto bytes = (*mapped)->bytes(), expected = (*floats)->bytes();
  auto gguf = Gguf::parse(bytes);
  ASSERT_TRUE(gguf.ok());
  const GgufTensor* tensor = gguf->tensor("blk.0.attn_q.weight");
  ASSERT_NE(tensor, nullptr);
  auto codec = codec_of_gguf(tensor->type);
  ASSERT_TRUE(codec.ok());
  EXPECT_EQ((*codec)->name(), codec_name);
  ASSERT_EQ(size_t(tensor->elements()) * 4, expected.size());
  ASSERT_EQ((*codec)->bytes_for(tensor->elements()), tensor->bytes);
  const auto from = bytes.subspan(size_t(tensor->offset), size_t(tensor->bytes));
  std::vector<float> got(size_t(tensor->elements()));
  (*codec)->decode(from, got);
  EXPECT_EQ(std::memcmp(got.data(), expected.data(), expected.size()), 0);
  for (const char* isa : kIsaNames) {
    const Kernels* table = kernels_for(isa);
    if (table == nullptr) continue;
    table->decode[size_t(*(*codec)->format())](from.data(), got.size(), got.data());
    EXPECT_EQ(std::memcmp(got.data(), expected.data(), expected.size()), 0) << isa;
  }
}

using Case = std::pair<std::string, std::string>;
INSTANTIATE_TEST_SUITE_P(All, GoldenCodec,
                         testing::Values(Case{"F16", "f16"}, Case{"BF16", "bf16"}, Case{"Q8_0", "q8_0"},
                                         Case{"Q4_0", "q4_0"}, Case{"Q4_1", "q4_1"}, Case{"Q5_0", "q5_0"},
                                         Case{"Q5_1", "q5_1"}, Case{"IQ4_NL", "iq4_nl"}, Case{"Q2_K", "q2_k"},
                                         Case{"Q3_K_S", "q3_k"}, Case{"Q4_K_S", "q4_k"},
                                         Case{"Q5_K_S", "q5_k"}, Case{"Q6_K", "q6_k"},
                                         Case{"IQ4_XS", "iq4_xs"}, Case{"TQ1_0", "tq1_0"},
                                         Case{"TQ2_0", "tq2_0"}),
                         [](const auto& one) { return one.param.first; });

}  // namespace
}  // namespace varve
