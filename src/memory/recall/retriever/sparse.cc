// Sparse: weighted words, the documents' side expanded and the query's side only looked up (the shape of
// inference-free learned sparse retrieval, Geng et al. 2024). What stands for the trained document encoder
// here is the embedder's word table: a document counts, beside its own words, their kin: the words of this
// memory whose vectors are near, by how near. A query is its words by rarity; no model looks at it. Without
// an embedder the words stand alone.
//
// A new word is compared with the `kin` most recent other words of the space and takes over the documents of
// those that are near, so that it finds what was written before anybody used it.
#include <algorithm>
#include <cmath>
#include <map>
#include <unordered_map>

#include "core/base/ports.h"
#include "memory/recall/index/key_table.h"
#include "memory/recall/index/lexical.h"
#include "memory/recall/query/question.h"
#include "memory/recall/query/terms.h"
#include "memory/recall/retriever.h"
#include "memory/recall/top.h"

namespace varve::retriever {
namespace {

struct Options {
  double near = 0.45;  // cosine from which words are kin
  double share = 0.4;  // what kin of cosine 1 would count of the word itself
  double k1 = 0.9;     // saturation of repeats
  int32_t kin = 4096;  // words compared with
};
constexpr size_t kMostKin = 8;       // of a word
constexpr size_t kMostTaken = 1000;  // documents that a new word takes over from one kin

struct Posting {
  uint32_t slot;
  float weight;
};

struct Word {
  std::vector<Posting> postings;                // its documents, its own or through kin
  std::vector<std::pair<uint32_t, float>> kin;  // words and shares
  std::vector<float> vector;
  uint32_t documents = 0;  // that have the word itself
};

struct Vocabulary {  // of one space
  KeyTable<TermKey> keys;
  std::vector<Word> words;       // by slot of keys
  std::vector<uint32_t> recent;  // words with vectors, oldest first, as a ring
  size_t next = 0, documents = 0;
};

class Sparse : public Retriever {
 public:
  explicit Sparse(const Options& options) : options_(options) {}
  bool reads_vectors() const override { return true; }
  Status settle(const RetrieverGround& ground) override {
    embedder_ = ground.embedder;
    return {};
  }

  Status add(const CubeHeader& header, std::string_view text, std::span<const float>) override {
    remove(header.id);
    const uint32_t slot = ids_.add(header.id);
    if (slot >= where_.size()) where_.resize(slot + 1);
    const auto space = spaces_.try_emplace(header.space).first;
    Vocabulary& words = space->second;
    ++words.documents;
    std::map<std::string, double> counts;  // of stems; the first form stands for the word
    std::map<std::string, std::string> forms;
    const std::string all = header.title + " " + std::string(text);
    const auto plain = terms_of(all, {.stem = false}), stems = terms_of(all);
    for (size_t i = 0; i < stems.size(); ++i) counts[stems[i]] += 1, forms.try_emplace(stems[i], plain[i]);
    std::unordered_map<uint32_t, float> weights;
    for (const auto& [stem, count] : counts) {
      const uint32_t word = word_for(words, stem, forms[stem]);
      ++words.words[word].documents;
      where_[slot].own.push_back(word);
      const float weight = float(count * (options_.k1 + 1) / (count + options_.k1));
      weights[word] = std::max(weights[word], weight);
      for (const auto& [other, share] : words.words[word].kin)
        weights[other] = std::max(weights[other], share * weight);
    }
    for (const auto& [word, weight] : weights) words.words[word].postings.push_back({slot, weight});
    where_[slot].space = space;
    for (const auto& [word, weight] : weights) where_[slot].words.push_back(word);
    return {};
  }

  void remove(CubeId id) override {
    const uint32_t slot = ids_.remove(id);
    if (slot == KeyTable<CubeId>::kNone) return;
    Place place = std::move(where_[slot]);
    where_[slot] = {};
    Vocabulary& words = place.space->second;
    for (uint32_t word : place.words)
      std::erase_if(words.words[word].postings, [&](const Posting& one) { return one.slot == slot; });
    for (uint32_t word : place.own) {
      if (--words.words[word].documents == 0) forget_word(words, word);
    }
    if (--words.documents == 0) spaces_.erase(place.space);
    if (ids_.size() == 0) where_ = std::vector<Place>();
  }

  Result<std::vector<Hit>> search(const Query& query, int32_t k) const override {
    const Question question = read_question(query.text);
    Top top(k);
    for (const std::string& name : query.spaces) {
      const auto space = spaces_.find(name);
      if (space == spaces_.end()) continue;
      const Vocabulary& words = space->second;
      std::unordered_map<uint32_t, float> scores;
      for (const std::string& term : question.terms) {
        const uint32_t word = words.keys.find(term_key(term));
        if (word == KeyTable<TermKey>::kNone) continue;
        const double having = words.words[word].documents, all = double(words.documents);
        const float rarity = float(std::log(1 + (all - having + 0.5) / (having + 0.5)));
        for (const Posting& one : words.words[word].postings) scores[one.slot] += rarity * one.weight;
      }
      for (const auto& [slot, score] : scores) top.offer({ids_.at(slot), score});
    }
    return top.take();
  }

  int64_t bytes() const override {
    int64_t sum = ids_.bytes() + int64_t(where_.capacity() * sizeof(Place));
    for (const Place& place : where_) sum += int64_t((place.words.capacity() + place.own.capacity()) * 4);
    for (const auto& [name, words] : spaces_) {
      sum += 256 + words.keys.bytes() +
             int64_t(words.recent.capacity() * 4 + words.words.capacity() * sizeof(Word));
      for (const Word& word : words.words)
        sum += int64_t(word.postings.capacity() * sizeof(Posting) + word.kin.capacity() * 8 +
                       word.vector.capacity() * 4);
    }
    return sum;
  }

 private:
  using Spaces = std::map<std::string, Vocabulary, std::less<>>;
  struct Place {
    Spaces::iterator space;
    std::vector<uint32_t> words, own;  // with kin, and without
  };

  uint32_t word_for(Vocabulary& words, const std::string& stem, const std::string& form) {
    const TermKey key = term_key(stem);
    uint32_t word = words.keys.find(key);
    if (word != KeyTable<TermKey>::kNone) return word;
    word = words.keys.add(key);
    if (word >= words.words.size()) words.words.resize(word + 1);
    if (embedder_ == nullptr) return word;
    auto vector = embedder_->embed(form);
    if (!vector.ok() || std::all_of(vector->begin(), vector->end(), [](float v) { return v == 0; }))
      return word;
    words.words[word].vector = std::move(vector).value();
    find_kin(words, word);
    if (words.recent.size() < size_t(options_.kin)) {
      words.recent.push_back(word);
    } else {
      words.recent[words.next++ % words.recent.size()] = word;
    }
    return word;
  }

  void find_kin(Vocabulary& words, uint32_t word) {
    const std::vector<float>& mine = words.words[word].vector;
    std::vector<std::pair<float, uint32_t>> near;
    for (uint32_t other : words.recent) {
      const std::vector<float>& theirs = words.words[other].vector;
      if (theirs.size() != mine.size()) continue;
      float cosine = 0;
      for (size_t i = 0; i < mine.size(); ++i) cosine += mine[i] * theirs[i];
      if (cosine >= options_.near) near.emplace_back(cosine, other);
    }
    std::sort(near.rbegin(), near.rend());
    if (near.size() > kMostKin) near.resize(kMostKin);
    for (const auto& [cosine, other] : near) {
      const float share = float(options_.share * (cosine - options_.near) / (1 - options_.near));
      words.words[word].kin.emplace_back(other, share);
      words.words[other].kin.emplace_back(word, share);
      take_over(words, word, other, share);
    }
  }

  // Documents of `other` become documents of the new word at a share, unless they are through another
  // already.
  void take_over(Vocabulary& words, uint32_t word, uint32_t other, float share) {
    auto& postings = words.words[word].postings;
    size_t taken = 0;
    for (const Posting& one : words.words[other].postings) {
      const auto& own = where_[one.slot].own;
      if (std::find(own.begin(), own.end(), other) == own.end()) continue;  // itself through kin
      if (std::any_of(postings.begin(), postings.end(), [&](const Posting& p) { return p.slot == one.slot; }))
        continue;
      postings.push_back({one.slot, share * one.weight});
      where_[one.slot].words.push_back(word);
      if (++taken == kMostTaken) break;
    }
  }

  // No document has the word any more: documents that had it through kin lose it, and kin forget it.
  void forget_word(Vocabulary& words, uint32_t word) {
    Word& gone = words.words[word];
    for (const Posting& one : gone.postings) std::erase(where_[one.slot].words, word);
    for (const auto& [other, share] : gone.kin)
      std::erase_if(words.words[other].kin, [&](const auto& one) { return one.first == word; });
    std::erase(words.recent, word);
    words.keys.remove(words.keys.at(word));
    gone = {};
  }

  Options options_;
  const Embedder* embedder_ = nullptr;
  KeyTable<CubeId> ids_;
  std::vector<Place> where_;  // by slot of ids_
  Spaces spaces_;
};

}  // namespace

Made sparse(const Spec& spec) {
  Options options;
  TRY(OptionReader(spec)
          .read("near", options.near, 0.0, 0.99)
          .read("share", options.share, 0.0, 1.0)
          .read("k1", options.k1, 0.0, 10.0)
          .read("kin", options.kin, 1, 1000000)
          .done());
  return std::unique_ptr<Retriever>(new Sparse(options));
}

}  // namespace varve::retriever
