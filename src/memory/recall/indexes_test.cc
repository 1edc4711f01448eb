// What recall keeps on disk: it opens with it, goes on from it, trusts no damaged byte of it, and leaves
// nothing of what was erased.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "core/base/rng.h"
#include "memory/recall/index/check.h"
#include "memory/recall/recall.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

const Principal kAlice{"alice"};

// Letters of a text, counted, from a place in the alphabet on: two of them are two vector spaces.
struct Letters : Embedder {
  Letters(std::string name, int from, int width) : name_(std::move(name)), from_(from), width_(width) {}
  std::string_view name() const override { return name_; }
  int width() const override { return width_; }
  Result<std::vector<float>> embed(std::string_view text) const override {
    ++calls;
    std::vector<float> vector(size_t(width_), 0.0f);
    for (char c : text) {
      if (c >= 'a' && c <= 'z') vector[size_t((c - 'a' + from_) % width_)] += 1;
    }
    float square = 0;
    for (float value : vector) square += value * value;
    for (float& value : vector) value /= std::max(1e-6f, std::sqrt(square));
    return vector;
  }
  std::string name_;
  int from_, width_;
  mutable std::atomic<int> calls = 0;
};

std::string words_of(int number) {
  std::string text = "memory";
  for (uint64_t i = 0; i < 6; ++i) {
    text += ' ';
    for (uint64_t j = 0; j < 5; ++j) {
      text += char('a' + random_bits({.seed = 4, .step = uint64_t(number)}, i * 8 + j) % 26);
    }
  }
  return text;
}

class Keeping : public testing::Test {
 protected:
  void SetUp() override {
    auto store = CubeStore::open(posix_env(), folder_ / "cubes", ledger_);
    ASSERT_TRUE(store.ok());
    store_ = std::move(store).value();
  }
  void TearDown() override { recall_.reset(); }
  void open(const char* recipe = "bm25+context", const Embedder* embedder = nullptr,
            std::vector<const Embedder*> former = {}, int64_t at_once = 1 << 20) {
    recall_.reset();
    const RecallGround ground{nullptr, &posix_env(), folder_ / "index", std::move(former), at_once};
    auto recall = Recall::make(recipe, *store_, embedder, ledger_, system_clock(), ground);
    ASSERT_TRUE(recall.ok()) << std::move(recall).status().text();
    recall_ = std::move(recall).value();
  }
  void put(int from, int to) {
    std::vector<MemoryOp> ops;
    for (int i = from; i < to; ++i) {
      MemoryOp op;
      op.draft.header.kind = "turn";
      op.draft.header.session = "session-" + std::to_string(i / 10);
      op.draft.header.turn = i % 10;
      op.draft.header.speaker = i % 2 ? "Ann" : "Ben";
      op.draft.payload = words_of(i);
      ops.push_back(std::move(op));
    }
    const auto ids = store_->apply(kAlice, std::move(ops));
    ASSERT_TRUE(ids.ok());
    ids_.insert(ids_.end(), ids->begin(), ids->end());
  }
  std::string best(int number) {
    auto found = recall_->gather(kAlice, {.text = words_of(number), .limit = 1});
    EXPECT_TRUE(found.ok());
    return found.ok() && !found->empty() ? found->front().text : "";
  }
  std::vector<std::pair<CubeId, float>> answers() {
    std::vector<std::pair<CubeId, float>> all;
    for (int i = 0; i < 40; ++i) {
      const auto found = recall_->gather(kAlice, {.text = words_of(i * 7), .limit = 5});
      for (const Recalled& one : *found) all.emplace_back(one.header.id, one.score);
    }
    return all;
  }
  std::vector<std::string> files() { return *posix_env().list(folder_ / "index"); }

  TempFolder folder_{TempFolder::in_ram()};
  Ledger ledger_{256 << 20};
  std::unique_ptr<CubeStore> store_;
  std::unique_ptr<Recall> recall_;
  std::vector<CubeId> ids_;
};

TEST_F(Keeping, OpensFromItsFilesAndAnswersTheSame) {
  put(0, 700);
  open();
  EXPECT_EQ(recall_->state().opened, "built");
  const auto before = answers();
  open();
  EXPECT_EQ(recall_->state().opened, "loaded");
  EXPECT_EQ(recall_->state().memories, 700);
  EXPECT_EQ(answers(), before);
}

TEST_F(Keeping, ReadsWhatChangedSinceItsFilesWereWritten) {
  put(0, 700);
  open();
  recall_.reset();
  put(700, 720);
  ASSERT_TRUE(store_->advance(kAlice, ids_[3], Life::archived, "").ok());
  open();
  EXPECT_EQ(recall_->state().opened, "loaded, 21 changes read since");
  EXPECT_EQ(best(710), words_of(710));
  EXPECT_NE(best(3), words_of(3));
  const auto before = answers();
  recall_.reset();
  std::filesystem::remove_all(folder_ / "index");
  open();
  EXPECT_EQ(recall_->state().opened, "built");
  EXPECT_EQ(answers(), before);
}

TEST_F(Keeping, ADamagedForeignOrMissingFileCostsNothingButTime) {
  put(0, 600);
  const Letters letters("letters", 0, 26);
  open("bm25+dense+context", &letters);
  const auto before = answers();
  recall_.reset();
  std::vector<std::pair<std::string, std::vector<std::byte>>> whole;
  for (const std::string& name : files()) {
    whole.emplace_back(folder_ / "index" + "/" + name,
                       *read_file(posix_env(), folder_ / "index" + "/" + name, 64 << 20));
  }
  ASSERT_EQ(whole.size(), 3u);
  for (uint32_t trial = 0; trial < 18; ++trial) {
    for (const auto& [path, bytes] : whole) ASSERT_TRUE(write_file(posix_env(), path, bytes).ok());
    const auto& [path, bytes] = whole[trial % whole.size()];
    auto damaged = bytes;
    const size_t at = random_bits({.seed = 8}, trial) % bytes.size();
    if (trial < 6) damaged[at] ^= std::byte(1);
    if (trial >= 6 && trial < 12) damaged.resize(at);
    if (trial < 12) {
      ASSERT_TRUE(write_file(posix_env(), path, damaged).ok());
    } else {
      ASSERT_TRUE(posix_env().remove(path).ok());  // killed between two files
    }
    open("bm25+dense+context", &letters);
    EXPECT_EQ(answers(), before) << trial;
    recall_.reset();
  }
}

TEST_F(Keeping, AnyChangedByteIsFoundWithoutOpening) {
  put(0, 600);
  open("bm25+context");
  recall_.reset();
  const std::string folder = folder_ / "index";
  const auto problems = [&] { return *check_indexes(posix_env(), folder, *store_); };
  EXPECT_TRUE(problems().empty());
  for (const std::string& name : files()) {
    const auto whole = *read_file(posix_env(), folder + "/" + name, 64 << 20);
    for (uint32_t trial = 0; trial < 40; ++trial) {
      auto damaged = whole;
      const size_t at = random_bits({.seed = 9}, trial) % whole.size();
      if (trial % 2 == 0) damaged[at] ^= std::byte(1);
      if (trial % 2 == 1) damaged.resize(at);
      ASSERT_TRUE(write_file(posix_env(), folder + "/" + name, damaged).ok());
      ASSERT_EQ(problems().size(), 1u) << name << " " << at;
      EXPECT_EQ(problems()[0].file, name);
    }
    ASSERT_TRUE(write_file(posix_env(), folder + "/" + name, whole).ok());
  }
  EXPECT_TRUE(problems().empty());

  store_.reset();
  std::filesystem::remove_all(folder_ / "cubes");
  SetUp();
  put(600, 1200);
  EXPECT_EQ(problems().size(), 2u) << "of another store";
  EXPECT_EQ(*drop_indexes(posix_env(), folder), 2);
  EXPECT_TRUE(problems().empty());
  open();
  EXPECT_EQ(recall_->state().opened, "built");
}

TEST_F(Keeping, FilesOfAnotherStoreAreThrownAway) {
  put(0, 600);
  open();
  recall_.reset();
  store_.reset();
  std::filesystem::remove_all(folder_ / "cubes");
  SetUp();
  put(600, 1200);
  open();
  EXPECT_EQ(recall_->state().opened, "built");
  EXPECT_EQ(recall_->state().memories, 600);
  EXPECT_EQ(best(700), words_of(700));
}

TEST_F(Keeping, ErasingTakesTheFilesBeforeItReturnsAndSaysSo) {
  put(0, 600);
  open();
  open();
  ASSERT_TRUE(recall_->state().file);
  const auto receipt = store_->erase(kAlice, ids_[5], "");
  ASSERT_TRUE(receipt.ok());
  EXPECT_EQ(receipt->indexes.size(), 1u);
  EXPECT_TRUE(files().empty());
  open();  // written without it when it closed
  EXPECT_EQ(recall_->state().opened, "loaded");
  EXPECT_EQ(recall_->state().memories, 599);
  EXPECT_NE(best(5), words_of(5));
}

TEST_F(Keeping, ASpeakerOfWhomNothingIsLeftIsInNoFile) {
  put(0, 600);
  CubeDraft draft;
  draft.header.kind = "turn";
  draft.header.session = "vanishing";
  draft.header.speaker = "Zebulon";
  draft.payload = "some words";
  const CubeId id = *store_->put(kAlice, std::move(draft));
  open();
  ASSERT_TRUE(store_->erase(kAlice, id, "").ok());
  open();
  ASSERT_FALSE(files().empty());
  for (const std::string& name : files()) {
    const auto bytes = *read_file(posix_env(), folder_ / "index" + "/" + name, 64 << 20);
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    EXPECT_EQ(text.find("Zebulon"), text.npos);
    EXPECT_EQ(text.find("vanishing"), text.npos);
  }
}

TEST_F(Keeping, AnotherEmbedderTakesOverWhileBothAreSearched) {
  put(0, 600);
  const Letters old("old", 0, 26), fresh("fresh", 7, 20);
  open("dense", &old);
  EXPECT_EQ(best(300), words_of(300));
  open("dense", &fresh, {&old}, 256);  // the thread goes on from there
  const RecallState midway = recall_->state();
  EXPECT_EQ(midway.opened, "loaded, without dense");
  EXPECT_EQ(best(10), words_of(10));
  EXPECT_EQ(best(590), words_of(590));
  ASSERT_TRUE(recall_->settle().ok());
  const RecallState done = recall_->state();
  EXPECT_EQ(done.to_embed, 0);
  ASSERT_EQ(done.indexes.size(), 1u);
  EXPECT_EQ(done.indexes[0].embedder, "fresh");
  EXPECT_EQ(best(590), words_of(590));
  const int calls = old.calls;
  EXPECT_EQ(best(10), words_of(10));
  EXPECT_EQ(old.calls, calls) << "the former embedder is asked no more";
  fresh.calls = 0;
  open("dense", &fresh);
  EXPECT_EQ(recall_->state().opened, "loaded");
  EXPECT_EQ(fresh.calls, 0) << "nothing is embedded twice";
  EXPECT_EQ(best(10), words_of(10));
}

TEST_F(Keeping, RebuildingGivesTheSameAnswers) {
  put(0, 600);
  open();
  const auto before = answers();
  ASSERT_TRUE(recall_->rebuild().ok());
  EXPECT_EQ(answers(), before);
  EXPECT_EQ(recall_->state().unsaved, 0);
}

}  // namespace
}  // namespace varve
