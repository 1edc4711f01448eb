#include "serve/cli/options.h"

#include <algorithm>
#include <filesystem>

#include "core/base/hash.h"

namespace varve {

namespace {

// The project's own model is copied to where the program is built, and installed to share/ beside its bin/.
std::string nano_file() {
  std::error_code error;
  const auto folder = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  if (error) return {};
  for (const auto& file : {folder / "varve-nano.gguf", folder / "../share/varve/varve-nano.gguf"}) {
    if (std::filesystem::exists(file, error)) return file.string();
  }
  return {};
}

Result<std::string> resolve_model(const std::string& named, UseModel use) {
  if (named == "none") return std::string();
  if (named != "nano" && !(named.empty() && use == UseModel::named_or_project)) return named;
  std::string file = nano_file();
  if (file.empty() && named == "nano") {
    return Status(
        Code::not_found,
        "no varve-nano.gguf beside the program; give --model the path of models/varve-nano/varve-nano.gguf");
  }
  return file;
}

}  // namespace

Result<HomeOptions> home_options(Args& args, UseModel use) {
  HomeOptions options;
  options.folder = TRY(args.value("--home")).value_or("");
  if (options.folder.empty()) options.folder = TRY(default_folder());
  TRY(read_settings(posix_env(), options.folder, "", settings_of(options)));
  if (use == UseModel::none) options.model.clear();
  std::string adapters;  // --adapter a --adapter b:0.5
  for (const std::string& one : TRY(args.values("--adapter")))
    adapters += (adapters.empty() ? "" : ",") + one;
  if (!adapters.empty()) options.adapter = adapters;
  for (Setting& setting : settings_of(options)) {
    std::string name = "--" + std::string(setting.name);
    std::replace(name.begin() + 2, name.end(), '_', '-');
    if (const std::optional<std::string> text = TRY(args.value(name))) TRY(setting.set(*text));
  }
  options.model = TRY(resolve_model(options.model, use));
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
  float temperature = -1;
  TRY(args.number<float>("--temperature", temperature, 0, 100));
  if (temperature >= 0) sampling.temperature = temperature;
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
  options.excerpt = args.flag("--excerpt");
  if (auto spec = TRY(args.value("--subtasks"))) options.subtasks = TRY(parse_subtasks(*spec));
  TRY(sampling.validate());
  return options;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

}  // namespace varve
