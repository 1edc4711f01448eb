// What every family owes: metadata that is absent, of another kind or out of range is an error that names its
// key, and nothing in a file can crash the reading of it.
#include <gtest/gtest.h>

#include "run/model/arch/family.h"
#include "tests/support/memory_env.h"

namespace varve {
namespace {

Gguf head(const std::map<std::string, GgufValue>& metadata) {
  MemoryEnv env;
  const std::vector<float> values(64 * 32);
  GgufWriter writer;
  for (const auto& [key, value] : metadata) writer.set(key, value);
  writer.add("token_embd.weight", 0, {64, 32}, std::as_bytes(std::span(values)));
  const Status written = writer.write(env, "head");
  CHECK(written.ok(), written.text().c_str());
  auto gguf = Gguf::parse(env.bytes("head"));
  CHECK(gguf.ok(), "the head is read");
  return std::move(gguf).value();
}

GgufValue count(int64_t value) {
  return {GgufType::u32, false, value};
}
GgufValue real(double value) {
  return {GgufType::f32, false, double(float(value))};
}
GgufValue text(std::string value) {
  return {GgufType::string, false, std::move(value)};
}

std::map<std::string, GgufValue> good(std::string_view family) {
  const std::string name(family), at = name + ".";
  return {{"general.architecture", text(name)},
          {at + "context_length", count(256)},
          {at + "embedding_length", count(64)},
          {at + "block_count", count(3)},
          {at + "feed_forward_length", count(96)},
          {at + "attention.head_count", count(4)},
          {at + "attention.head_count_kv", count(2)},
          {at + "attention.layer_norm_rms_epsilon", real(1e-5)},
          {at + "attention.layer_norm_epsilon", real(1e-5)},
          {at + "attention.sliding_window", count(16)},
          {at + "rope.freq_base", real(10000)},
          {at + "rope.dimension_count", count(16)},
          {at + "expert_count", count(4)},
          {at + "expert_used_count", count(2)}};
}

class EveryFamily : public ::testing::TestWithParam<Family> {};

TEST_P(EveryFamily, ReadsAWholeHead) {
  auto spec = read_decoder_spec(head(good(GetParam().name)));
  ASSERT_TRUE(spec.ok()) << std::move(spec).status().text();
  EXPECT_EQ(spec->family, GetParam().name);
  EXPECT_EQ(spec->layers.size(), 3u);
  EXPECT_EQ(spec->width, 64);
  EXPECT_EQ(spec->vocabulary, 32);
  EXPECT_GT(spec->attention_scale, 0);
}

TEST_P(EveryFamily, ACountOutOfRangeIsNamed) {
  for (const char* key : {"block_count", "embedding_length", "attention.head_count"}) {
    for (int64_t value : {int64_t(0), int64_t(1) << 31}) {
      auto metadata = good(GetParam().name);
      const std::string full = std::string(GetParam().name) + "." + key;
      metadata[full] = count(value);
      auto spec = read_decoder_spec(head(metadata));
      EXPECT_EQ(spec.code(), Code::invalid) << full << " = " << value;
      EXPECT_NE(std::move(spec).status().text().find(key), std::string::npos) << full;
    }
  }
}

bool refused_well(const std::map<std::string, GgufValue>& metadata) {
  auto spec = read_decoder_spec(head(metadata));
  return spec.ok() || spec.code() == Code::invalid;
}

TEST_P(EveryFamily, AnyOneKeyMayBeAbsentOrOfAnotherKind) {
  const auto whole = good(GetParam().name);
  for (const auto& [key, kept] : whole) {
    if (key == "general.architecture") continue;
    auto metadata = whole;
    metadata.erase(key);
    EXPECT_TRUE(refused_well(metadata)) << key;
    metadata[key] = text("many");
    EXPECT_TRUE(refused_well(metadata)) << key;
    metadata[key] = real(-1e30);
    EXPECT_TRUE(refused_well(metadata)) << key;
  }
}

INSTANTIATE_TEST_SUITE_P(Families, EveryFamily, ::testing::ValuesIn(families().begin(), families().end()),
                         [](const auto& one) { return std::string(one.param.name); });

TEST(Families, AnUnknownOneIsToldTheKnownOnes) {
  auto spec = read_decoder_spec(head({{"general.architecture", text("perceptron")}}));
  EXPECT_EQ(spec.code(), Code::unsupported);
  const std::string said = std::move(spec).status().text();
  EXPECT_NE(said.find("'perceptron'"), std::string::npos) << said;
  for (const char* known : {"llama", "qwen3moe", "gpt2"})
    EXPECT_NE(said.find(known), std::string::npos) << said;
}

TEST(Families, AFileWithoutArchitectureIsInvalid) {
  EXPECT_EQ(read_decoder_spec(head({})).code(), Code::invalid);
}

TEST(Families, WindowLayersFollowTheFilesOwnPattern) {
  auto metadata = good("gemma3");
  auto layers = read_decoder_spec(head(metadata))->layers;
  EXPECT_EQ(layers[2].window, 16);  // five of six
  metadata["gemma3.attention.sliding_window_pattern"] =
      GgufValue{GgufType::boolean, true, GgufValue::Ints{0, 1, 0}};
  layers = read_decoder_spec(head(metadata))->layers;
  EXPECT_EQ(layers[0].window, 0);
  EXPECT_EQ(layers[1].window, 16);
  EXPECT_TRUE(layers[1].local);
  EXPECT_FALSE(layers[2].local);
  metadata["gemma3.attention.sliding_window_pattern"] =
      GgufValue{GgufType::boolean, true, GgufValue::Ints{1}};
  EXPECT_EQ(read_decoder_spec(head(metadata)).code(), Code::invalid);
}

}  // namespace
}  // namespace varve
