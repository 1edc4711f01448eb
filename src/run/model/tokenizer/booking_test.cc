// What a tokenizer books, against what the heap says it takes.
#include <gtest/gtest.h>
#include <malloc.h>

#include "core/io/env.h"
#include "run/model/tokenizer.h"
#include "tests/support/shared.h"

namespace varve {
namespace {

// Bytes in use, both in the heap and in blocks mapped for themselves.
int64_t heap_bytes() {
  const struct mallinfo2 info = mallinfo2();
  return int64_t(info.uordblks + info.hblkhd);
}

class Booking : public testing::TestWithParam<const char*> {};

TEST_P(Booking, IsWhatTheHeapGrowsBy) {
  const std::string path = std::string("golden/tokenizers/ggml-vocab-") + GetParam() + ".gguf";
  NEED_SHARED(path);
  const auto mapping = posix_env().map(shared_path(path)).value();
  const Gguf gguf = Gguf::parse(mapping->bytes()).value();
  Ledger ledger(1 << 30);
  const int64_t before = heap_bytes();
  if (before == 0) GTEST_SKIP() << "this allocator counts nothing";
  auto tokenizer = open_tokenizer(gguf, ledger).value();
  const int64_t grown = heap_bytes() - before, booked = ledger.used(Tag::weights);
  EXPECT_NEAR(double(booked), double(grown), 0.02 * double(grown) + 8192);
  EXPECT_EQ(ledger.used(), booked);
  tokenizer.reset();
  EXPECT_EQ(ledger.used(), 0);
}

TEST_P(Booking, RefusesWhatDoesNotFit) {
  const std::string path = std::string("golden/tokenizers/ggml-vocab-") + GetParam() + ".gguf";
  NEED_SHARED(path);
  const auto mapping = posix_env().map(shared_path(path)).value();
  const Gguf gguf = Gguf::parse(mapping->bytes()).value();
  Ledger ledger(256 << 10);
  EXPECT_EQ(open_tokenizer(gguf, ledger).code(), Code::over_budget);
  EXPECT_EQ(ledger.used(), 0);
}

INSTANTIATE_TEST_SUITE_P(Tokenizers, Booking,
                         testing::Values("bert-bge", "gpt-2", "llama-bpe", "llama-spm", "phi-3", "qwen2"));

}  // namespace
}  // namespace varve
