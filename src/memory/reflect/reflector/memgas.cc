// MemGAS (Xu et al. 2025, "From Single to Multi-Granularity: Toward Long-Term Memory Association and
// Selection of Conversational Agents"): a stretch of conversation is kept at several granularities (its
// turns, its key words, its summary), and a new stretch is associated with those old ones whose likeness a
// mixture of two Gaussians assigns to the upper. Recall weighs the granularities by how sure each is (the
// reranker `entropy`). Difference: stretches are `segment` turns, so that a conversation needs no end. One
// answer of the Writer a segment; without one, there is no summary.
#include "memory/reflect/ask.h"
#include "memory/reflect/shared/mixture.h"
#include "memory/reflect/shared/rolling.h"

namespace varve::reflector {
namespace {

constexpr std::string_view kWords = "memgas.keywords", kSummary = "memgas.summary", kLink = "memgas.link";
constexpr size_t kCompared = 50;

struct Options {
  int segment = 4;  // turns
  int words = 12;
  int links = 5;  // of one segment, at most
};

class MemGas : public Reflector {
 public:
  explicit MemGas(const Options& options) : options_(options) {}
  std::vector<std::string> kinds() const override {
    return {std::string(kWords), std::string(kSummary), std::string(kLink)};
  }

  Result<std::vector<MemoryOp>> reflect(const Principal& who, const Turn& turn, const Known& known,
                                        Writer* writer) const override {
    std::vector<MemoryOp> ops;
    if (evidence_of(turn).empty() || (turn.index + 1) % options_.segment != 0) return ops;
    const Stretch segment = TRY(segment_of(who, turn, known, options_.segment));
    std::vector<std::string> words = key_words(segment.words, size_t(options_.words));
    std::string summary;
    if (writer != nullptr && !segment.from.empty()) {
      const Json made = TRY(ask(
          *writer,
          {.words = "A part of a conversation. 'summary': what it is about and what is said, in one or "
                    "two sentences. 'keywords': the specific things, people and places in it.",
           .material =
               Json::object().set("date", format_time(turn.time).substr(0, 10)).set("part", segment.words),
           .example = R"({"summary": "..", "keywords": [".."]})",
           .shape = answer::record({{"summary", answer::text(400)},
                                    {"keywords", answer::list(answer::text(40), options_.words)}})}));
      summary = made["summary"].as_string();
      words.clear();
      for (const Json& one : made["keywords"].as_array())
        if (!one.as_string().empty()) words.push_back(one.as_string());
    }
    if (words.empty() || segment.from.empty()) return ops;
    const std::string text = joined(words, ", ");
    ops.push_back(derived(turn, kWords, text));
    if (!summary.empty()) ops.push_back(derived(turn, kSummary, std::move(summary)));
    for (MemoryOp& op : ops) op.draft.header.from = segment.from;
    TRY(associate(who, turn, known, text, ops));
    return ops;
  }

 private:
  Status associate(const Principal& who, const Turn& turn, const Known& known, const std::string& text,
                   std::vector<MemoryOp>& ops) const {
    const std::vector<Unit> old = TRY(nearest(who, turn, known, text, kWords, kCompared));
    std::vector<double> likenesses;
    for (const Unit& one : old) likenesses.push_back(one.likeness);
    const Mixture mixture = fit_mixture(likenesses);
    for (size_t i = 0; i < old.size() && i < size_t(options_.links); ++i) {
      if (mixture.high(old[i].likeness) > 0.5) ops.push_back(link(turn, kLink, 0, old[i].header.id));
    }
    return {};
  }

  const Options options_;
};

}  // namespace

Made memgas(const Spec& spec) {
  Options options;
  TRY(OptionReader(spec)
          .read("segment", options.segment, 1, 64)
          .read("words", options.words, 1, 40)
          .read("links", options.links, 0, 20)
          .done());
  return std::unique_ptr<Reflector>(new MemGas(options));
}

}  // namespace varve::reflector
