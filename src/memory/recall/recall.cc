#include "memory/recall/recall.h"

#include <algorithm>

#include "memory/recall/present.h"
#include "memory/recall/rerank.h"

namespace varve {
namespace {

// Round values from published sweeps, not fitted to the evaluation; eval/locomo.cc prints what they are
// worth.
constexpr std::string_view kDefault = "bm25:k1=0.9,b=0.4+context:dense=0+speaker+answer+session+time";
constexpr std::string_view kDefaultDense = "bm25:k1=0.9,b=0.4+dense+context+speaker+answer+session+time";
constexpr int32_t kPool = 200;  // candidates of each retriever
constexpr int kChangesBetweenBooking = 512;

struct Part {
  std::string name;
  double weight = 1;
  std::unique_ptr<Retriever> retriever;  // or
  std::unique_ptr<Reranker> reranker;
};

template <class T>
bool knows(const Registry<T>& registry, std::string_view name) {
  const auto names = registry.names();
  return std::find(names.begin(), names.end(), name) != names.end();
}

Result<Part> make_part(std::string_view text, bool embedder, bool scorer) {
  Spec spec = TRY(parse_spec(text));
  Part part{.name = spec.name};
  if (knows(rerankers(), spec.name)) {
    part.reranker = TRY(rerankers().make(spec));
    if (part.reranker->reads_texts() && !scorer) {
      return Status(Code::unsupported,
                    "'" + spec.name + "' needs a model that reads: give --model FILE, or leave it out");
    }
    return part;
  }
  if (!knows(retrievers(), spec.name)) {
    return Status(Code::not_found, "no retriever or reranker named '" + spec.name + "'; there are " +
                                       retrievers().known() + ", " + rerankers().known());
  }
  if (spec.name == "dense" && !embedder) {
    return Status(Code::unsupported,
                  "'dense' needs embeddings: give --embeddings FOLDER, or leave dense out");
  }
  if (auto weight = spec.options.extract("weight")) {
    Spec only{spec.name, {{"weight", weight.mapped()}}};
    TRY(OptionReader(only).read("weight", part.weight, 0.0, 100.0).done());
  }
  part.retriever = TRY(retrievers().make(spec));
  return part;
}

Result<std::vector<Part>> make_parts(std::string_view recipe, bool embedder, bool scorer) {
  if (recipe == "default") recipe = embedder ? kDefaultDense : kDefault;
  std::vector<Part> parts;
  for (size_t at = 0; at <= recipe.size();) {
    const size_t end = std::min(recipe.find('+', at), recipe.size());
    parts.push_back(TRY(make_part(recipe.substr(at, end - at), embedder, scorer)));
    at = end + 1;
  }
  if (parts.front().retriever == nullptr) {
    return Status(Code::invalid, "a recall recipe begins with a retriever, e.g. bm25+neighbours");
  }
  return parts;
}

struct Candidate {
  float score = 0;
  std::vector<std::pair<std::string, float>> parts;
};

class RecallOverStore : public Recall {
 public:
  RecallOverStore(std::vector<Part> parts, CubeStore& store, const Embedder* embedder, Scorer* scorer,
                  Reservation booked, const Clock& clock)
      : parts_(std::move(parts)),
        store_(store),
        embedder_(embedder),
        scorer_(scorer),
        clock_(clock),
        booked_(std::move(booked)) {}
  ~RecallOverStore() override { store_.observe(nullptr).ignore("the store may be closing"); }

  void changed(const CubeHeader& header, std::string_view payload) override {
    const bool recallable = header.life == Life::active && header.form == Form::plaintext &&
                            !payload.empty() && !is_recalled_text(payload);
    std::vector<float> vector;
    if (recallable && embedder_ != nullptr) {
      auto embedded = embedder_->embed(payload);
      if (embedded.ok()) vector = std::move(embedded).value();  // else the words still find it
    }
    std::lock_guard lock(mutex_);
    forget(header.id);
    if (recallable) {
      entries_.add(header, payload, vector);
      for (Part& part : parts_) {
        if (part.retriever == nullptr) continue;
        part.retriever->add(header, payload, vector)
            .ignore("a cube without a fitting vector is found by its words");
      }
    }
    book();
  }

  void erased(const CubeHeader& header) override {
    std::lock_guard lock(mutex_);
    forget(header.id);
    book();
  }

  Result<std::vector<Recalled>> gather(const Principal& who, const RecallQuery& query) const override {
    std::vector<std::string> spaces = TRY(store_.readable_spaces(who));
    if (!query.space.empty())
      std::erase_if(spaces, [&](const std::string& one) { return one != query.space; });
    std::vector<float> vector;
    if (embedder_ != nullptr) vector = TRY(embedder_->embed(query.text));
    const Query asked{query.text, vector, spaces, query.as_of, query.reference.value_or(clock_.now_ms())};
    std::map<CubeId, Candidate> found;
    std::vector<Hit> ranked = TRY(rank(asked, found));
    TRY(reread(who, asked, ranked));
    return take(who, query, ranked, found);
  }

  int64_t bytes() const override {
    std::lock_guard lock(mutex_);
    return index_bytes();
  }

 private:
  void forget(CubeId id) {
    entries_.remove(id);
    for (Part& part : parts_) {
      if (part.retriever != nullptr) part.retriever->remove(id);
    }
  }

  int64_t index_bytes() const {
    int64_t sum = entries_.bytes();
    for (const Part& part : parts_) sum += part.retriever != nullptr ? part.retriever->bytes() : 0;
    return sum;
  }

  // Keeps the ledger true without counting at each change. A refusal stops recall, never a write: evidence is
  // kept.
  void book() {
    if (changes_++ % kChangesBetweenBooking != 0) return;
    over_budget_ = !booked_.resize(index_bytes()).ok();
  }

  Result<std::vector<Hit>> rank(const Query& query, std::map<CubeId, Candidate>& found) const {
    std::lock_guard lock(mutex_);
    if (over_budget_) {
      return Status(Code::over_budget, "the recall index needs " + std::to_string(index_bytes()) +
                                           " bytes, more than the budget leaves: raise --budget");
    }
    const Question question = read_question(query.text);
    const std::vector<TimeRange> times = TRY(times_in(query));
    const Asked asked{query, question, entries_, times};
    std::vector<Hit> hits;
    for (const Part& part : parts_) {
      if (part.reranker != nullptr) {
        if (part.reranker->reads_texts()) continue;
        if (hits.empty()) hits = fused(found);
        TRY(part.reranker->rerank(asked, hits));
        continue;
      }
      const std::vector<Hit> list = TRY(part.retriever->search(query, kPool));
      // Scores of one retriever are comparable only among themselves: the best of each list counts as its
      // weight.
      const float best = list.empty() ? 1 : std::max(list.front().score, 1e-6f);
      for (const Hit& hit : list) {
        Candidate& candidate = found[hit.id];
        candidate.parts.emplace_back(part.name, hit.score);
        candidate.score += float(part.weight) * std::max(0.0f, hit.score / best);
      }
      hits.clear();
    }
    return hits.empty() ? fused(found) : hits;
  }

  // Those who read texts ask a model, which takes its time: they come last, without the lock.
  Status reread(const Principal& who, const Query& query, std::vector<Hit>& hits) const {
    const Question question = read_question(query.text);
    const Asked asked{query, question, entries_,
                      {},    scorer_,  [&](CubeId id) { return store_.payload(who, id); }};
    for (const Part& part : parts_) {
      if (part.reranker != nullptr && part.reranker->reads_texts()) TRY(part.reranker->rerank(asked, hits));
    }
    return {};
  }

  // What the text says of time; the event of "before my birthday" is the best that its words find.
  Result<std::vector<TimeRange>> times_in(const Query& query) const {
    TimeWords words = read_times(query.text, query.reference);
    if (!words.anchored) return words.ranges;
    Query event = query;
    event.text = words.anchored->event;
    event.vector = {};
    for (const Hit& hit : TRY(parts_.front().retriever->search(event, 1))) {
      const uint32_t slot = entries_.find(hit.id);
      if (slot == Entries::kNone) continue;
      const Entries::Entry& entry = entries_[slot];
      words.ranges.push_back(range_around(*words.anchored, entry.event.value_or(entry.recorded)));
    }
    return words.ranges;
  }

  static std::vector<Hit> fused(const std::map<CubeId, Candidate>& found) {
    std::vector<Hit> hits;
    for (const auto& [id, candidate] : found) hits.push_back({id, candidate.score});
    std::stable_sort(hits.begin(), hits.end(), [](const Hit& a, const Hit& b) { return a.score > b.score; });
    return hits;
  }

  // Reads the best from the store, which checks rights once more, until the allowance is full.
  Result<std::vector<Recalled>> take(const Principal& who, const RecallQuery& query,
                                     const std::vector<Hit>& ranked,
                                     std::map<CubeId, Candidate>& found) const {
    const TimeMs when = query.as_of.value_or(clock_.now_ms());
    std::vector<Recalled> all;
    int64_t left = query.token_budget > 0 ? int64_t(query.token_budget) * 4 : INT64_MAX;
    for (const Hit& hit : ranked) {
      if (all.size() >= size_t(std::max(0, query.limit))) break;
      auto head = store_.head(who, hit.id);
      if (!head.ok()) continue;  // erased or closed since it was ranked
      if (head->life != Life::active || !valid_at(*head, when)) continue;
      if (!query.skip_session.empty() && head->session == query.skip_session &&
          head->turn >= query.skip_from_turn) {
        continue;
      }
      if (head->payload_bytes > left) continue;
      auto text = store_.payload(who, hit.id);
      if (!text.ok()) return std::move(text).status();
      left -= int64_t(text->size());
      all.push_back(
          {std::move(head).value(), std::move(text).value(), hit.score, std::move(found[hit.id].parts)});
    }
    return all;
  }

  static bool valid_at(const CubeHeader& header, TimeMs when) {
    return (!header.valid_from || *header.valid_from <= when) &&
           (!header.valid_to || when < *header.valid_to);
  }

  std::vector<Part> parts_;
  CubeStore& store_;
  const Embedder* embedder_;
  Scorer* scorer_;
  const Clock& clock_;
  mutable std::mutex mutex_;  // the index swap lock of ARCHITECTURE.md; never held while the store is called
  Entries entries_;
  Reservation booked_;
  int64_t changes_ = 0;
  bool over_budget_ = false;
};

}  // namespace

Result<std::unique_ptr<Recall>> Recall::make(std::string_view recipe, CubeStore& store,
                                             const Embedder* embedder, Ledger& ledger, const Clock& clock,
                                             Scorer* scorer) {
  std::vector<Part> parts = TRY(make_parts(recipe, embedder != nullptr, scorer != nullptr));
  Reservation booked = TRY(ledger.reserve(Tag::index, 0));
  std::unique_ptr<Recall> recall =
      std::make_unique<RecallOverStore>(std::move(parts), store, embedder, scorer, std::move(booked), clock);
  TRY(store.observe(recall.get()));
  return recall;
}

}  // namespace varve
