// What every retriever owes its callers. A new retriever is in this test the moment it is in all.def.
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <set>

#include "memory/recall/retriever.h"
#include "memory/recall/top.h"

namespace varve {
namespace {

// A cube whose words, vector and date are its own, so that every kind of retriever can be asked for it.
struct Sample {
  CubeHeader header;
  std::string text;
  std::vector<float> vector;
};

Sample sample(int number, const std::string& space) {
  Sample one;
  one.header.id = CubeId::make(1000 + number);
  one.header.space = space;
  std::mt19937 random{unsigned(number)};
  std::normal_distribution<float> normal;
  float length = 0;
  for (int i = 0; i < 16; ++i)
    one.vector.push_back(normal(random)), length += one.vector[size_t(i)] * one.vector[size_t(i)];
  for (float& value : one.vector) value /= std::sqrt(length);
  one.header.event = *parse_time("2020-01-01") + TimeMs(number) * 86400000;
  one.text = "common word" + std::to_string(number) + " subject" + std::to_string(number % 7) + " on " +
             date_words(*one.header.event);
  return one;
}

class EveryRetriever : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    auto made = retrievers().make(GetParam());
    ASSERT_TRUE(made.ok());
    retriever_ = std::move(made).value();
    for (int i = 0; i < 40; ++i) {
      samples_.push_back(sample(i, i % 2 ? "alice" : "bob"));
      ASSERT_TRUE(retriever_->add(samples_.back().header, samples_.back().text, samples_.back().vector).ok());
    }
  }
  std::vector<Hit> ask(const Sample& one, std::vector<std::string> spaces, int32_t k = 10) {
    auto hits = retriever_->search({one.text, one.vector, spaces, {}}, k);
    EXPECT_TRUE(hits.ok());
    return hits.ok() ? *hits : std::vector<Hit>{};
  }
  std::unique_ptr<Retriever> retriever_;
  std::vector<Sample> samples_;
};

TEST_P(EveryRetriever, FindsWhatWasAddedByItsOwnText) {
  for (const Sample& one : samples_) {
    const auto hits = ask(one, {one.header.space});
    ASSERT_FALSE(hits.empty());
    EXPECT_EQ(hits.front().id, one.header.id);
  }
}

TEST_P(EveryRetriever, NeverReturnsWhatWasRemovedAndHoldsNoBytesForIt) {
  const int64_t full = retriever_->bytes();
  for (size_t i = 0; i < samples_.size(); i += 3) retriever_->remove(samples_[i].header.id);
  for (size_t i = 0; i < samples_.size(); i += 3) {
    for (const Hit& hit : ask(samples_[i], {"alice", "bob"}, 40)) {
      for (size_t j = 0; j < samples_.size(); j += 3) EXPECT_NE(hit.id, samples_[j].header.id);
    }
  }
  for (const Sample& one : samples_) retriever_->remove(one.header.id);
  EXPECT_TRUE(ask(samples_[0], {"alice", "bob"}).empty());
  EXPECT_LT(retriever_->bytes(), full / 10);
}

TEST_P(EveryRetriever, StaysInsideTheGivenSpaces) {
  std::set<CubeId> bobs;
  for (const Sample& one : samples_) {
    if (one.header.space == "bob") bobs.insert(one.header.id);
  }
  for (const Sample& one : samples_) {
    for (const Hit& hit : ask(one, {"alice"}, 40)) EXPECT_FALSE(bobs.contains(hit.id));
    EXPECT_TRUE(ask(one, {}).empty());
  }
}

TEST_P(EveryRetriever, RespectsKAndDescends) {
  const auto hits = ask(samples_[3], {"alice", "bob"}, 5);
  EXPECT_LE(hits.size(), 5u);
  for (size_t i = 1; i < hits.size(); ++i) EXPECT_GE(hits[i - 1].score, hits[i].score);
  EXPECT_TRUE(ask(samples_[3], {"alice", "bob"}, 0).empty());
}

TEST_P(EveryRetriever, AddingAgainReplaces) {
  Sample changed = sample(77, "alice");
  changed.header.id = samples_[1].header.id;
  ASSERT_TRUE(retriever_->add(changed.header, changed.text, changed.vector).ok());
  EXPECT_EQ(ask(changed, {"alice"}).front().id, changed.header.id);
  const auto hits = ask(changed, {"alice", "bob"}, 100);
  EXPECT_EQ(
      std::count_if(hits.begin(), hits.end(), [&](const Hit& hit) { return hit.id == changed.header.id; }),
      1);
}

INSTANTIATE_TEST_SUITE_P(All, EveryRetriever, testing::ValuesIn(retrievers().names()),
                         [](const auto& one) { return one.param; });

}  // namespace
}  // namespace varve
