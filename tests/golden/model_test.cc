// Logits of the shared tiny models, made by another engine; one batch, chunks and single tokens alike.
#include <cmath>
#include <cstring>
#include <fstream>

#include "tests/support/run_model.h"
#include "tests/support/shared.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

std::vector<float> read_floats(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<float> values(std::filesystem::file_size(path) / 4);
  file.read(reinterpret_cast<char*>(values.data()), std::streamsize(values.size() * 4));
  return values;
}

struct Golden {
  const char* name;
  double most;  // NMSE; the reference reads GELU from a half-precision table
};
std::ostream& operator<<(std::ostream& out, const Golden& golden) {
  return out << golden.name;
}

class Family : public ::testing::TestWithParam<Golden> {};

TEST_P(Family, LogitsAgreeWithTheReferenceAndWithThemselves) {
  const std::string stem = std::string("golden/models/") + GetParam().name;
  NEED_SHARED(stem + ".gguf");
  ModelRun run(shared_path(stem + ".gguf"));
  const Tokens tokens = golden_tokens(64, run.vocabulary());
  const Logits whole = run.logits(tokens);
  const double error = nmse(whole, read_floats(shared_path(stem + ".f32")));
  RecordProperty("nmse", std::to_string(std::log10(error)));
  std::printf("             NMSE %.2e\n", error);
  EXPECT_LT(error, GetParam().most);
  for (int32_t chunk : {1, 7, 33}) EXPECT_EQ(run.logits(tokens, chunk), whole) << "in chunks of " << chunk;
}

TEST_P(Family, ABatchComputesWhatEachSequenceComputesAlone) {
  const std::string path = std::string("golden/models/") + GetParam().name + ".gguf";
  NEED_SHARED(path);
  ModelRun run(shared_path(path), 2);
  std::vector<Tokens> sequences;
  for (int32_t i = 0; i < 4; ++i) {
    sequences.push_back(golden_tokens(5 + 13 * i, run.vocabulary(), uint32_t(99 + i)));
  }
  const auto together = run.logits(sequences, 9);
  for (size_t i = 0; i < sequences.size(); ++i) {
    EXPECT_EQ(together[i], run.logits(sequences[i])) << "sequence " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Golden, Family,
                         ::testing::Values(Golden{"llama-dense", 1e-9}, Golden{"mistral3-dense", 1e-9},
                                           Golden{"qwen2-dense", 1e-9}, Golden{"qwen3-dense", 1e-9},
                                           Golden{"gemma2-dense", 1e-5}, Golden{"gemma3-dense", 1e-5},
                                           Golden{"phi3-dense", 1e-9}, Golden{"olmo2-dense", 1e-9},
                                           Golden{"gpt2-dense", 1e-5}, Golden{"llama-moe", 1e-9},
                                           Golden{"qwen3moe-moe", 1e-9}));

// The same model with every tensor dequantised to f32.
void write_dequantised(const std::string& from, const std::string& to) {
  auto mapping = posix_env().map(from);
  ASSERT_TRUE(mapping.ok());
  auto gguf = Gguf::parse((*mapping)->bytes());
  ASSERT_TRUE(gguf.ok());
  GgufWriter writer;
  for (const auto& [key, value] : gguf->metadata()) writer.set(key, value);
  std::vector<std::vector<float>> held;
  for (const GgufTensor& tensor : gguf->tensors()) {
    auto codec = codec_of_gguf(tensor.type);
    ASSERT_TRUE(codec.ok());
    held.emplace_back(static_cast<size_t>(tensor.elements()));
    (*codec)->decode((*mapping)->bytes().subspan(size_t(tensor.offset), size_t(tensor.bytes)), held.back());
  }
  for (size_t i = 0; i < held.size(); ++i) {
    const GgufTensor& tensor = gguf->tensors()[i];
    writer.add(tensor.name, 0, tensor.shape, std::as_bytes(std::span(held[i])));
  }
  const Status written = writer.write(posix_env(), to);
  ASSERT_TRUE(written.ok()) << written.text();
}

class Quantised : public ::testing::TestWithParam<const char*> {};

TEST_P(Quantised, LogitsAreThoseOfTheDequantisedModel) {
  const std::string stem = std::string("golden/quant/llama-") + GetParam();
  NEED_SHARED(stem + ".gguf");
  ModelRun run(shared_path(stem + ".gguf"));
  const Tokens tokens = golden_tokens(64, run.vocabulary());
  const Logits ours = run.logits(tokens);
  TempFolder folder;
  write_dequantised(shared_path(stem + ".gguf"), folder / "f32.gguf");
  const double own = nmse(ours, ModelRun(folder / "f32.gguf").logits(tokens));
  const double theirs = nmse(ours, read_floats(shared_path(stem + ".f32")));
  std::printf("             NMSE %.2e against f32, %.2e against the other engine\n", own, theirs);
  EXPECT_LT(own, 1e-7);
  EXPECT_LT(theirs, 2e-2);  // it quantises activations too
}

INSTANTIATE_TEST_SUITE_P(Golden, Quantised,
                         ::testing::Values("BF16", "F16", "IQ4_NL", "IQ4_XS", "Q2_K", "Q3_K_S", "Q4_0",
                                           "Q4_1", "Q4_K_S", "Q5_0", "Q5_1", "Q5_K_S", "Q6_K", "Q8_0",
                                           "TQ1_0", "TQ2_0"));

}  // namespace
}  // namespace varve
