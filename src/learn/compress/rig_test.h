// A small model of random weights, a text, and what becomes of it.
#pragma once

#include <gtest/gtest.h>

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
