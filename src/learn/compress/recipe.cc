#include "learn/compress/recipe.h"

#include <algorithm>
#include <charconv>

namespace varve {
namespace {

Status bad_target(std::string_view text) {
  return Status(Code::invalid, "target=" + std::string(text) +
                                   " is neither bits a weight, as 4.5bpw, nor a size, as 120MiB or 80000B");
}

// measured=1 or 0, or by=correlation, or by=search with its own options.
Status read_rule(Spec spec, CompressTarget& target) {
  if (const auto by = spec.options.extract("by")) {
    if (by.mapped() == "correlation") {
      target.rule = LossRule::correlation;
    } else if (by.mapped() == "search") {
      target.rule = LossRule::measured, target.search.emplace();
    } else {
      return Status(Code::invalid,
                    "a target is by=correlation, by=search, or measured=1 or 0, not by=" + by.mapped());
    }
  }
  int measured = -1, planes = 0;
  OptionReader reader(spec);
  reader.read("measured", measured, 0, 1).read("planes", planes, 0, 1);
  if (target.search) {
    SearchOptions& search = *target.search;
    reader.read("rounds", search.rounds, 1, 100)
        .read("generations", search.generations, 1, 100000)
        .read("children", search.children, 1, 1000)
        .read("tokens", search.tokens, int64_t(64), int64_t(1) << 40)
        .read("seed", search.seed, uint64_t(0), uint64_t(1) << 62);
  }
  TRY(reader.done());
  target.planes = planes == 1;
  if (measured >= 0 && target.rule)
    return Status(Code::invalid, "one of by=... and measured=" + std::to_string(measured));
  if (measured >= 0) target.rule = measured == 1 ? LossRule::measured : LossRule::error;
  return {};
}

Result<CompressTarget> parse_target(const Spec& spec) {
  const std::string_view text = std::string_view(spec.name).substr(7);
  double amount = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), amount);
  if (error != std::errc() || !(amount > 0 && amount < 1e15)) return bad_target(text);
  const std::string_view unit(end, size_t(text.data() + text.size() - end));
  CompressTarget target;
  TRY(read_rule(spec, target));
  constexpr std::pair<std::string_view, int64_t> kUnits[] = {
      {"B", 1}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}};
  if (unit == "bpw") {
    target.bits = amount;
    return target;
  }
  for (const auto& [name, bytes] : kUnits) {
    if (unit == name) target.bytes = int64_t(amount * double(bytes));
  }
  if (target.bytes == 0) return bad_target(text);
  return target;
}

// The format of a word like "q4_0:scale=search"; that option is short for a method behind it.
Result<const Codec*> parse_type(Spec& spec, bool& search) {
  const Codec* type = TRY(codec_named(spec.name));
  if (const auto found = spec.options.find("scale");
      found != spec.options.end() && found->second == "search") {
    search = true;
    spec.options.erase(found);
  }
  TRY(OptionReader(spec).done().with("reading " + spec.name));
  return type;
}

Status add_method(const Spec& spec, CompressRecipe& recipe) {
  std::shared_ptr<Compressor> method = TRY(compressors().make(spec));
  recipe.sight = std::max(recipe.sight, method->sight());
  recipe.methods.push_back(std::move(method));
  return {};
}

bool is_method(std::string_view name) {
  const auto& entries = compressors().entries();
  return std::any_of(entries.begin(), entries.end(), [&](const auto& one) { return one.name == name; });
}

Status add_word(std::string_view word, CompressRecipe& recipe) {
  Spec spec = TRY(parse_spec(word));
  if (is_method(spec.name)) return add_method(spec, recipe);
  if (recipe.type != nullptr || recipe.target)
    return Status(Code::invalid, "one number format or target, not " + std::string(word) + " too");
  if (spec.name.starts_with("target=")) {
    recipe.target = TRY(parse_target(spec));
    return {};
  }
  bool search = false;
  auto type = parse_type(spec, search);
  if (type.code() == Code::not_found) {
    return Status(Code::not_found, "'" + spec.name + "' is neither a number format nor a method: there are " +
                                       codecs().known() + "; " + compressors().known() + "; target=SIZE");
  }
  recipe.type = TRY(std::move(type));
  return search ? add_method({"search", {}}, recipe) : Status();
}

}  // namespace

Result<CompressRecipe> parse_compress_recipe(std::string_view text) {
  CompressRecipe recipe;
  recipe.text = text;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find('+', at), text.size());
    const std::string_view word = text.substr(at, end - at);
    if (word.empty()) return Status(Code::invalid, "an empty word in '" + std::string(text) + "'");
    TRY(add_word(word, recipe));
    at = end + 1;
  }
  return recipe;
}

}  // namespace varve
