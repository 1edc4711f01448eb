#include "serve/cli/options.h"

#include <algorithm>

#include "core/base/hash.h"

namespace varve {

Result<HomeOptions> home_options(Args& args, bool with_model) {
  HomeOptions options;
  options.folder = TRY(args.value("--home")).value_or("");
  if (options.folder.empty()) options.folder = TRY(default_folder());
  TRY(read_settings(posix_env(), options.folder, "", settings_of(options)));
  if (!with_model) options.model.clear();
  std::string adapters;  // --adapter a --adapter b:0.5
  for (const std::string& one : TRY(args.values("--adapter")))
    adapters += (adapters.empty() ? "" : ",") + one;
  if (!adapters.empty()) options.adapter = adapters;
  for (Setting& setting : settings_of(options)) {
    std::string name = "--" + std::string(setting.name);
    std::replace(name.begin() + 2, name.end(), '_', '-');
    if (const std::optional<std::string> text = TRY(args.value(name))) TRY(setting.set(*text));
  }
  return options;
}

Result<Principal> principal(Args& args) {
  Principal who{TRY(args.value("--as")).value_or("me")};
  TRY(check_name("principal", who.name));
  who.agent = TRY(args.value("--agent")).value_or("");
  return who;
}

Result<TurnOptions> turn_options(Args& args) {
  TurnOptions options;
  SamplingOptions& sampling = options.sampling;
  TRY(args.number<int32_t>("--max-tokens", options.max_tokens, 1, 1 << 24));
  TRY(args.number<int32_t>("-n", options.max_tokens, 1, 1 << 24));
  TRY(args.number<float>("--temperature", sampling.temperature, 0, 100));
  TRY(args.number<int32_t>("--top-k", sampling.top_k, 0, 1 << 24));
  TRY(args.number<float>("--top-p", sampling.top_p, 0, 1));
  TRY(args.number<float>("--min-p", sampling.min_p, 0, 1));
  TRY(args.number<float>("--repeat-penalty", sampling.repeat_penalty, 0, 100));
  secure_random(std::as_writable_bytes(std::span(&sampling.seed, 1)));  // another answer each time
  TRY(args.number<uint64_t>("--seed", sampling.seed, 0, UINT64_MAX));
  if (auto stop = TRY(args.value("--stop"))) options.stop.push_back(std::move(*stop));
  options.system = TRY(args.value("--system")).value_or("");
  if (const auto id = TRY(args.value("--activation"))) options.activation = TRY(CubeId::parse(*id));
  options.recall = !args.flag("--no-recall");
  options.remember = !args.flag("--no-remember");
  TRY(sampling.validate());
  return options;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

}  // namespace varve
