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
  TRY(only(pairs, "allot", "uniform"));
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

// What is not recorded cannot be shown; nobody gets zeros in its place.
Status check_needs(const std::string& policy, const KvNeeds& needs) {
  std::string_view missing;
  if (needs.memo > 0) missing = "private floats a lane";
  if (needs.keys) missing = "decoded keys";
  if (needs.surprise) missing = "how surprising each token was";
  if (needs.attention != KvNeeds::Attention::none) missing = "how much attention each token received";
  if (missing.empty()) return {};
  return Status(Code::unsupported, "policy=" + policy + " must be shown " + std::string(missing) +
                                       ", which is not recorded yet; use streaming or full");
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
  TRY(check_needs(recipe.policy, needs));
  if (recipe.budget_tokens == 0) recipe.budget_tokens = needs.tokens;
  if (recipe.budget_tokens > 0) return {};
  return Status(Code::invalid, "policy=" + recipe.policy + " needs budget_tokens");
}

}  // namespace

Result<KvRecipe> parse_kv_recipe(std::string_view text) {
  const Pairs pairs = TRY(split(text));
  KvRecipe recipe;
  TRY(check_keys(pairs));
  TRY(read_pack(pairs, recipe.pack));
  TRY(read_policy(pairs, recipe));
  return recipe;
}

int64_t kv_bytes_for(const KvShape& shape, const KvRecipe& recipe, int32_t tokens) {
  auto codec = codec_named(recipe.pack);
  CHECK(codec.ok(), "a KV recipe with an unknown pack");
  const KvPageLayout layout = kv_page_layout(shape, **codec);
  return kv_pages_for(kv_resident_tokens(recipe.budget_tokens, tokens)) * shape.layers * shape.kv_heads *
         layout.bytes();
}

}  // namespace varve
