// The recipe of KV: parsing, and what a sequence needs under it.
#include <algorithm>
#include <charconv>
#include <map>

#include "run/kv/kv_pool.h"

namespace varve {
namespace {

constexpr std::string_view kRows[] = {"f32", "f16", "bf16", "q8_0"};

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

Status check_keys(const Pairs& pairs) {
  for (const auto& [key, value] : pairs) {
    if (key != "policy" && key != "budget_tokens" && key != "allot" && key != "pack" && key != "select" &&
        key != "ram_tokens") {
      return Status(Code::invalid, "unknown key '" + key +
                                       "' in the KV recipe; there are policy, budget_tokens, allot, pack, "
                                       "select, ram_tokens");
    }
  }
  return {};
}

Status read_pack(const Pairs& pairs, std::string& pack) {
  auto found = pairs.find("pack");
  if (found == pairs.end()) return {};
  pack = found->second;
  if (std::find(std::begin(kRows), std::end(kRows), pack) != std::end(kRows)) return {};
  auto made = page_packs().make(pack);
  if (made.code() != Code::not_found) return std::move(made).status();
  std::string known;
  for (std::string_view one : kRows) known.append(one).append(", ");
  return Status(Code::invalid, "no pack named '" + pack + "'; there are " + known + page_packs().known());
}

Status read_select(const Pairs& pairs, std::string& select) {
  auto found = pairs.find("select");
  if (found == pairs.end()) return {};
  select = found->second;
  if (select == "all") return {};
  auto made = kv_selectors().make(select);
  if (made.code() != Code::not_found) return std::move(made).status();
  return Status(Code::invalid,
                "no selector named '" + select + "'; there are all, " + kv_selectors().known());
}

// What the words ask to be kept whatever comes, in tokens a lane.
Status check_room(const KvRecipe& recipe, const KvNeeds& needs) {
  const Spec spec = TRY(parse_spec(recipe.policy));
  int64_t asked = spec.options.contains("window") ? needs.tokens : 0, always = 0;
  for (const char* key : {"sinks", "recent"}) {
    const auto found = spec.options.find(key);
    int32_t tokens = 0;
    if (found == spec.options.end()) continue;
    const char* end = found->second.data() + found->second.size();
    if (std::from_chars(found->second.data(), end, tokens).ptr == end) always += tokens;  // else a share
  }
  asked = std::max(asked, always);
  if (asked <= recipe.budget_tokens) return {};
  return Status(Code::invalid,
                "policy=" + recipe.policy + " asks for " + std::to_string(asked) +
                    " tokens a lane, and budget_tokens=" + std::to_string(recipe.budget_tokens) + " is less");
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
  if (recipe.budget_tokens > 0) return check_room(recipe, needs);
  return Status(Code::invalid, "policy=" + recipe.policy + " needs budget_tokens");
}

Status read_ram(const Pairs& pairs, KvRecipe& recipe) {
  Spec ram{"", {}};
  if (auto found = pairs.find("ram_tokens"); found != pairs.end()) ram.options.insert(*found);
  TRY(OptionReader(ram).read("ram_tokens", recipe.ram_tokens, kPageTokens, 1 << 30).done());
  if (recipe.ram_tokens == 0) return {};
  if (recipe.policy != "full" || !codec_named(recipe.pack).ok())
    return Status(Code::invalid,
                  "ram_tokens keeps all tokens as they are, older ones on the disk: leave it out, or "
                  "say policy=full and a pack of rows");
  const KvMethods methods = TRY(make_kv_methods(recipe));
  if (methods.selector == nullptr || !methods.selector->plan.looks) return {};
  return Status(Code::invalid, "select=" + recipe.select +
                                   " looks at every key for every query, and with ram_tokens most lie on the "
                                   "disk; use select=box, or another that remembers pages");
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

// What moves tokens does not go with what packs them, and what counts attention needs all of it.
Status check_together(const KvRecipe& recipe) {
  if (recipe.policy == "full") return {};
  const KvMethods methods = TRY(make_kv_methods(recipe));
  if (methods.pack != nullptr) {
    return Status(Code::invalid, "pack=" + recipe.pack +
                                     " is for pages that stay as they are, and a policy drops tokens of "
                                     "them; use policy=full, or pack=q8_0");
  }
  if (methods.selector != nullptr && methods.needs.attention != KvNeeds::Attention::none) {
    return Status(Code::invalid, "policy=" + recipe.policy + " counts what all tokens receive, and select=" +
                                     recipe.select + " does not read all; use select=all, or another policy");
  }
  return {};
}

}  // namespace

const Codec& kv_row_codec(const KvRecipe& recipe) {
  auto rows = codec_named(recipe.pack);
  return rows.ok() ? **rows : **codec_named("f16");
}

Result<KvMethods> make_kv_methods(const KvRecipe& recipe) {
  KvMethods methods;
  methods.saved_as = recipe.pack + (recipe.select == "all" ? "" : " select=" + recipe.select);
  if (!codec_named(recipe.pack).ok()) methods.pack = TRY(page_packs().make(recipe.pack));
  if (recipe.select != "all") {
    methods.selector = TRY(kv_selectors().make(recipe.select));
    methods.needs.surprise = methods.selector->plan.surprise;
    methods.needs.sentences = methods.selector->plan.sentences;
  }
  if (recipe.policy == "full") return methods;
  if (recipe.budget_tokens < 1) return Status(Code::invalid, "a KV policy needs budget_tokens");
  methods.budget_tokens = recipe.budget_tokens;
  methods.policy = TRY(kv_policies().make(recipe.policy));
  const KvNeeds told = methods.needs;
  methods.needs = methods.policy->needs();
  if (methods.needs.hidden) methods.saved_as += " policy=" + recipe.policy;  // files hold no marks
  methods.needs.surprise |= told.surprise, methods.needs.sentences |= told.sentences;
  if (recipe.allot == "uniform") return methods;
  methods.allotter = TRY(kv_allotters().make(recipe.allot));
  if (methods.allotter->wants_marks() && !methods.needs.hidden)
    return Status(Code::invalid, "allot=" + recipe.allot + " shares out by what policy=gate says of tokens");
  if (methods.allotter->wants_attention() && methods.needs.attention == KvNeeds::Attention::none) {
    methods.needs.attention = KvNeeds::Attention::window;
    methods.needs.window = kPageTokens / 2;
  }
  return methods;
}

namespace {

// Files that methods were read from may be gone by now.
std::shared_ptr<const KvMethods> methods_of(const KvRecipe& recipe) {
  if (recipe.methods != nullptr) return recipe.methods;
  auto made = make_kv_methods(recipe);
  CHECK(made.ok(), "a KV recipe that nobody parsed");
  return std::make_shared<const KvMethods>(std::move(*made));
}

}  // namespace

std::optional<int64_t> kv_most_read(const KvRecipe& recipe, int32_t rows) {
  if (recipe.policy != "full") return int64_t(recipe.budget_tokens) + kPageTokens;
  const auto methods = methods_of(recipe);
  if (methods->selector == nullptr) return std::nullopt;
  const SelectPlan& plan = methods->selector->plan;
  if (plan.prompts == 0 || !plan.written) return std::nullopt;
  if (recipe.ram_tokens > 0) rows = std::min(rows, kPageTokens);  // pages go when they are full
  const int64_t pages = plan.sinks + plan.window + int64_t(plan.pages) * (1 + 2 * plan.near) + 2;
  return pages * kPageTokens + rows;
}

Result<KvRecipe> parse_kv_recipe(std::string_view text) {
  const Pairs pairs = TRY(split(text));
  KvRecipe recipe;
  TRY(check_keys(pairs));
  TRY(read_pack(pairs, recipe.pack));
  TRY(read_select(pairs, recipe.select));
  TRY(read_policy(pairs, recipe));
  TRY(read_allot(pairs, recipe));
  TRY(check_together(recipe));
  TRY(read_ram(pairs, recipe));
  KvMethods methods = TRY(make_kv_methods(recipe));
  recipe.methods = std::make_shared<const KvMethods>(std::move(methods));
  return recipe;
}

int64_t kv_most_returned(const KvSelector* selector) {
  if (selector == nullptr) return 0;
  const SelectPlan& plan = selector->plan;  // and one that is read in part
  return plan.sinks + plan.window + int64_t(plan.pages) * (1 + 2 * plan.near) + 1;
}

KvTierPages kv_tier_pages(const KvShape& shape, const KvSelector* selector, int32_t ram_tokens,
                          int64_t blocks) {
  const int64_t ram = kv_pages_for(ram_tokens), cold = std::max<int64_t>(0, blocks - ram);
  const int64_t lanes = int64_t(shape.layers) * shape.kv_heads;
  const bool selects = selector != nullptr && selector->plan.prompts > 0 && selector->plan.written;
  return {.hot = lanes * std::min(blocks, ram + 1),
          .staged = selects ? 0 : 2 * shape.kv_heads * cold,
          .returned = lanes * std::min(cold, kv_most_returned(selector))};
}

int64_t kv_bytes_for(const KvShape& shape, const KvRecipe& recipe, int32_t tokens) {
  const auto methods = methods_of(recipe);
  const KvNeeds& needs = methods->needs;
  const int64_t lanes = int64_t(shape.layers) * shape.kv_heads;
  const int64_t remembered = methods->selector == nullptr
                                 ? 0
                                 : Selection::bytes_for(*methods->selector, shape, kv_pages_for(tokens));
  const int64_t each = kv_page_layout(shape, kv_row_codec(recipe), needs).bytes();
  if (methods->pack != nullptr) {
    const KvPageCounts pages = kv_packed_pages(*methods->pack, tokens);
    return lanes * (pages.rows * each + pages.packed * kv_packed_layout(shape, *methods->pack).bytes()) +
           kv_notes_bytes(needs, 0, tokens) + remembered;
  }
  if (recipe.ram_tokens > 0) {
    const KvTierPages pages =
        kv_tier_pages(shape, methods->selector.get(), recipe.ram_tokens, kv_pages_for(tokens));
    return (pages.hot + pages.staged + pages.returned) * each + kv_tier_notes_bytes(needs, tokens) +
           remembered;
  }
  const int64_t pages = lanes * kv_most_pages(recipe.budget_tokens, methods->allotter != nullptr, tokens);
  return pages * each + kv_notes_bytes(needs, pages, tokens) + remembered;
}

}  // namespace varve
