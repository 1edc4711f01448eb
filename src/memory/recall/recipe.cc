#include "memory/recall/recipe.h"

#include <algorithm>

namespace varve {
namespace {

// Round values near the best on conversations 1-5 of LoCoMo; 6-10 and other sets were left apart. eval/
// prints what they are worth on each.
constexpr std::string_view kDefault =
    "bm25:k1=0.9,b=0.4+context:dense=0,depth=60+speaker:weight=0.16+answer+session+time+feedback";
constexpr std::string_view kDefaultDense =
    "bm25:k1=0.9,b=0.4+dense+context:depth=150+speaker:weight=0.16+answer+session+time+feedback";

template <class T>
bool knows(const Registry<T>& registry, std::string_view name) {
  const auto names = registry.names();
  return std::find(names.begin(), names.end(), name) != names.end();
}

Status add_reranker(const Spec& spec, const RecipePorts& ports, RecallRecipe& recipe) {
  RecallPart part{.name = spec.name};
  part.reranker = TRY(rerankers().make(spec));
  if (part.reranker->reads_texts() && ports.scorer == nullptr) {
    return Status(Code::unsupported,
                  "'" + spec.name + "' needs a model that reads: give --model FILE, or leave it out");
  }
  recipe.parts.push_back(std::move(part));
  return {};
}

Status add_retriever(Spec spec, const RecipePorts& ports, RecallRecipe& recipe) {
  if (spec.name == "dense" && ports.embedder == nullptr) {
    return Status(Code::unsupported,
                  "'dense' needs embeddings: give --embeddings FOLDER, or leave dense out");
  }
  RecallPart part{.name = spec.name};
  if (auto weight = spec.options.extract("weight")) {
    Spec only{spec.name, {{"weight", weight.mapped()}}};
    TRY(OptionReader(only).read("weight", part.weight, 0.0, 100.0).done());
  }
  part.spec = spec.name;
  for (const auto& [key, value] : spec.options) {
    part.spec += (part.spec == spec.name ? ":" : ",") + key + "=" + value;
  }
  part.retriever = TRY(retrievers().make(spec));
  if (part.retriever->reads_vectors()) part.embedder = ports.embedder;
  recipe.parts.push_back(std::move(part));
  return {};
}

Status add_part(std::string_view text, const RecipePorts& ports, RecallRecipe& recipe) {
  Spec spec = TRY(parse_spec(text));
  if (knows(rerankers(), spec.name)) return add_reranker(spec, ports, recipe);
  if (knows(retrievers(), spec.name)) return add_retriever(std::move(spec), ports, recipe);
  if (!knows(fusions(), spec.name)) {
    return Status(Code::not_found, "no retriever, fusion or reranker named '" + spec.name + "'; there are " +
                                       retrievers().known() + "; " + fusions().known() + "; " +
                                       rerankers().known());
  }
  if (recipe.fusion != nullptr) return Status(Code::invalid, "a recall recipe has one fusion at most");
  recipe.fusion = TRY(fusions().make(spec));
  return {};
}

}  // namespace

Result<RecallRecipe> make_recipe(std::string_view text, const RecipePorts& ports) {
  const std::string_view shipped = ports.embedder != nullptr ? kDefaultDense : kDefault;
  std::string whole(text);  // "default" may be gone on with: "default+lineage"
  if (text == "default" || text.substr(0, 8) == "default+") whole.replace(0, 7, shipped);
  text = whole;
  RecallRecipe recipe;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find('+', at), text.size());
    TRY(add_part(text.substr(at, end - at), ports, recipe));
    at = end + 1;
  }
  if (recipe.parts.empty() || recipe.parts.front().retriever == nullptr) {
    return Status(Code::invalid, "a recall recipe begins with a retriever, e.g. bm25+context");
  }
  if (recipe.fusion == nullptr) recipe.fusion = TRY(fusions().make("best"));
  return recipe;
}

}  // namespace varve
