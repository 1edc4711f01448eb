// Saved KV comes back bit by bit, or is refused in one sentence: whatever is flipped, cut off, or foreign.
#include "run/kv/kv_file.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <random>

#include "core/io/fault_env.h"
#include "tests/support/memory_env.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

constexpr KvShape kShape{.layers = 2, .kv_heads = 2, .key_dim = 8, .value_dim = 4};

struct Saved {
  explicit Saved(int32_t tokens, int seed = 1, const std::string& pack = "f16") {
    auto made = make_kv_pool(ledger, kShape, {.pack = pack});
    CHECK(made.ok(), "pool");
    pool = *made;
    head.made_by = {.positions = "halves 8", .pack = pack, .shape = kShape};
    head.made_by.model.bytes.fill(7);
    head.before = kv_root(head.made_by);
    std::mt19937 random(seed);
    KvBlocks blocks;
    for (int32_t i = 0; i < tokens; ++i) head.tokens.push_back(int32_t(random() % 1000));
    for (int32_t at = 0; at < tokens; at += kPageTokens) {
      auto pages = pool->take(int64_t(kShape.layers) * kShape.kv_heads);
      CHECK(pages.ok(), "pages");
      for (const KvPagePtr& page : *pages) {
        for (int64_t i = 0; i < pool->layout.positions_at(); ++i) page->at[i] = std::byte(random());
        auto* positions = reinterpret_cast<int32_t*>(page->at + pool->layout.positions_at());
        for (int32_t i = 0; i < kPageTokens; ++i) positions[i] = at + i;
      }
      blocks.push_back(std::move(*pages));
    }
    kv = join(blocks, tokens);
  }
  std::vector<std::byte> bytes() const {
    std::vector<std::byte> all;
    const Status written = write_kv(head, kv, [&](std::span<const std::byte> some) {
      all.insert(all.end(), some.begin(), some.end());
      return Status();
    });
    CHECK(written.ok(), "write");
    return all;
  }

  Ledger ledger{64 << 20};
  std::shared_ptr<KvPool> pool;
  KvHead head;
  KvSnapshot kv;
};

std::string why(Result<KvSnapshot> refused) {
  return std::string(std::move(refused).status().message());
}

Result<KvSnapshot> load(Env& env, const std::string& path, Saved& into, int32_t tokens = -1) {
  const KvFile file = TRY(KvFile::open(TRY(env.open(path, Open::read))));
  TRY(file.made_by(into.head.made_by));
  if (file.head().first != 0) return Status(Code::invalid, "it goes on with something else");
  const int32_t count = tokens < 0 ? int32_t(file.head().tokens.size()) : tokens;
  KvBlocks blocks;
  TRY(file.load(*into.pool, count, blocks));
  return join(blocks, count);
}

// The rows in use of every lane, and their positions.
bool same(const KvSnapshot& a, const KvSnapshot& b, const KvPageLayout& layout) {
  if (a.tokens != b.tokens || a.pages.size() != b.pages.size()) return false;
  const int64_t each = kv_pages_for(a.tokens);
  for (size_t i = 0; i < a.pages.size(); ++i) {
    const int64_t rows = std::min<int64_t>(kPageTokens, a.tokens - int64_t(i) % each * kPageTokens);
    const auto equal = [&](int64_t at, int64_t bytes) {
      return std::memcmp(a.pages[i]->at + at, b.pages[i]->at + at, size_t(bytes)) == 0;
    };
    if (!equal(0, rows * layout.key_row) || !equal(layout.values_at(), rows * layout.value_row) ||
        !equal(layout.positions_at(), rows * int64_t(sizeof(int32_t)))) {
      return false;
    }
  }
  return true;
}

TEST(KvFile, ComesBackBitByBitInEveryPack) {
  for (const char* pack : {"f32", "f16", "bf16"}) {
    for (int32_t tokens : {1, 63, 64, 65, 200}) {
      Saved saved(tokens, tokens, pack);
      MemoryEnv env;
      env.bytes("kv") = saved.bytes();
      EXPECT_EQ(int64_t(env.bytes("kv").size()), kv_file_bytes(saved.head, saved.pool->layout));
      Saved other(1, 9, pack);
      const auto loaded = load(env, "kv", other);
      ASSERT_TRUE(loaded.ok()) << pack << tokens;
      EXPECT_TRUE(same(*loaded, saved.kv, saved.pool->layout)) << pack << " " << tokens;
      EXPECT_EQ(loaded->pages.front()->pool, other.pool);
    }
  }
}

TEST(KvFile, ASegmentGoesOnWhereAnotherEnds) {
  Saved saved(200);
  const auto chain = kv_chain(saved.head.before, saved.head.tokens);
  KvHead first = saved.head, rest = saved.head;
  first.tokens.resize(128);
  rest.tokens.erase(rest.tokens.begin(), rest.tokens.begin() + 128);
  rest.first = 128;
  rest.before = chain[1];
  MemoryEnv env;
  KvBlocks blocks;
  for (const auto& [name, head] : {std::pair("a", first), std::pair("b", rest)}) {
    auto& bytes = env.bytes(name);
    ASSERT_TRUE(write_kv(head, saved.kv, [&](auto some) {
                  bytes.insert(bytes.end(), some.begin(), some.end());
                  return Status();
                }).ok());
    auto file = KvFile::open(std::move(*env.open(name, Open::read)));
    ASSERT_TRUE(file.ok()) << name;
    ASSERT_TRUE(file->load(*saved.pool, int32_t(head.tokens.size()), blocks).ok());
  }
  EXPECT_TRUE(same(join(blocks, 200), saved.kv, saved.pool->layout));
  EXPECT_EQ(kv_chain(chain[1], rest.tokens).back(), chain.back());
}

// Readings of a file, counted.
struct Counted : File {
  Counted(std::unique_ptr<File> file, int& count) : of(std::move(file)), reads(count) {}
  Result<int64_t> size() const override { return of->size(); }
  Status read(int64_t offset, std::span<std::byte> out) const override {
    ++reads;
    return of->read(offset, out);
  }
  Status write(int64_t, std::span<const std::byte>) override { return none(); }
  Status truncate(int64_t) override { return none(); }
  Status sync() override { return none(); }
  static Status none() { return Status(Code::unsupported, "it is read alone"); }
  const std::unique_ptr<File> of;
  int& reads;
};

TEST(KvFile, IsReadInOnePieceAPageAndOneForAHeadThatIsNotLong) {
  for (const auto& [tokens, most] : {std::pair(64, 2), std::pair(200, 5), std::pair(1500, 26)}) {
    Saved saved(tokens);
    MemoryEnv env;
    env.bytes("kv") = saved.bytes();
    int reads = 0;
    const auto file =
        KvFile::open(std::make_unique<Counted>(env.open("kv", Open::read).value(), reads)).value();
    KvBlocks blocks;
    ASSERT_TRUE(file.load(*saved.pool, tokens, blocks).ok());
    EXPECT_EQ(reads, most) << tokens;
    EXPECT_TRUE(same(join(blocks, tokens), saved.kv, saved.pool->layout));
  }
}

TEST(KvFile, OpensWithAChainThatIsKnownAndWithNoOther) {
  Saved saved(200), other(200, 2);
  MemoryEnv env;
  env.bytes("kv") = saved.bytes();
  const auto opened = [&](std::vector<Hash256> chain) {
    return KvFile::open(env.open("kv", Open::read).value(), std::move(chain));
  };
  const auto chain = kv_chain(saved.head.before, saved.head.tokens);
  EXPECT_EQ(opened({})->chain(), chain);
  KvBlocks blocks;
  EXPECT_TRUE(opened(chain)->load(*saved.pool, 200, blocks).ok());
  EXPECT_EQ(opened(kv_chain(other.head.before, other.head.tokens)).code(), Code::corrupt);
  EXPECT_EQ(opened({chain.begin(), chain.end() - 1}).code(), Code::corrupt);
  std::vector<Hash256> mixed = chain;
  mixed[1] = chain[2];  // its end is right: the page tells
  EXPECT_EQ(opened(mixed)->load(*saved.pool, 200, blocks).code(), Code::corrupt);
}

TEST(KvFile, EveryFlippedBitIsRefusedInOneSentence) {
  Saved saved(70);
  MemoryEnv env;
  const std::vector<std::byte> good = saved.bytes();
  std::mt19937 random(3);
  for (int i = 0; i < 10000; ++i) {
    std::vector<std::byte>& bytes = env.bytes("kv");
    bytes = good;
    // The head once bit by bit, then anywhere.
    const size_t bit = size_t(i) < 8 * 600 ? size_t(i) : random() % (good.size() * 8);
    bytes[bit / 8] ^= std::byte(1 << bit % 8);
    auto loaded = load(env, "kv", saved);
    ASSERT_FALSE(loaded.ok()) << "bit " << bit;
    const std::string said = why(std::move(loaded));
    ASSERT_TRUE(!said.empty() && said.find('\n') == said.npos);
  }
  env.bytes("kv") = good;
  EXPECT_TRUE(load(env, "kv", saved).ok());
}

TEST(KvFile, EveryCutAndEveryTailIsRefused) {
  Saved saved(70);
  MemoryEnv env;
  const std::vector<std::byte> good = saved.bytes();
  for (size_t size = 0; size < good.size(); ++size) {
    env.bytes("kv").assign(good.begin(), good.begin() + std::ptrdiff_t(size));
    ASSERT_EQ(load(env, "kv", saved).code(), Code::corrupt) << size;
  }
  env.bytes("kv") = good;
  env.bytes("kv").push_back({});
  EXPECT_EQ(load(env, "kv", saved).code(), Code::corrupt);
}

TEST(KvFile, APageOfAnotherFileIsRefusedThoughItIsWhole) {
  Saved one(128, 1), two(128, 2);
  MemoryEnv env;
  std::vector<std::byte> mixed = one.bytes();
  const std::vector<std::byte> other = two.bytes();
  ASSERT_EQ(mixed.size(), other.size());
  std::copy(other.end() - 1000, other.end(), mixed.end() - 1000);
  env.bytes("kv") = mixed;
  EXPECT_EQ(load(env, "kv", one).code(), Code::corrupt);
}

TEST(KvFile, ForeignAndNewerFilesAreNamed) {
  Saved saved(70);
  MemoryEnv env;
  const std::string_view gguf = "GGUF and then something else that is long enough";
  env.bytes("kv").assign(reinterpret_cast<const std::byte*>(gguf.data()),
                         reinterpret_cast<const std::byte*>(gguf.data()) + gguf.size());
  EXPECT_EQ(why(load(env, "kv", saved)), "this is no saved attention state");
  env.bytes("kv") = saved.bytes();
  env.bytes("kv")[8] = std::byte(2);
  EXPECT_EQ(load(env, "kv", saved).code(), Code::unsupported);
  EXPECT_NE(why(load(env, "kv", saved)).find("format 2"), std::string::npos);
}

TEST(KvFile, WhatAnotherModelAdapterTokenizerOrScopeMadeIsRefused) {
  Saved saved(70);
  MemoryEnv env;
  env.bytes("kv") = saved.bytes();
  const KvIdentity good = saved.head.made_by;
  const auto refused = [&](const KvIdentity& ours) {
    saved.head.made_by = ours;
    const Status status = load(env, "kv", saved).status();
    saved.head.made_by = good;
    return status.code() == Code::invalid ? std::string(status.message()) : std::string("accepted");
  };
  const auto with = [&](const auto& change) {
    KvIdentity ours = good;
    change(ours);
    return refused(ours);
  };
  const Hash256 salt = kv_salt({}, "alice");
  EXPECT_NE(salt, kv_salt({}, "bob"));
  EXPECT_NE(with([](KvIdentity& it) { it.model = {}; }).find("another model"), std::string::npos);
  EXPECT_NE(with([&](KvIdentity& it) { it.adapter = salt; }).find("adapter"), std::string::npos);
  EXPECT_NE(with([&](KvIdentity& it) { it.tokenizer = salt; }).find("tokenizer"), std::string::npos);
  EXPECT_NE(with([](KvIdentity& it) { it.pack = "q8_0"; }).find("in f16"), std::string::npos);
  EXPECT_NE(with([](KvIdentity& it) { it.positions = "halves 16"; }).find("halves 8"), std::string::npos);
  EXPECT_NE(with([](KvIdentity& it) { it.shape.layers = 3; }).find("shape"), std::string::npos);
  EXPECT_NE(with([&](KvIdentity& it) { it.salt = salt; }).find("space"), std::string::npos);
  EXPECT_EQ(refused(good), "accepted");
}

// With a checksum that is right: what the parser itself must not believe.
TEST(KvFile, AHeadThatLiesUnderARightChecksumIsRefused) {
  Saved saved(70);
  const std::vector<std::byte> good = saved.bytes();
  uint32_t head_bytes = 0;
  std::memcpy(&head_bytes, good.data() + 12, 4);
  MemoryEnv env;
  std::mt19937 random(4);
  for (int i = 0; i < 20000; ++i) {
    std::vector<std::byte> bytes = good;
    const size_t at = 16 + random() % (head_bytes - 20);
    bytes[at] = std::byte(uint8_t(bytes[at]) + 1 + random() % 255);
    const uint32_t sum = crc32c(std::span(bytes).first(head_bytes - 4));
    std::memcpy(bytes.data() + head_bytes - 4, &sum, 4);
    env.bytes("kv") = bytes;
    const auto loaded = load(env, "kv", saved);
    // The words' hash alone stands for itself; whoever reads it compares it.
    if (loaded.ok()) {
      ASSERT_TRUE(same(*loaded, saved.kv, saved.pool->layout));
    }
  }
}

TEST(KvFile, TheFormerFileLoadsWhateverCallOfSavingFails) {
  TempFolder folder(TempFolder::in_ram());
  Saved former(70, 1), later(100, 2);
  const std::string path = folder / "kv";
  for (const Fault fault : {Fault::no_space, Fault::io_error, Fault::short_write, Fault::after}) {
    ASSERT_TRUE(save_kv(posix_env(), path, former.head, former.kv).ok());
    FaultPlan plan;
    FaultEnv env(posix_env(), plan);
    for (int64_t call = 0;; ++call) {
      plan.fail_at(call, fault, true);
      const Status saved = save_kv(env, path, later.head, later.kv);
      const auto loaded = load(posix_env(), path, former);
      ASSERT_TRUE(loaded.ok()) << call;
      const bool is_former = same(*loaded, former.kv, former.pool->layout);
      ASSERT_TRUE(is_former || same(*loaded, later.kv, later.pool->layout)) << call;
      if (saved.ok()) {
        EXPECT_GT(call, 3);
        EXPECT_FALSE(is_former);
        break;
      }
      ASSERT_TRUE(remove_leftovers(posix_env(), folder.path()).ok());
    }
  }
}

TEST(KvFile, AWholeFileLoadsWheneverTheWriterIsKilled) {
  TempFolder folder(TempFolder::in_ram());
  const std::string path = folder / "kv";
  Saved former(70, 1), later(100, 2);
  ASSERT_TRUE(save_kv(posix_env(), path, former.head, former.kv).ok());
  std::mt19937 random(6);
  for (int cycle = 0; cycle < 40; ++cycle) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      for (bool one = false;; one = !one) {
        const Saved& saved = one ? former : later;
        if (!save_kv(posix_env(), path, saved.head, saved.kv).ok()) _exit(1);
      }
    }
    usleep(unsigned(200 + random() % 2000));
    ASSERT_EQ(kill(child, SIGKILL), 0);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
    const auto loaded = load(posix_env(), path, former);
    ASSERT_TRUE(loaded.ok()) << cycle;
    ASSERT_TRUE(same(*loaded, former.kv, former.pool->layout) || same(*loaded, later.kv, later.pool->layout));
    ASSERT_TRUE(remove_leftovers(posix_env(), folder.path()).ok());
  }
}

TEST(KvFile, SaysWhenItDoesNotFit) {
  Saved saved(200);
  MemoryEnv env;
  env.bytes("kv") = saved.bytes();
  Saved other(1);
  const auto rest = other.ledger.reserve(Tag::index, other.ledger.limit() - other.ledger.used() - 4000);
  EXPECT_EQ(load(env, "kv", other).code(), Code::over_budget);
}

}  // namespace
}  // namespace varve
