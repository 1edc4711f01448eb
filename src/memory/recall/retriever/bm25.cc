// BM25 (Robertson & Zaragoza 2009, "The Probabilistic Relevance Framework: BM25 and Beyond").
// A rare word that two texts share says more than a common one, and less each time it repeats.
// Statistics are kept for each space apart: what others store changes no score here.
#include <algorithm>
#include <map>

#include "memory/recall/index/lexical.h"
#include "memory/recall/query/terms.h"
#include "memory/recall/retriever.h"
#include "memory/recall/top.h"

namespace varve::retriever {
namespace {

struct Options {
  LexicalIndex::Weights weights;
  int date = 1;     // index the words of the event's date
  int speaker = 1;  // and of who said it
};

class Bm25 : public Retriever {
 public:
  explicit Bm25(const Options& options) : options_(options) {}

  Status add(const CubeHeader& header, std::string_view text, std::span<const float>) override {
    remove(header.id);
    auto terms = terms_of(text);
    const auto append = [&](std::string_view more) {
      for (auto& term : terms_of(more)) terms.push_back(std::move(term));
    };
    append(header.title);
    if (options_.speaker) append(header.speaker);
    if (options_.date && header.event) append(date_words(*header.event));
    const auto space = spaces_.try_emplace(header.space).first;
    const uint32_t slot = ids_.add(header.id);
    if (slot >= where_.size()) where_.resize(slot + 1);
    where_[slot] = {space, space->second.add(slot, uint32_t(terms.size()), counted(terms))};
    return {};
  }

  void remove(CubeId id) override {
    const uint32_t slot = ids_.remove(id);
    if (slot == Ids::kNone) return;
    const auto [space, number] = where_[slot];
    LexicalIndex& index = space->second;
    index.remove(number);
    if (index.size() == 0) {
      spaces_.erase(space);
    } else if (index.compaction_is_due()) {
      index.compact([&](uint32_t owner, LexicalIndex::Number now) { where_[owner].number = now; });
    }
    if (ids_.size() == 0) where_ = std::vector<Place>();
  }

  Result<std::vector<Hit>> search(const Query& query, int32_t k) const override {
    std::map<std::string, double> words;
    for (const auto& term : query_terms(query.text)) words[term] += 1;
    std::vector<LexicalIndex::QueryTerm> terms;
    for (const auto& [word, weight] : words) terms.push_back({term_key(word), weight});
    Top top(k);
    for (const std::string& space : query.spaces) {
      const auto found = spaces_.find(space);
      if (found == spaces_.end()) continue;
      found->second.search(
          terms, options_.weights, [&](uint32_t owner) { return ids_.at(owner); }, top);
    }
    return top.take();
  }

  Status save(SnapshotWriter& out) const override {
    TRY(out.number(uint64_t(spaces_.size())));
    for (const auto& [name, index] : spaces_) {
      TRY(out.text(name));
      std::vector<CubeId> ids;
      index.each([&](uint32_t owner, uint32_t, auto) { ids.push_back(ids_.at(owner)); });
      TRY(out.array(ids));
      TRY(index.save(out));
    }
    return {};
  }

  Status load(SnapshotReader& in) override {
    const auto spaces = TRY(in.number<uint64_t>());
    for (uint64_t i = 0; i < spaces; ++i) {
      const auto [space, fresh] = spaces_.try_emplace(TRY(in.text(1024)));
      std::vector<CubeId> ids;
      TRY(in.array(ids));
      std::vector<uint32_t> owners;
      for (const CubeId& id : ids) {
        if (ids_.find(id) != Ids::kNone) return in.damaged();
        owners.push_back(ids_.add(id));
        if (owners.back() >= where_.size()) where_.resize(owners.back() + 1);
        where_[owners.back()] = {space, LexicalIndex::Number(owners.size() - 1)};
      }
      if (!fresh || ids.empty()) return in.damaged();
      TRY(space->second.load(in, owners));
    }
    return {};
  }

  int64_t bytes() const override {
    int64_t sum = ids_.bytes() + int64_t(where_.capacity() * sizeof(Place));
    for (const auto& [name, index] : spaces_) sum += int64_t(name.size()) + 256 + index.bytes();
    return sum;
  }

 private:
  using Ids = KeyTable<CubeId>;
  using Spaces = std::map<std::string, LexicalIndex, std::less<>>;
  struct Place {
    Spaces::iterator space;
    LexicalIndex::Number number = 0;
  };

  static std::vector<LexicalIndex::Count> counted(const std::vector<std::string>& terms) {
    std::vector<TermKey> keys;
    for (const std::string& term : terms) keys.push_back(term_key(term));
    std::sort(keys.begin(), keys.end());
    std::vector<LexicalIndex::Count> counts;
    for (TermKey key : keys) {
      if (counts.empty() || counts.back().key != key) counts.push_back({key, 0});
      ++counts.back().count;
    }
    return counts;
  }

  Options options_;
  Spaces spaces_;
  Ids ids_;
  std::vector<Place> where_;  // by slot of ids_
};

}  // namespace

Made bm25(const Spec& spec) {
  Options options;
  TRY(OptionReader(spec)
          .read("k1", options.weights.k1, 0.0, 10.0)
          .read("b", options.weights.b, 0.0, 1.0)
          .read("date", options.date, 0, 1)
          .read("speaker", options.speaker, 0, 1)
          .done());
  return std::unique_ptr<Retriever>(new Bm25(options));
}

}  // namespace varve::retriever
