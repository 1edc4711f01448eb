// The recipe of KV: parsing, and what a sequence needs under it.
#include <algorithm>
#include <map>

#include "run/kv/kv_pool.h"

namespace varve {
namespace {

constexpr std::string_view kPacks[] = {"f32", "f16", "bf16", "q8_0"};

using Pairs = std::map<std::string, std::string, std::less<>>;

Result<Pairs> split(std::string_view text) {
  Pairs pairs;
  while (true) {
    text.remove_prefix(std::min(text.find_first_not_of(" \t\n"), text.size()));
    if (text.empty()) return pairs;
    const std::string_view word = text.substr(0, text.find_first_of(" \t\n"));
    const size_t equals = word.find('=');
    if (equals == std::string_view::npos || equals == 0) {
      return Status(Code::invalid, "expected key=value in the KV recipe, got '" + std::string(word) + "'");
    }
    if (!pairs.emplace(word.substr(0, equals), word.substr(equals + 1)).second) {
      return Status(Code::invalid,
                    "the KV recipe says " + std::string(word.substr(0, equals)) + " more than once");
    }
    text.remove_prefix(word.size());
  }
}

Status only(const Pairs& pairs, std::string_view key, std::string_view value) {
  auto found = pairs.find(key);
  if (found == pairs.end() || found->second == value) return {};
  return Status(Code::invalid,
                "no " + std::string(key) + " named '" + found->second + "'; there is " + std::string(value));
}

Status check_keys(const Pairs& pairs) {
  for (const auto& [key, value] : pairs) {
    if (key != "policy" && key != "budget_tokens" && key != "allot" && key != "pack" && key != "select") {
      return Status(Code::invalid, "unknown key '" + key +
                                       "' in the KV recipe; there are policy, budget_tokens, allot, pack, "
                                       "select");
    }
  }
  return only(pairs, "select", "all");
}

Status read_pack(const Pairs& pairs, std::string& pack) {
  auto found = pairs.find("pack");
  if (found == pairs.end()) return {};
  if (std::find(std::begin(kPacks), std::end(kPacks), found->second) == std::end(kPacks)) {
    std::string known;
    for (std::string_view one : kPacks) known.append(known.empty() ? "" : ", ").append(one);
    return Status(Code::invalid, "no pack named '" + found->second + "'; there are " + known);
  }
  pack = found->second;
  return {};
}

Status read_policy(const Pairs& pairs, KvRecipe& recipe) {
  Spec budget{"", {}};
  if (auto found = pairs.find("budget_tokens"); found != pairs.end()) budget.options.insert(*found);
  TRY(OptionReader(budget).read("budget_tokens", recipe.budget_tokens, 1, 1 << 30).done());
  if (auto found = pairs.find("policy"); found != pairs.end()) recipe.policy = found->second;
  if (recipe.policy == "full") {
    if (recipe.budget_tokens == 0) return {};
    return Status(Code::invalid, "budget_tokens needs a policy that says which tokens stay; there are " +
                                     kv_policies().known());
  }
  auto policy = kv_policies().make(recipe.policy);
  if (policy.code() == Code::not_found) {
    return Status(Code::invalid,
                  "no KV policy named '" + recipe.policy + "'; there are full, " + kv_policies().known());
  }
  const KvNeeds needs = TRY(std::move(policy))->needs();
  if (recipe.budget_tokens == 0) recipe.budget_tokens = needs.tokens;
  if (recipe.budget_tokens > 0) return {};
  return Status(Code::invalid, "policy=" + recipe.policy + " needs budget_tokens");
}

Status read_allot(const Pairs& pairs, KvRecipe& recipe) {
  auto found = pairs.find("allot");
  if (found == pairs.end()) return {};
  recipe.allot = found->second;
  auto allotter = kv_allotters().make(recipe.allot);
  if (allotter.code() == Code::not_found) {
    return Status(Code::invalid,
                  "no KV allotter named '" + recipe.allot + "'; there are " + kv_allotters().known());
  }
  TRY(std::move(allotter));
  if (recipe.policy != "full" || recipe.allot == "uniform") return {};
  return Status(Code::invalid, "allot shares a budget out, and policy=full has none; name a policy");
}

}  // namespace

Result<KvMethods> make_kv_methods(const KvRecipe& recipe) {
  KvMethods methods;
  if (recipe.policy == "full") return methods;
  if (recipe.budget_tokens < 1) return Status(Code::invalid, "a KV policy needs budget_tokens");
  methods.budget_tokens = recipe.budget_tokens;
  methods.policy = TRY(kv_policies().make(recipe.policy));
  methods.needs = methods.policy->needs();
  if (recipe.allot == "uniform") return methods;
  methods.allotter = TRY(kv_allotters().make(recipe.allot));
  if (methods.allotter->wants_attention() && methods.needs.attention == KvNeeds::Attention::none) {
    methods.needs.attention = KvNeeds::Attention::window;
    methods.needs.window = kPageTokens / 2;
  }
  return methods;
}

Result<KvRecipe> parse_kv_recipe(std::string_view text) {
  const Pairs pairs = TRY(split(text));
  KvRecipe recipe;
  TRY(check_keys(pairs));
  TRY(read_pack(pairs, recipe.pack));
  TRY(read_policy(pairs, recipe));
  TRY(read_allot(pairs, recipe));
  return recipe;
}

int64_t kv_bytes_for(const KvShape& shape, const KvRecipe& recipe, int32_t tokens) {
  auto codec = codec_named(recipe.pack);
  CHECK(codec.ok(), "a KV recipe with an unknown pack");
  const auto methods = make_kv_methods(recipe);
  CHECK(methods.ok(), "a KV recipe that nobody parsed");
  const KvNeeds& needs = methods->needs;
  const int64_t pages = kv_most_pages(recipe.budget_tokens, methods->allotter != nullptr, tokens) *
                        shape.layers * shape.kv_heads;
  return pages * kv_page_layout(shape, **codec, needs.merges).bytes() + kv_notes_bytes(needs, pages, tokens);
}

}  // namespace varve
