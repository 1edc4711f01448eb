#include "memory/recall/recall.h"

#include <algorithm>

#include "memory/cube/governance.h"
#include "memory/recall/indexes.h"

namespace varve {
namespace {

constexpr int32_t kReadAtOnce = 64;   // texts
constexpr int32_t kPool = 200;        // candidates of each retriever
constexpr int32_t kFiltered = 5;      // times as many where only some may count
constexpr int32_t kCounted = 100000;  // cubes that a question about all may look at
constexpr int64_t kLeast = 16;        // bytes of an allowance too small to look for what fills it

// What each part of the recipe found or made of it, in order: for `explain`.
struct Stage {
  std::string name;
  std::vector<Hit> hits;
};

class RecallOverStore : public Recall {
 public:
  RecallOverStore(std::unique_ptr<Indexes> indexes, std::unique_ptr<Fusion> fusion, CubeStore& store,
                  Scorer* scorer, const Clock& clock)
      : indexes_(std::move(indexes)),
        fusion_(std::move(fusion)),
        store_(store),
        scorer_(scorer),
        clock_(clock) {}

  Result<std::vector<Recalled>> gather(const Principal& who, const RecallQuery& query) const override {
    const std::vector<std::string> spaces = TRY(spaces_of(who, query));
    const QueryVectors vectors = indexes_->embed(query.text);
    Query asked{
        query.text, vectors.of(nullptr), spaces, query.as_of, query.reference.value_or(clock_.now_ms()), {}};
    const Question question = read_question(query.text);
    std::vector<Stage> stages;
    std::vector<Hit> ranked = TRY(rank(query, asked, vectors, question, stages));
    TRY(read_texts(who, asked, question, ranked, stages));
    return take(who, query, ranked, stages);
  }

  Result<std::optional<Aggregate>> aggregate(const Principal& who, const RecallQuery& query) const override {
    const auto plan = read_aggregate(query.text, query.reference.value_or(clock_.now_ms()));
    if (!plan) return std::optional<Aggregate>();
    const std::vector<std::string> spaces = TRY(spaces_of(who, query));
    const std::string words = plan->extreme ? plan->extreme->search : plan->words;
    const Query asked{words, {}, spaces, query.as_of, 0, {}};
    Aggregate result;
    {
      const auto lock = indexes_->reading();
      const Entries& entries = indexes_->entries();
      std::vector<uint32_t> slots;
      const TimeMs when = query.as_of.value_or(clock_.now_ms());
      for (const Hit& hit : TRY(indexes_->parts().front().retriever->search(asked, kCounted))) {
        const uint32_t slot = entries.find(hit.id);
        if (slot != Entries::kNone && counts(query, entries[slot], when)) slots.push_back(slot);
      }
      result = run_aggregate(*plan, entries, slots);
    }
    if (plan->extreme && !TRY(measure(who, query, result))) return std::optional<Aggregate>();
    std::vector<Hit> evidence;
    for (CubeId id : result.cubes) evidence.push_back({id, 1});
    result.evidence = TRY(take(who, query, evidence, {{"aggregate", evidence}}));
    return std::optional<Aggregate>(std::move(result));
  }

  int64_t bytes() const override { return indexes_->bytes(); }
  RecallState state() const override { return indexes_->state(); }
  Status rebuild() override { return indexes_->rebuild(); }
  Status settle() override { return indexes_->settle(); }

 private:
  Result<std::vector<std::string>> spaces_of(const Principal& who, const RecallQuery& query) const {
    std::vector<std::string> spaces = TRY(store_.readable_spaces(who));
    if (!query.space.empty())
      std::erase_if(spaces, [&](const std::string& one) { return one != query.space; });
    return spaces;
  }

  // The numbers of what was found, read in parts so that no more than some of the texts are here at once.
  Result<bool> measure(const Principal& who, RecallQuery query, Aggregate& result) const {
    query.token_budget = 0;
    query.limit = kReadAtOnce;
    query.skip_session.clear();
    std::vector<std::pair<CubeId, Number>> found;
    for (size_t at = 0; at < result.cubes.size(); at += kReadAtOnce) {
      std::vector<Hit> some;
      for (size_t i = at; i < std::min(result.cubes.size(), at + kReadAtOnce); ++i)
        some.push_back({result.cubes[i], 1});
      for (const Recalled& one : TRY(take(who, query, some, {}))) {
        for (Number& number : numbers_for(*result.plan.extreme, one.text, one.header.speaker))
          found.emplace_back(one.header.id, std::move(number));
      }
    }
    return rank_extreme(result, std::move(found));
  }

  // Whether a cube may count at all; take() asks the store once more.
  bool counts(const RecallQuery& query, const Entries::Entry& entry, TimeMs when) const {
    const bool past = query.as_of || query.known_at;
    if (entry.closed && !past) return false;
    if (!query.known_at && (when < entry.valid_from || entry.valid_to <= when)) return false;
    return query.kinds.empty() || std::any_of(query.kinds.begin(), query.kinds.end(),
                                              [&](const auto& kind) { return term_key(kind) == entry.kind; });
  }

  Result<std::vector<Hit>> rank(const RecallQuery& wanted, Query& query, const QueryVectors& vectors,
                                const Question& question, std::vector<Stage>& stages) const {
    const auto lock = indexes_->reading();
    TRY(indexes_->fits());
    const Entries& entries = indexes_->entries();
    const std::vector<TimeRange> times = TRY(times_in(query, entries));
    query.times = times;
    const bool filtered = wanted.as_of || wanted.known_at || !wanted.kinds.empty();
    const int32_t pool = filtered ? kPool * kFiltered : kPool;
    const size_t most = size_t(pool) * 2;
    const TimeMs when = wanted.as_of.value_or(clock_.now_ms());
    const auto may_count = [&](const Hit& hit) {
      const uint32_t slot = entries.find(hit.id);
      return slot != Entries::kNone && counts(wanted, entries[slot], when);
    };
    const Asked asked{query, question, entries};
    std::vector<Hit> hits;
    std::vector<std::pair<double, std::vector<Hit>>> lists;
    for (const RecallPart& part : indexes_->parts()) {
      if (part.former) continue;  // with the one before it
      if (part.retriever != nullptr) {
        lists.emplace_back(part.weight, TRY(search(part, query, vectors, pool)));
        std::erase_if(lists.back().second, [&](const Hit& hit) { return !may_count(hit); });
        stages.push_back({part.name, lists.back().second});
        hits = fused(lists);
      } else if (!runs_last(*part.reranker)) {
        TRY(part.reranker->rerank(asked, hits));
        if (hits.size() > most) hits.resize(most);  // neighbours came in; who is so far behind stays there
        stages.push_back({part.name, hits});
      }
    }
    std::erase_if(hits, [&](const Hit& hit) { return !may_count(hit); });  // neighbours may have come in
    query.times = {};
    return hits;
  }

  // A part, and the vectors that a former embedder left of it: cosines both, so one list.
  Result<std::vector<Hit>> search(const RecallPart& part, const Query& query, const QueryVectors& vectors,
                                  int32_t pool) const {
    std::vector<Hit> list = TRY(part.retriever->search(query, pool));
    const RecallPart* end = indexes_->parts().data() + indexes_->parts().size();
    for (const RecallPart* one = &part + 1; one != end && one->former; ++one) {
      Query own = query;
      own.vector = vectors.of(one->embedder);
      const std::vector<Hit> more = TRY(one->retriever->search(own, pool));
      list.insert(list.end(), more.begin(), more.end());
      sort_hits(list);
    }
    return list;
  }

  // What the text says of time; the event of "before my birthday" is the best that its words find.
  Result<std::vector<TimeRange>> times_in(const Query& query, const Entries& entries) const {
    TimeWords words = read_times(query.text, query.reference);
    if (!words.anchored) return words.ranges;
    Query event = query;
    event.text = words.anchored->event;
    event.vector = {};
    for (const Hit& hit : TRY(indexes_->parts().front().retriever->search(event, 1))) {
      const uint32_t slot = entries.find(hit.id);
      if (slot == Entries::kNone) continue;
      const Entries::Entry& entry = entries[slot];
      words.ranges.push_back(range_around(*words.anchored, entry.event.value_or(entry.recorded)));
    }
    return words.ranges;
  }

  std::vector<Hit> fused(const std::vector<std::pair<double, std::vector<Hit>>>& lists) const {
    std::vector<RankedList> ranked;
    for (const auto& [weight, hits] : lists) ranked.push_back({weight, hits});
    return fuse(*fusion_, ranked);
  }

  // Rerankers that want the words, without the lock: they may take as long as a model takes.
  Status read_texts(const Principal& who, const Query& query, const Question& question,
                    std::vector<Hit>& hits, std::vector<Stage>& stages) const {
    std::vector<std::pair<std::string, const Reranker*>> readers;
    {
      const auto lock = indexes_->reading();
      for (const RecallPart& part : indexes_->parts()) {
        if (part.reranker == nullptr || !runs_last(*part.reranker)) continue;
        readers.emplace_back(part.name, part.reranker.get());
      }
    }
    const Asked asked{query,
                      question,
                      indexes_->entries(),
                      scorer_,
                      [&](CubeId id) { return store_.payload(who, id); },
                      [&](CubeId id) { return kinship(who, id); }};
    for (const auto& [name, reader] : readers) {
      TRY(reader->rerank(asked, hits));
      stages.push_back({name, hits});
    }
    return {};
  }

  static bool runs_last(const Reranker& one) { return one.reads_texts() || one.reads_lineage(); }

  Result<Kinship> kinship(const Principal& who, CubeId id) const {
    const CubeHeader header = TRY(store_.head(who, id));
    Kinship kin{.kind = header.kind, .sources = {}, .derived = {}, .linked = {}};
    const bool evidence = is_evidence(header.kind) || header.kind == "passage";
    for (const Source& source : header.from) {
      if (!evidence) kin.sources.push_back(source.cube);
    }
    for (const CubeHeader& child : TRY(store_.derived(who, id))) {
      if (child.life != Life::active || is_evidence(child.kind)) continue;
      if (child.payload_bytes > 0) kin.derived.push_back(child.id);
      if (child.payload_bytes > 0 || child.from.size() != 2) continue;
      kin.linked.push_back(child.from[child.from[0].cube == id].cube);
    }
    return kin;
  }

  // Reads the best from the store, which checks rights once more, until the allowance is full.
  Result<std::vector<Recalled>> take(const Principal& who, const RecallQuery& query,
                                     const std::vector<Hit>& ranked, const std::vector<Stage>& stages) const {
    std::vector<Recalled> all;
    int64_t left = query.token_budget > 0 ? int64_t(query.token_budget) * 4 : INT64_MAX;
    for (const Hit& hit : ranked) {
      if (all.size() >= size_t(std::max(0, query.limit)) || left < kLeast) break;
      auto head =
          query.known_at ? store_.governance().as_of(who, hit.id, *query.known_at) : store_.head(who, hit.id);
      if (!head.ok()) continue;  // erased or closed since it was ranked, or not yet there
      if (!wanted(query, *head) || head->payload_bytes > left) continue;
      auto text = store_.payload(who, hit.id, head->version);
      if (text.code() == Code::not_found) continue;  // erased just now
      if (!text.ok()) return std::move(text).status();
      left -= int64_t(text->size());
      all.push_back({std::move(head).value(), std::move(text).value(), hit.score, {}});
    }
    explain(stages, all);
    return all;
  }

  bool wanted(const RecallQuery& query, const CubeHeader& header) const {
    const bool spoken = !query.skip_session.empty() && header.session == query.skip_session &&
                        header.turn >= query.skip_from_turn;
    if (spoken) return false;
    if (!query.kinds.empty() &&
        std::find(query.kinds.begin(), query.kinds.end(), header.kind) == query.kinds.end()) {
      return false;
    }
    // What has ended since was true at an earlier time.
    const bool ended = header.life == Life::expired && query.as_of.has_value();
    if (header.life != Life::active && !ended) return false;
    const TimeMs when = query.as_of.value_or(query.known_at.value_or(clock_.now_ms()));
    return (!header.valid_from || *header.valid_from <= when) &&
           (!header.valid_to || when < *header.valid_to);
  }

  static void explain(const std::vector<Stage>& stages, std::vector<Recalled>& all) {
    KeyTable<CubeId> places;
    for (const Recalled& one : all) places.add(one.header.id);
    for (const Stage& stage : stages) {
      for (const Hit& hit : stage.hits) {
        const uint32_t place = places.find(hit.id);
        if (place != KeyTable<CubeId>::kNone) all[place].parts.emplace_back(stage.name, hit.score);
      }
    }
  }

  std::unique_ptr<Indexes> indexes_;
  std::unique_ptr<Fusion> fusion_;
  CubeStore& store_;
  Scorer* scorer_;
  const Clock& clock_;
};

}  // namespace

Result<std::unique_ptr<Recall>> Recall::make(std::string_view recipe, CubeStore& store,
                                             const Embedder* embedder, Ledger& ledger, const Clock& clock,
                                             const RecallGround& ground) {
  RecallRecipe made = TRY(make_recipe(recipe, {embedder, ground.scorer}));
  auto indexes = TRY(Indexes::open(std::move(made.parts), store, embedder, ledger, ground));
  return std::unique_ptr<Recall>(
      new RecallOverStore(std::move(indexes), std::move(made.fusion), store, ground.scorer, clock));
}

}  // namespace varve
