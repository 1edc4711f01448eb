// BM25 (Robertson & Zaragoza 2009, "The Probabilistic Relevance Framework: BM25 and Beyond").
// A rare word that two texts share says more than a common one, and less each time it repeats.
// Statistics are kept for each space apart: what others store changes no score here.
#include <algorithm>
#include <cmath>
#include <map>
#include <unordered_map>

#include "memory/recall/retriever.h"
#include "memory/recall/terms.h"
#include "memory/recall/top.h"

namespace varve::retriever {
namespace {

struct Options {
  double k1 = 1.2, b = 0.75;
  int date = 1;     // index the words of the event's date
  int speaker = 1;  // and of who said it
};

struct Posting {
  uint32_t slot, count;
};

// One space: documents in slots, postings by term. A removed document leaves its slot free for the next.
class SpaceIndex {
 public:
  void add(CubeId id, std::vector<std::string> terms) {
    const uint32_t slot = free_slot();
    docs_[slot] = {id, uint32_t(terms.size()), {}};
    slots_[id] = slot;
    total_ += terms.size();
    std::sort(terms.begin(), terms.end());
    for (size_t at = 0; at < terms.size();) {
      size_t end = at;
      while (end < terms.size() && terms[end] == terms[at]) ++end;
      const uint32_t term = term_id(terms[at]);
      postings_[term].push_back({slot, uint32_t(end - at)});
      docs_[slot].terms.push_back(term);
      at = end;
    }
  }

  bool remove(CubeId id) {
    const auto found = slots_.find(id);
    if (found == slots_.end()) return false;
    const uint32_t slot = found->second;
    for (uint32_t term : docs_[slot].terms) {
      std::erase_if(postings_[term], [&](const Posting& one) { return one.slot == slot; });
    }
    total_ -= docs_[slot].length;
    docs_[slot] = {};
    free_.push_back(slot);
    slots_.erase(found);
    return true;
  }

  void search(const std::map<std::string, double>& query, const Options& options, Top& top) const {
    if (slots_.empty()) return;
    const double average = std::max(1.0, double(total_) / double(slots_.size()));
    std::vector<float> scores(docs_.size());
    for (const auto& [word, weight] : query) {
      const auto term = terms_.find(word);
      if (term == terms_.end()) continue;
      const auto& list = postings_[term->second];
      const double n = double(slots_.size()), df = double(list.size());
      const double idf = std::log(1 + (n - df + 0.5) / (df + 0.5));
      for (const Posting& one : list) {
        const double length = options.k1 * (1 - options.b + options.b * docs_[one.slot].length / average);
        scores[one.slot] += float(weight * idf * one.count * (options.k1 + 1) / (one.count + length));
      }
    }
    for (size_t slot = 0; slot < scores.size(); ++slot) {
      if (scores[slot] > 0) top.offer({docs_[slot].id, scores[slot]});
    }
  }

  int64_t bytes() const {
    int64_t sum = int64_t(docs_.size() * sizeof(Doc) + slots_.size() * 64);
    for (const auto& list : postings_) sum += int64_t(list.capacity() * sizeof(Posting));
    for (const auto& doc : docs_) sum += int64_t(doc.terms.capacity() * 4);
    return sum + int64_t(terms_.size()) * 96;
  }
  bool empty() const { return slots_.empty(); }

 private:
  struct Doc {
    CubeId id;
    uint32_t length = 0;
    std::vector<uint32_t> terms;  // distinct
  };
  uint32_t free_slot() {
    if (free_.empty()) {
      docs_.emplace_back();
      return uint32_t(docs_.size() - 1);
    }
    const uint32_t slot = free_.back();
    free_.pop_back();
    return slot;
  }
  uint32_t term_id(const std::string& term) {
    const auto [found, fresh] = terms_.try_emplace(term, uint32_t(postings_.size()));
    if (fresh) postings_.emplace_back();
    return found->second;
  }

  std::vector<Doc> docs_;
  std::vector<uint32_t> free_;
  std::map<CubeId, uint32_t> slots_;
  std::unordered_map<std::string, uint32_t> terms_;
  std::vector<std::vector<Posting>> postings_;
  uint64_t total_ = 0;
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
    spaces_[header.space].add(header.id, std::move(terms));
    where_[header.id] = header.space;
    return {};
  }

  void remove(CubeId id) override {
    const auto found = where_.find(id);
    if (found == where_.end()) return;
    const auto space = spaces_.find(found->second);
    space->second.remove(id);
    if (space->second.empty()) spaces_.erase(space);  // its words are gone with it
    where_.erase(found);
  }

  Result<std::vector<Hit>> search(const Query& query, int32_t k) const override {
    std::map<std::string, double> words;
    for (const auto& term : query_terms(query.text)) words[term] += 1;
    Top top(k);
    for (const std::string& space : query.spaces) {
      const auto found = spaces_.find(space);
      if (found != spaces_.end()) found->second.search(words, options_, top);
    }
    return top.take();
  }

  int64_t bytes() const override {
    int64_t sum = int64_t(where_.size()) * 96;
    for (const auto& [name, index] : spaces_) sum += index.bytes();
    return sum;
  }

 private:
  Options options_;
  std::map<std::string, SpaceIndex, std::less<>> spaces_;
  std::map<CubeId, std::string> where_;
};

}  // namespace

Made bm25(const Spec& spec) {
  Options options;
  TRY(OptionReader(spec)
          .read("k1", options.k1, 0.0, 10.0)
          .read("b", options.b, 0.0, 1.0)
          .read("date", options.date, 0, 1)
          .read("speaker", options.speaker, 0, 1)
          .done());
  return std::unique_ptr<Retriever>(new Bm25(options));
}

}  // namespace varve::retriever
