#include "memory/reflect/again.h"

#include <gtest/gtest.h>

#include "memory/cube/governance.h"
#include "memory/reflect/derive.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

// Keeps one running text of all that was said.
class Running : public Reflector {
 public:
  std::vector<std::string> kinds() const override { return {"test.running"}; }
  Result<std::vector<MemoryOp>> reflect(const Principal& who, const Turn& turn, const Known& known,
                                        Writer*) const override {
    const auto before = TRY(newest_of(who, turn, known, "test.running"));
    if (!before) return std::vector<MemoryOp>{derived(turn, "test.running", turn.user)};
    return std::vector<MemoryOp>{revised(turn, before->header, before->text + " " + turn.user)};
  }
};

TEST(DeriveAgain, WhatHadOtherSourcesComesBackWithoutTheForgotten) {
  const Principal who{"alice"};
  const TempFolder folder{TempFolder::in_ram()};
  Ledger ledger{256 << 20};
  auto store = std::move(CubeStore::open(posix_env(), folder / "cubes", ledger)).value();
  auto recall = std::move(Recall::make("default", *store, nullptr, ledger)).value();
  const Running reflector;
  const Reflecting with{who, *store, *recall};
  std::vector<CubeId> said;
  for (const char* word : {"tea", "secret", "figs"}) {
    CubeDraft draft;
    draft.header.kind = "turn";
    draft.header.session = "s";
    draft.header.turn = int32_t(said.size());
    draft.header.speaker = "user";
    draft.payload = word;
    said.push_back(*store->put(who, draft));
    Turn turn{
        .session = "s", .index = draft.header.turn, .space = "alice", .user = word, .user_cube = said.back()};
    turn.time = store->head(who, said.back())->recorded;
    ASSERT_TRUE(reflect(with, reflector, turn).ok());
  }
  const auto running = [&] {
    std::vector<std::string> texts;
    const auto all = *store->list(who, {.kind = "test.running"});
    for (const CubeHeader& one : all) texts.push_back(*store->payload(who, one.id));
    return texts;
  };
  ASSERT_EQ(running(), std::vector<std::string>{"tea secret figs"});
  ASSERT_EQ(store->erase(who, said[1], "")->rebuild.size(), 1u);
  EXPECT_TRUE(running().empty()) << "the words go at once";
  ASSERT_TRUE(derive_again(with, reflector).ok());
  EXPECT_EQ(running(), std::vector<std::string>{"tea figs"});
  EXPECT_TRUE(store->governance().rebuilds(who)->empty());
  EXPECT_TRUE(derive_again(with, reflector)->empty());
}

// Does nothing without a writer.
class Asking : public Running {
 public:
  Result<std::vector<MemoryOp>> reflect(const Principal& who, const Turn& turn, const Known& known,
                                        Writer* writer) const override {
    if (writer == nullptr) return std::vector<MemoryOp>();
    TRY(writer->write("what?", "", 10));
    return Running::reflect(who, turn, known, writer);
  }
};

struct Wayward : Writer {
  Code code = Code::ok;
  Result<std::string> write(std::string_view, std::string_view, int) override {
    return code == Code::ok ? Result<std::string>("") : Result<std::string>(Status(code, "not now"));
  }
};

TEST(DeriveAgain, WhatNeedsAWriterStaysListedUntilOneAnswers) {
  const Principal who{"alice"};
  const TempFolder folder{TempFolder::in_ram()};
  Ledger ledger{256 << 20};
  auto store = std::move(CubeStore::open(posix_env(), folder / "cubes", ledger)).value();
  auto recall = std::move(Recall::make("default", *store, nullptr, ledger)).value();
  const auto put = [&](const char* kind, const char* words, std::vector<Source> from) {
    CubeDraft draft;
    draft.header.kind = kind;
    draft.header.from = std::move(from);
    draft.payload = words;
    return *store->put(who, draft);
  };
  const CubeId tea = put("turn", "tea", {}), secret = put("turn", "secret", {});
  put("test.running", "tea secret", {{tea, 1}, {secret, 1}});
  ASSERT_EQ(store->erase(who, secret, "")->rebuild.size(), 1u);
  const Asking reflector;
  const auto waiting = [&] { return store->governance().rebuilds(who)->size(); };
  EXPECT_TRUE(derive_again({who, *store, *recall}, reflector)->empty());
  EXPECT_EQ(waiting(), 1u);
  Wayward writer;
  for (const Code code : {Code::cancelled, Code::invalid, Code::over_budget}) {
    writer.code = code;
    EXPECT_EQ(derive_again({who, *store, *recall, nullptr, &writer}, reflector).code(), code);
    EXPECT_EQ(waiting(), 1u);
  }
  writer.code = Code::ok;
  EXPECT_EQ(derive_again({who, *store, *recall, nullptr, &writer}, reflector)->size(), 1u);
  EXPECT_EQ(waiting(), 0u);
}

}  // namespace
}  // namespace varve
