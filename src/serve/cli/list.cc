// varve list and varve settings: every method of every seam, every setting. Read from the registries, so
// nothing can be missing.
#include <ostream>

#include "learn/compress/compressor.h"
#include "learn/form/form.h"
#include "learn/objective/objective.h"
#include "learn/optim/optimizer.h"
#include "learn/select/selector.h"
#include "learn/tune/recipe.h"
#include "learn/world/kind.h"
#include "math/codec/codec.h"
#include "memory/recall/rerank.h"
#include "memory/recall/retriever.h"
#include "memory/reflect/recipe.h"
#include "memory/reflect/reflector.h"
#include "run/engine/scheduler.h"
#include "run/kv/policy.h"
#include "run/model/arch/family.h"
#include "run/model/choose/chooser.h"
#include "serve/cli/builtin.h"
#include "serve/home/settings.h"

namespace varve {
namespace {

void add(Json& all, std::string_view seam, std::string_view name, std::string_view summary) {
  Json one = Json::object();
  all.push(std::move(one.set("seam", seam).set("name", name).set("summary", summary)));
}
template <class T>
void add(Json& all, std::string_view seam, const Registry<T>& registry) {
  for (const auto& entry : registry.entries()) add(all, seam, entry.name, entry.summary);
}

std::string padded(const std::string& text, size_t width) {
  return text + std::string(text.size() < width ? width - text.size() : 1, ' ');
}

}  // namespace

Result<int> run_list(Args& args, Console& console) {
  const bool json = args.flag("--json");
  TRY(args.rest(0, 0, "no more words"));
  Json all = Json::array();
  add(all, "codec", codecs());
  for (const Family& one : families()) add(all, "model family", one.name, one.summary);
  add(all, "kv policy", kv_policies());
  add(all, "kv allotter", kv_allotters());
  add(all, "neurons", neuron_choosers());
  add(all, "scheduler", schedulers());
  add(all, "retriever", retrievers());
  add(all, "reranker", rerankers());
  add(all, "reflector", reflectors());
  for (const MemoryRecipe& one : memory_recipes()) {
    const std::string made = " [" + std::string(one.reflectors) + "; " + std::string(one.recall) + "; " +
                             std::to_string(one.recall_tokens) + " tokens]";
    add(all, "recipe", one.name, std::string(one.summary) + made);
  }
  add(all, "dialogue", world::kinds());
  for (const RecipeEntry& one : recipes()) add(all, "recipe", one.name, one.summary);
  add(all, "optimizer", optimizers());
  add(all, "selector", selectors());
  add(all, "form", forms());
  add(all, "objective", objectives());
  add(all, "compressor", compressors());
  if (json) {
    console.out << all.dump() << "\n";
    return 0;
  }
  std::string seam;
  for (const Json& one : all.as_array()) {
    if (one["seam"].as_string() != seam)
      console.out << (seam.empty() ? "" : "\n") << one["seam"].as_string() << "\n";
    seam = one["seam"].as_string();
    console.out << "  " << padded(one["name"].as_string(), 16) << one["summary"].as_string() << "\n";
  }
  return 0;
}

Result<int> run_settings(Args& args, Console& console) {
  const bool json = args.flag("--json");
  TRY(args.rest(0, 0, "no more words"));
  HomeOptions defaults;
  Json all = Json::array();
  for (const Setting& one : settings_of(defaults)) {
    Json row = Json::object();
    row.set("name", one.name)
        .set("default", one.text())
        .set("range", one.range())
        .set("sentence", one.sentence);
    all.push(std::move(row));
    if (json) continue;
    console.out << padded(std::string(one.name), 16) << one.sentence << " (" << one.range() << "; default "
                << (one.text().empty() ? "none" : one.text()) << ")\n";
  }
  if (json) console.out << all.dump() << "\n";
  return 0;
}

}  // namespace varve
