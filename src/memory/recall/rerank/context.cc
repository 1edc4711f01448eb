// Context: a turn is read with what was said around it. BM25F (Robertson, Zaragoza & Taylor 2004) with the
// turns beside it as fields: their words count as its own at a share, before saturation, so that a word found
// twice is not worth two words. How much of a neighbour belongs to a turn is told by the talk itself: an
// answer owns its question; what one person says in a row is one utterance; a change of speaker without a
// question lends little. Vectors are shared likewise. What was said in no session stands alone.
#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "memory/recall/rerank.h"
#include "memory/recall/rerank/places.h"

namespace varve::reranker {
namespace {

struct Options {
  double k1 = 0.8, b = 0.5;         // of turns
  double doc_k1 = 2, doc_b = 0.75;  // of what was said in no session
  double question = 0.5;            // share of a question in the answer after it
  double same = 0.3;                // of a turn beside it by the same speaker
  double other = 0.2;               // by another
  double second = 0.15;             // of the turn after next
  double dense = 0.35;              // weight of the cosine about the mean memory
  double dense_share = 0.4;         // a neighbour's part in it, of the shares above
  double keep = 0;                  // of the score before
  int32_t depth = 200;              // so many are read with what is beside them
};

// The question in one space: its terms there and what each is worth of the whole.
struct Terms {
  std::vector<std::pair<uint32_t, float>> worth;  // by number; the values sum to 1 or less
  float average_length = 1;
  // About the mean of the space's vectors, cosines tell texts apart; about zero all of one kind are alike.
  std::vector<float> mean;    // or empty
  float mean_square = 0;      // its length, squared
  float mean_question = 0;    // its product with the question's vector
  float question_length = 0;  // of the question's vector about it
};

class Reading {
 public:
  Reading(const Options& options, const Asked& asked)
      : options_(options), asked_(asked), width_(asked.question.terms.size()), sum_(width_) {}

  float score(uint32_t slot) {
    const Entries::Entry& entry = asked_.entries[slot];
    const Terms& terms = terms_in(entry);
    std::fill(sum_.begin(), sum_.end(), 0.0f);
    cosine_ = 0;
    lend(slot, 1, 1);
    for (int32_t side : {-1, 1}) {
      const uint32_t next = asked_.entries.beside(slot, side);
      if (next == Entries::kNone) continue;
      lend(next, share_of(entry, asked_.entries[next], side), options_.dense_share);
      const uint32_t second = asked_.entries.beside(slot, 2 * side);
      if (second != Entries::kNone) lend(second, options_.second, options_.dense_share);
    }
    const double k1 = entry.talk != nullptr ? options_.k1 : options_.doc_k1;
    double total = options_.dense * cosine_;
    for (size_t i = 0; i < terms.worth.size(); ++i) {
      if (sum_[i] > 0) total += terms.worth[i].second * sum_[i] * (k1 + 1) / (sum_[i] + k1);
    }
    return float(total);
  }

 private:
  struct Row {
    float cosine = 0;
    bool words = false;  // any of the question's
  };

  double share_of(const Entries::Entry& entry, const Entries::Entry& beside, int32_t side) const {
    if (beside.speaker == entry.speaker) return options_.same;
    return side < 0 && beside.tells.asks ? options_.question : options_.other;
  }

  void lend(uint32_t from, double share, double dense_share) {
    const uint32_t place = row_of(from);
    cosine_ += float(share * dense_share) * rows_[place].cosine;
    if (!rows_[place].words) return;
    const float* counts = counts_.data() + place * width_;
    for (size_t i = 0; i < width_; ++i) sum_[i] += float(share) * counts[i];
  }

  uint32_t row_of(uint32_t slot) {
    const uint32_t place = places_.add(slot);
    if (place < rows_.size()) return place;
    Row& row = rows_.emplace_back();
    counts_.resize(counts_.size() + width_);  // of each term, by length
    const Entries::Entry& entry = asked_.entries[slot];
    const Terms& terms = terms_in(entry);
    const double b = entry.talk != nullptr ? options_.b : options_.doc_b;
    const double length = 1 - b + b * entry.length / terms.average_length;
    for (size_t i = 0; i < terms.worth.size(); ++i) {
      const uint32_t times = entry.times(terms.worth[i].first);
      if (times == 0) continue;
      counts_[place * width_ + i] = float(times / length);
      row.words = true;
    }
    if (options_.dense > 0 && !terms.mean.empty()) row.cosine = cosine_about(terms, slot);
    return place;
  }

  float cosine_about(const Terms& terms, uint32_t slot) {
    const auto vector = asked_.entries.vector(slot, room_);
    if (vector.size() != terms.mean.size()) return 0;
    const float product = VectorRows::cosine(vector, asked_.query.vector);
    const float with_mean = VectorRows::cosine(vector, terms.mean);
    const float square = std::max(0.0f, 1 - 2 * with_mean + terms.mean_square);
    const float lengths = std::sqrt(square) * terms.question_length;
    return lengths < 1e-6f ? 0 : (product - terms.mean_question - with_mean + terms.mean_square) / lengths;
  }

  const Terms& terms_in(const Entries::Entry& entry) {
    if (entry.space == last_space_) return *last_;
    const auto [found, fresh] = terms_.try_emplace(entry.space);
    if (fresh) found->second = read_terms(*entry.space);
    last_space_ = entry.space;
    last_ = &found->second;
    return *last_;
  }

  Terms read_terms(const Entries::Space& space) const {
    Terms terms;
    terms.average_length = float(space.average_length());
    double total = 0;
    for (const std::string& word : asked_.question.terms) {
      const TermKey key = term_key(word);
      if (space.is_name(key)) continue;  // who is meant shows in who speaks, not in who is spoken of
      const uint32_t number = space.keys.find(key);
      const double idf = space.idf(number);
      total += idf;
      if (number != Entries::kNone) terms.worth.emplace_back(number, float(idf));
    }
    for (auto& [term, worth] : terms.worth) worth = float(worth / total);
    read_mean(space, terms);
    return terms;
  }

  void read_mean(const Entries::Space& space, Terms& terms) const {
    const auto& question = asked_.query.vector;
    if (question.empty() || space.vector_sum.size() != question.size()) return;
    for (size_t i = 0; i < question.size(); ++i) {
      // One memory alone has no mean to stand out from.
      terms.mean.push_back(space.cubes > 1 ? space.vector_sum[i] / 127 / float(space.cubes) : 0);
      terms.mean_square += terms.mean[i] * terms.mean[i];
      terms.mean_question += terms.mean[i] * question[i];
      terms.question_length += (question[i] - terms.mean[i]) * (question[i] - terms.mean[i]);
    }
    terms.question_length = std::sqrt(terms.question_length);
  }

  const Options& options_;
  const Asked& asked_;
  std::unordered_map<const Entries::Space*, Terms> terms_;
  const Entries::Space* last_space_ = nullptr;
  const Terms* last_ = nullptr;
  size_t width_;  // of a row of counts
  Places places_;
  std::vector<Row> rows_;
  std::vector<float> counts_;
  std::vector<float> sum_;  // of the turn that is being read, with what is lent to it
  float cosine_ = 0;
  std::vector<int8_t> room_;
};

class Context : public Reranker {
 public:
  explicit Context(const Options& options) : options_(options) {}

  Status rerank(const Asked& asked, std::vector<Hit>& hits) const override {
    Places found;
    std::vector<float> before;  // by place
    const auto keep = [&](uint32_t slot) -> float& {
      const uint32_t place = found.add(slot);
      if (place == before.size()) before.push_back(0);
      return before[place];
    };
    std::vector<Hit> rest;
    for (size_t i = 0; i < hits.size(); ++i) {
      const uint32_t slot = asked.entries.find(hits[i].id);
      if (i >= size_t(options_.depth) || slot == Entries::kNone) {
        rest.push_back({hits[i].id, 0});
        continue;
      }
      keep(slot) = hits[i].score;
      for (int32_t away : {-2, -1, 1, 2}) {
        const uint32_t next = asked.entries.beside(slot, away);
        if (next != Entries::kNone) keep(next);
      }
    }
    std::erase_if(rest, [&](const Hit& hit) {
      const uint32_t slot = asked.entries.find(hit.id);
      return slot != Entries::kNone && found.find(slot) != Entries::kNone;
    });
    Reading reading(options_, asked);
    hits = std::move(rest);
    hits.reserve(hits.size() + before.size());
    for (size_t i = 0; i < before.size(); ++i) {
      const uint32_t slot = found.slots()[i];
      hits.push_back({asked.entries.id(slot), reading.score(slot) + float(options_.keep) * before[i]});
    }
    sort_hits(hits);
    return {};
  }

 private:
  Options options_;
};

}  // namespace

Made context(const Spec& spec) {
  Options options;
  TRY(OptionReader(spec)
          .read("k1", options.k1, 0.0, 10.0)
          .read("b", options.b, 0.0, 1.0)
          .read("doc_k1", options.doc_k1, 0.0, 10.0)
          .read("doc_b", options.doc_b, 0.0, 1.0)
          .read("question", options.question, 0.0, 1.0)
          .read("same", options.same, 0.0, 1.0)
          .read("other", options.other, 0.0, 1.0)
          .read("second", options.second, 0.0, 1.0)
          .read("dense", options.dense, 0.0, 10.0)
          .read("dense_share", options.dense_share, 0.0, 1.0)
          .read("keep", options.keep, 0.0, 10.0)
          .read("depth", options.depth, 1, 10000)
          .done());
  return std::unique_ptr<Reranker>(new Context(options));
}

}  // namespace varve::reranker
