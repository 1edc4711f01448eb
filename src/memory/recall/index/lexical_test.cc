// The lexical index against scoring everything by the formula.
#include "memory/recall/index/lexical.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <random>

namespace varve {
namespace {

CubeId id_of(uint32_t owner) {
  CubeId id;
  for (int i = 0; i < 4; ++i) id.bytes[size_t(12 + i)] = uint8_t(owner >> (24 - 8 * i));
  return id;
}

struct Model {  // the same documents, scored one by one
  struct Document {
    std::map<TermKey, uint32_t> counts;
    uint32_t length = 0;
    LexicalIndex::Number number = 0;
  };
  std::map<uint32_t, Document> documents;

  std::vector<Hit> search(std::span<const LexicalIndex::QueryTerm> terms, const LexicalIndex::Weights& w,
                          int32_t k) const {
    double total = 0;
    std::map<TermKey, double> df;
    for (const auto& [owner, one] : documents) {
      total += one.length;
      for (const auto& [key, count] : one.counts) df[key] += 1;
    }
    const double n = double(documents.size()), average = std::max(1.0, total / n);
    Top top(k);
    for (const auto& [owner, one] : documents) {
      double score = 0;
      for (const auto& term : terms) {
        const auto found = one.counts.find(term.key);
        if (found == one.counts.end()) continue;
        const double tf = found->second;
        score += term.weight * std::log(1 + (n - df[term.key] + 0.5) / (df[term.key] + 0.5)) * tf *
                 (w.k1 + 1) / (tf + w.k1 * (1 - w.b + w.b * one.length / average));
      }
      if (score > 0) top.offer({id_of(owner), float(score)});
    }
    return top.take();
  }
};

class Lexical : public testing::Test {
 protected:
  void add(uint32_t owner, int words) {
    Model::Document document;
    for (int i = 0; i < words; ++i) {
      // Few words are everywhere, most are rare.
      const double u = double(random_() % 100000) / 100000;
      ++document.counts[1 + TermKey(std::pow(3000, u))];
      ++document.length;
    }
    std::vector<LexicalIndex::Count> counts;
    for (const auto& [key, count] : document.counts) counts.push_back({key, count});
    document.number = index_.add(owner, document.length, counts);
    model_.documents[owner] = std::move(document);
  }
  void remove(uint32_t owner) {
    index_.remove(model_.documents.at(owner).number);
    model_.documents.erase(owner);
    if (!index_.compaction_is_due()) return;
    ++compactions_;
    index_.compact([&](uint32_t one, LexicalIndex::Number now) { model_.documents.at(one).number = now; });
  }
  void compare(int32_t k) {
    std::map<TermKey, double> words;
    for (int i = int(random_() % 6); i >= 0; --i) words[1 + random_() % (random_() % 2 ? 20 : 3000)] += 1;
    std::vector<LexicalIndex::QueryTerm> terms;
    for (const auto& [key, weight] : words) terms.push_back({key, weight});
    const LexicalIndex::Weights weights{0.9, 0.4};
    Top top(k);
    index_.search(terms, weights, id_of, top);
    const auto found = top.take(), wanted = model_.search(terms, weights, k);
    ASSERT_EQ(found.size(), wanted.size());
    for (size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i].score, wanted[i].score, 1e-5);
  }

  std::mt19937 random_{7};
  LexicalIndex index_;
  Model model_;
  int compactions_ = 0;
};

TEST_F(Lexical, LeavesOutNothingThatScoringEverythingWouldFind) {
  for (uint32_t i = 0; i < 18000; ++i) add(i, 1 + int(random_() % 12));  // two windows
  for (int i = 0; i < 60; ++i) compare(i % 3 == 0 ? 1 : i % 3 == 1 ? 10 : 200);
}

TEST_F(Lexical, StaysExactWhileDocumentsComeAndGo) {
  uint32_t next = 0;
  for (int round = 0; round < 1500; ++round) {
    if (random_() % 3 != 0 || model_.documents.empty()) {
      add(next++, 1 + int(random_() % 30));
    } else {
      auto doomed = model_.documents.begin();
      std::advance(doomed, int64_t(random_() % model_.documents.size()));
      remove(doomed->first);
    }
    if (round % 50 == 0) compare(10);
  }
  EXPECT_GT(compactions_, 0);
  while (!model_.documents.empty()) remove(model_.documents.begin()->first);
  EXPECT_EQ(index_.size(), 0u);
  compare(10);
}

TEST_F(Lexical, APostingTakesAboutTwoBytes) {
  for (uint32_t i = 0; i < 20000; ++i) {
    std::vector<LexicalIndex::Count> counts;
    for (TermKey key = 1; key <= 20; ++key) counts.push_back({key * 7919 + i % 3, 1});
    index_.add(i, 20, counts);
  }
  EXPECT_LT(index_.bytes(), 20000 * 20 * 4 + 20000 * 40);  // there, and by document; 16 B a document besides
}

TEST(KeyTable, FindsWhatIsThereAfterManyAddsAndRemoves) {
  KeyTable<uint64_t> table;
  std::map<uint64_t, uint32_t> model;
  std::mt19937 random{3};
  for (int i = 0; i < 20000; ++i) {
    const uint64_t key = random() % 500 * (uint64_t(1) << 32);  // hashes that meet
    if (const auto found = model.find(key); found != model.end()) {
      ASSERT_EQ(table.find(key), found->second);
      ASSERT_EQ(table.remove(key), found->second);
      model.erase(found);
    } else {
      ASSERT_EQ(table.find(key), table.kNone);
      model[key] = table.add(key);
    }
    ASSERT_EQ(table.size(), model.size());
  }
}

}  // namespace
}  // namespace varve
