// HotpotQA (Yang et al. 2018), 50 questions over 500 passages, ten of each question's own: the gold are those
// of the ten that hold the answer's words. Questions to be answered by yes or no have none.
#include <algorithm>

#include "core/format/json.h"
#include "eval/collection.h"

namespace varve::eval {
namespace {

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return c < 128 ? std::tolower(c) : c; });
  return text;
}

}  // namespace

Result<std::vector<Measure>> hotpot(const Spec& options) {
  const std::string folder = option(options, "data", "../shared/data/hotpot");
  const JsonLimits limits{.max_bytes = 64u << 20, .max_items = 4000000};
  const std::string passages = TRY(read_data({}, "data", folder + "/hotpot_50_corpus.json"));
  const std::string pairs = TRY(read_data({}, "data", folder + "/hotpot_50_qa_pairs.json"));
  const Json corpus = TRY(parse_json(passages, limits));
  const Json questions = TRY(parse_json(pairs, limits));
  Collection collection;
  for (const Json& passage : corpus.as_array()) collection.documents.push_back({"", passage.as_string()});
  for (size_t i = 0; i < questions.as_array().size(); ++i) {
    const Json& pair = questions.as_array()[i];
    Collection::Question question{pair["question"].as_string(), {}};
    const std::string answer = lower(pair["answer"].as_string());
    for (size_t at = i * 10; at < std::min(i * 10 + 10, collection.documents.size()); ++at) {
      if (answer != "yes" && answer != "no" &&
          lower(collection.documents[at].text).find(answer) != std::string::npos)
        question.gold[at] = 1;
    }
    collection.questions.push_back(std::move(question));
  }
  return measure(collection, options);
}

}  // namespace varve::eval
