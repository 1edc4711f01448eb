// A small model of random weights, a text, and what becomes of it.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <fstream>

#include "learn/compress/answers.h"
#include "learn/compress/compress.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tiny_model.h"

namespace varve {

struct CompressRig {
  TempFolder folder{TempFolder::in_ram()};
  ThreadPool threads{1};
  Ops ops{threads};
  Ledger ledger{int64_t(256) << 20};
  std::string base = folder / "base.gguf", text = folder / "text.txt";

  CompressRig() {
    EXPECT_TRUE(write_tiny_model(posix_env(), base, {.layers = 1, .vocabulary = 264}).ok());
    std::ofstream out(text);
    for (int i = 0; i < 20; ++i)
      out << "The " << i << "th time she said that the tea was too hot, he answered: wait.\n";
  }
  Result<CompressReport> run(const std::string& recipe, const std::string& out, Env& env = posix_env(),
                             bool calibrate = true, int64_t budget = 0) {
    Ledger other(budget > 0 ? budget : int64_t(256) << 20);
    return compress_model(
        env, {.model = base, .out = out, .calibrate = calibrate ? text : "", .tokens = 300, .length = 64},
        TRY(parse_compress_recipe(recipe)), threads, other, [](std::string_view, int64_t, int64_t) {});
  }
  void wide(int32_t layers = 1) {  // rows are whole blocks of every format
    EXPECT_TRUE(write_tiny_model(posix_env(), base,
                                 {.layers = layers, .width = 256, .hidden = 256, .vocabulary = 264})
                    .ok());
  }
  // The same with experts instead of feed-forward networks: stacks of four, of which a row passes two.
  void experts(std::vector<float> router_bias = {}) {
    const auto mapping = posix_env().map(base).value();
    const Gguf gguf = Gguf::parse(mapping->bytes()).value();
    GgufWriter writer;
    for (const auto& [key, value] : gguf.metadata()) writer.set(key, value);
    writer.set("llama.expert_count", uint32_t(4)).set("llama.expert_used_count", uint32_t(2));
    std::deque<std::vector<std::byte>> stacks;
    for (const GgufTensor& tensor : gguf.tensors()) {
      const auto bytes = mapping->bytes().subspan(size_t(tensor.offset), size_t(tensor.bytes));
      if (tensor.name.find("ffn_norm") != std::string::npos ||
          tensor.name.find("ffn_") == std::string::npos) {
        writer.add(tensor.name, tensor.type, tensor.shape, bytes);
        continue;
      }
      auto& stack = stacks.emplace_back();
      for (size_t i = 0; i < 4; ++i) stack.insert(stack.end(), bytes.begin(), bytes.end());
      auto* values = reinterpret_cast<float*>(stack.data());
      for (size_t i = 0; i < stack.size() / 4; ++i)  // different, and some columns larger
        values[i] *= 1 + 0.3f * float(i * 4 / (stack.size() / 4)) * float(i % 7 == 0);
      std::string name = tensor.name;
      name.insert(name.rfind('.'), "_exps");
      writer.add(name, tensor.type, {tensor.shape[0], tensor.shape[1], 4}, stack);
      if (tensor.name.find("ffn_up") != std::string::npos)
        writer.add("blk.0.ffn_gate_inp.weight", tensor.type, {tensor.shape[0], 4},
                   bytes.first(size_t(tensor.shape[0]) * 16));
    }
    if (!router_bias.empty())
      writer.add("blk.0.exp_probs_b.bias", 0, {4}, std::as_bytes(std::span<const float>(router_bias)));
    EXPECT_TRUE(writer.write(posix_env(), folder / "experts.gguf").ok());
    base = folder / "experts.gguf";
  }
  // The same with every so many-th value of a layer's matrices so much larger.
  void scale_every(size_t step, float by) {
    const auto mapping = posix_env().map(base).value();
    const Gguf gguf = Gguf::parse(mapping->bytes()).value();
    GgufWriter writer;
    for (const auto& [key, value] : gguf.metadata()) writer.set(key, value);
    std::deque<std::vector<std::byte>> changed;
    for (const GgufTensor& tensor : gguf.tensors()) {
      const auto bytes = mapping->bytes().subspan(size_t(tensor.offset), size_t(tensor.bytes));
      auto& own = changed.emplace_back(bytes.begin(), bytes.end());
      auto* values = reinterpret_cast<float*>(own.data());
      const bool matrix = tensor.name.starts_with("blk.") && tensor.shape.size() == 2;
      for (size_t i = 0; matrix && i < own.size() / 4; i += step) values[i] *= by;
      writer.add(tensor.name, tensor.type, tensor.shape, own);
    }
    EXPECT_TRUE(writer.write(posix_env(), folder / "scaled.gguf").ok());
    base = folder / "scaled.gguf";
  }
  std::shared_ptr<const Model> open(const std::string& path) {
    auto model = open_model(posix_env(), path, ledger);
    EXPECT_TRUE(model.ok()) << std::string(std::move(model).status().message());
    return std::move(model).value();
  }
  std::string bytes(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  // How far a file's answers are from the base's.
  double divergence(const std::string& path) {
    const auto model = open(base), other = open(path);
    const auto texts = read_calibration(posix_env(), text, *model, 200, 48, ledger).value().texts;
    const auto answers = std::move(Answers::make(*model, texts, ops, ledger)).value();
    return answers.compare(*other, nullptr, ops, ledger).value().kl;
  }
};

}  // namespace varve
