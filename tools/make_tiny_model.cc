// make_tiny_model FILE [name=value...]: writes a tiny random model; the names are the fields of TinyModel.
#include <cstdio>

#include "core/base/options.h"
#include "tests/support/tiny_model.h"

namespace varve {
namespace {

Result<TinyModel> read_options(int count, char** words) {
  Spec spec{"tiny", {}};
  TinyModel options;
  for (int i = 0; i < count; ++i) {
    const std::string_view word = words[i];
    const size_t equals = word.find('=');
    if (equals == word.npos)
      return Status(Code::invalid, "expected name=value, got '" + std::string(word) + "'");
    spec.options.insert_or_assign(std::string(word.substr(0, equals)), std::string(word.substr(equals + 1)));
  }
  if (const auto found = spec.options.find("weights"); found != spec.options.end()) {
    options.weights = found->second;
    spec.options.erase(found);
  }
  int tokenizer = 1, chat_template = 1;
  TRY(OptionReader(spec)
          .read<uint64_t>("seed", options.seed, 0, UINT64_MAX)
          .read("layers", options.layers, 1, 64)
          .read("width", options.width, 2, 4096)
          .read("heads", options.heads, 1, 64)
          .read("kv_heads", options.kv_heads, 1, 64)
          .read("hidden", options.hidden, 1, 16384)
          .read("context", options.context, 1, 1 << 20)
          .read("vocabulary", options.vocabulary, 259, 512)
          .read("tokenizer", tokenizer, 0, 1)
          .read("chat_template", chat_template, 0, 1)
          .done());
  options.tokenizer = tokenizer == 1;
  options.chat_template = chat_template == 1;
  return options;
}

Status run(int argc, char** argv) {
  if (argc < 2) return Status(Code::invalid, "usage: make_tiny_model FILE [name=value...]");
  const TinyModel options = TRY(read_options(argc - 2, argv + 2));
  return write_tiny_model(posix_env(), argv[1], options);
}

}  // namespace
}  // namespace varve

int main(int argc, char** argv) {
  const varve::Status status = varve::run(argc, argv);
  if (!status.ok()) std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
  return status.ok() ? 0 : 1;
}
