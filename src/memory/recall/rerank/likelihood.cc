// Likelihood: of the best `top` texts, those after which the running model would expect the question count
// more (query likelihood; Ponte & Croft 1998, by language models Sachan et al. 2022). It costs the model
// `top` short prompts. Where the model is busy, gone or out of budget, the order stays as it was.
#include <algorithm>
#include <cmath>

#include "memory/recall/rerank.h"

namespace varve::reranker {
namespace {

struct Options {
  int32_t top = 20;
  double weight =
      1;  // of the likeliest text; another counts less by the ratio of the mean token probabilities
};

class Likelihood : public Reranker {
 public:
  explicit Likelihood(const Options& options) : options_(options) {}
  bool reads_texts() const override { return true; }

  Status rerank(const Asked& asked, std::vector<Hit>& hits) const override {
    if (asked.scorer == nullptr || !asked.text) return {};
    std::vector<std::string> texts;
    std::vector<Hit*> read;
    for (Hit& hit : hits) {
      if (read.size() == size_t(options_.top)) break;
      auto text = asked.text(hit.id);
      if (!text.ok()) continue;  // erased since, or not for these eyes
      texts.push_back(std::move(text).value());
      read.push_back(&hit);
    }
    const std::vector<std::string_view> views(texts.begin(), texts.end());
    const auto scores = asked.scorer->score(asked.query.text, views);
    if (!scores.ok() || scores->empty()) return {};
    const float best = *std::max_element(scores->begin(), scores->end());
    for (size_t i = 0; i < read.size(); ++i)
      read[i]->score += float(options_.weight * std::exp(double((*scores)[i]) - best));
    sort_hits(hits);
    return {};
  }

 private:
  Options options_;
};

}  // namespace

Made likelihood(const Spec& spec) {
  Options options;
  TRY(OptionReader(spec).read("top", options.top, 1, 64).read("weight", options.weight, 0.0, 100.0).done());
  return std::unique_ptr<Reranker>(new Likelihood(options));
}

}  // namespace varve::reranker
