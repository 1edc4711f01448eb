// What one engine computed, the next one finds: only where all agrees, and never after it was forgotten.
#include "run/engine/prefix_disk.h"

#include "core/io/fault_env.h"
#include "run/engine/rig_test.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

constexpr int64_t kPlenty = 64 << 20;

EngineOptions with_disk(const std::string& folder, int64_t bytes = kPlenty, Env& env = posix_env()) {
  EngineOptions options;
  options.prefixes = {.env = &env, .folder = folder, .disk_bytes = bytes};
  options.prefixes.secret.bytes.fill(5);
  return options;
}

Request kept(std::vector<Token> tokens, int32_t most = 5) {
  Request request = ask(std::move(tokens), most);
  request.lasting = true;
  return request;
}

size_t files(const std::string& folder) {
  return posix_env().list(folder).value().size();
}

class Prefixes : public testing::Test {
 protected:
  Usage say(const EngineOptions& options, const Request& request) {
    Rig rig(options);
    Usage usage;
    EXPECT_EQ(rig.say(request, &usage), expected(request));
    return usage;
  }
  TempFolder folder{TempFolder::in_ram()};
};

TEST_F(Prefixes, AreFoundByTheNextEngineAndGiveTheSameAnswer) {
  const Request request = kept(prompt_of(300, 1));
  EXPECT_EQ(say(with_disk(folder.path()), request).restored_tokens, 0);
  EXPECT_EQ(files(folder.path()), 1u);
  const Usage again = say(with_disk(folder.path()), request);
  EXPECT_EQ(again.restored_tokens, 256) << "whole pages of what was known";
  EXPECT_EQ(again.reused_tokens, 256);
  Request longer = request;
  longer.tokens.resize(280);
  for (Token token : prompt_of(100, 2)) longer.tokens.push_back(token);
  EXPECT_EQ(say(with_disk(folder.path()), longer).restored_tokens, 256);
  EXPECT_EQ(files(folder.path()), 2u) << "what both begin with is there once";
  EXPECT_EQ(say(with_disk(folder.path()), longer).restored_tokens, 320);
}

TEST_F(Prefixes, AreWrittenWhileNobodyAsks) {
  EngineOptions options = with_disk(folder.path());
  options.prefixes.quiet_ms = 1;
  Rig rig(options);
  rig.say(kept(prompt_of(300, 1)));
  while (rig.engine->stats().prefix_disk_bytes == 0) std::this_thread::yield();
  EXPECT_EQ(files(folder.path()), 1u);
  ASSERT_TRUE(rig.engine->forget_prefixes().ok());
  EXPECT_EQ(files(folder.path()), 0u);
}

TEST_F(Prefixes, OfBeforeAForgettingAreNotWrittenAfterIt) {
  Ledger ledger(kPlenty);
  auto pool = make_kv_pool(ledger, {1, 1, 4, 4}, {.pack = "f32"}).value();
  auto disk = PrefixDisk::open(with_disk(folder.path()).prefixes, pool).value();
  const KvIdentity by{.pack = "f32", .shape = pool->shape};
  auto page = pool->take(1).value();
  for (int i = 0; i < kPageTokens; ++i) {
    reinterpret_cast<int32_t*>(page[0]->at + pool->layout.positions_at())[i] = i;
  }
  const KvSnapshot kv = join({page}, kPageTokens);
  const std::vector<int32_t> tokens(kPageTokens, 3);
  const uint64_t before = disk->epoch();
  ASSERT_TRUE(disk->forget().ok());
  ASSERT_TRUE(disk->save(by, tokens, kv, before).ok());
  EXPECT_EQ(disk->longest(by, tokens), 0);
  ASSERT_TRUE(disk->save(by, tokens, kv, disk->epoch()).ok());
  EXPECT_EQ(disk->longest(by, tokens), kPageTokens);
}

TEST_F(Prefixes, StayInTheirScopeTheirHomeAndWithTheirModel) {
  Request request = kept(prompt_of(300, 1));
  request.scope = "alice";
  say(with_disk(folder.path()), request);
  Request other = request;
  other.scope = "bob";
  EXPECT_EQ(say(with_disk(folder.path()), other).reused_tokens, 0);
  EngineOptions elsewhere = with_disk(folder.path());
  elsewhere.prefixes.secret.bytes.fill(6);
  EXPECT_EQ(say(elsewhere, request).reused_tokens, 0);
  EngineOptions packed = with_disk(folder.path());
  packed.kv = "pack=bf16";
  {
    Rig rig(packed);
    Usage usage;
    rig.say(ask(prompt_of(2, 1), 1), &usage);  // bf16 keeps small whole numbers only
    EXPECT_EQ(usage.restored_tokens, 0);
  }
  EXPECT_EQ(say(with_disk(folder.path()), request).restored_tokens, 256);
}

TEST_F(Prefixes, WhatMustNotLastIsNotWritten) {
  Request request = kept(prompt_of(300, 1));
  request.lasting = false;
  say(with_disk(folder.path()), request);
  EXPECT_EQ(files(folder.path()), 0u);
}

TEST_F(Prefixes, ForgettingTakesThemFromTheDisk) {
  const Request request = kept(prompt_of(300, 1));
  say(with_disk(folder.path()), request);
  {
    Rig rig(with_disk(folder.path()));
    rig.say(request);
    ASSERT_TRUE(rig.engine->forget_prefixes().ok());
    EXPECT_EQ(files(folder.path()), 0u);
    EXPECT_EQ(rig.engine->stats().prefix_disk_bytes, 0);
  }
  EXPECT_EQ(files(folder.path()), 0u);
  say(with_disk(folder.path()), request);
  EXPECT_EQ(files(folder.path()), 1u);
  ASSERT_TRUE(forget_saved_prefixes(posix_env(), folder.path()).ok());
  EXPECT_EQ(files(folder.path()), 0u);
  EXPECT_TRUE(forget_saved_prefixes(posix_env(), folder / "absent").ok());
}

TEST_F(Prefixes, KeepToTheirBytesAndTheUsedOnesStay) {
  const auto bytes_of_one = [&] {
    TempFolder alone(TempFolder::in_ram());
    say(with_disk(alone.path()), kept(prompt_of(300, 1)));
    Rig rig(with_disk(alone.path()));
    return rig.engine->stats().prefix_disk_bytes;
  }();
  const int64_t limit = 3 * bytes_of_one + bytes_of_one / 2;
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    say(with_disk(folder.path(), limit), kept(prompt_of(300, seed)));
    say(with_disk(folder.path(), limit), kept(prompt_of(300, 1)));
    Rig rig(with_disk(folder.path(), limit));
    EXPECT_LE(rig.engine->stats().prefix_disk_bytes, limit);
  }
  EXPECT_EQ(files(folder.path()), 3u);
  EXPECT_EQ(say(with_disk(folder.path(), limit), kept(prompt_of(300, 1))).restored_tokens, 256);
  EXPECT_EQ(say(with_disk(folder.path(), limit), kept(prompt_of(300, 2))).restored_tokens, 0);
  Rig none(with_disk(folder.path(), 0));
  EXPECT_EQ(files(folder.path()), 0u);
}

TEST_F(Prefixes, DamagedOnesAreComputedAgain) {
  const Request request = kept(prompt_of(300, 1));
  for (const int64_t at : {20ll, 300ll, -100ll}) {
    say(with_disk(folder.path()), request);
    const std::string path = folder / posix_env().list(folder.path()).value().front();
    {
      auto file = posix_env().open(path, Open::write).value();
      const int64_t place = at < 0 ? file->size().value() + at : at;
      std::byte one{};
      ASSERT_TRUE(file->read(place, {&one, 1}).ok());
      one ^= std::byte(16);
      ASSERT_TRUE(file->write(place, {&one, 1}).ok());
    }
    EXPECT_EQ(say(with_disk(folder.path()), request).reused_tokens, 0) << at;
    EXPECT_EQ(say(with_disk(folder.path()), request).restored_tokens, 256) << "it was written again";
    ASSERT_TRUE(forget_saved_prefixes(posix_env(), folder.path()).ok());
  }
}

TEST_F(Prefixes, AFullDiskCostsNothingButTheReuse) {
  const Request request = kept(prompt_of(300, 1));
  for (int64_t call = 0; call < 12; ++call) {
    FaultPlan plan;
    FaultEnv env(posix_env(), plan);
    {
      Rig rig(with_disk(folder.path(), kPlenty, env));
      EXPECT_EQ(rig.say(request), expected(request));
      plan.fail_at(call, call % 2 ? Fault::short_write : Fault::no_space, true);
    }
    EXPECT_LE(say(with_disk(folder.path()), request).reused_tokens, 256);
    ASSERT_TRUE(forget_saved_prefixes(posix_env(), folder.path()).ok());
  }
}

TEST_F(Prefixes, AreLeftAloneWhenTheyDoNotFit) {
  const Request request = kept(prompt_of(300, 1), 1);
  say(with_disk(folder.path()), request);
  Rig rig(with_disk(folder.path()));
  const int64_t free = rig.ledger.limit() - rig.ledger.used();
  auto rest = rig.ledger.reserve(Tag::index, free - (40 << 10));
  ASSERT_TRUE(rest.ok());
  Heard heard;
  rig.engine->submit(kept(prompt_of(66, 1), 1), heard.listener()).status().ignore("it need not fit");
  EXPECT_LE(rig.ledger.used(), rig.ledger.limit());
}

}  // namespace
}  // namespace varve
