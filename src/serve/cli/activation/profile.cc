// varve profile heads: a model reads a text and some random words, and a file says which of its heads look
// far back, for --kv "... allot=heads:file=FILE".
#include <algorithm>
#include <ostream>
#include <thread>

#include "core/base/process.h"
#include "run/engine/head_profile.h"
#include "serve/cli/builtin.h"
#include "serve/home/settings.h"

namespace varve {
namespace {

constexpr int64_t kMostTextBytes = 64 << 20;

Result<std::vector<Token>> read_text(const Model& model, const std::string& path, int32_t most) {
  if (model.tokenizer() == nullptr) return Status(Code::invalid, "the model has no tokenizer");
  const std::vector<std::byte> bytes = TRY(read_file(posix_env(), path, kMostTextBytes));
  std::vector<Token> tokens;
  const SpecialTokens& special = model.tokenizer()->special();
  if (special.add_bos && special.bos) tokens.push_back(*special.bos);
  model.tokenizer()->encode({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, false, tokens);
  tokens.resize(std::min(tokens.size(), size_t(std::min(most, model.shape().context))));
  return tokens;
}

}  // namespace

Result<int> run_profile(Args& args, Console& console) {
  constexpr int64_t kFloor = 24 << 20;  // of the process beside the ledger
  const std::string path = TRY(args.value("--model")).value_or(""),
                    text = TRY(args.value("--text")).value_or(""), out = TRY(args.value("-o")).value_or("");
  int32_t most = 2048, threads = 0;
  HeadProfileOptions options;
  TRY(args.number<int32_t>("--tokens", most, 128, 1 << 20));
  TRY(args.number<int32_t>("--window", options.window, 1, 1 << 20));
  TRY(args.number<int32_t>("--threads", threads, 0, 1024));
  int64_t budget = machine_bytes() / 2;
  if (const auto words = TRY(args.value("--budget"))) budget = TRY(parse_bytes(*words));
  if (TRY(args.rest(1, 1, "what to profile: heads"))[0] != "heads")
    return Status(Code::invalid, "there are only heads to profile");
  if (path.empty() || text.empty() || out.empty())
    return Status(Code::invalid, "name the model, a text and the file to write: --model, --text, -o");
  Ledger ledger(budget - kFloor, kFloor);
  const auto model = TRY(open_model(posix_env(), path, ledger));
  const std::vector<Token> tokens = TRY(read_text(*model, text, most));
  ThreadPool pool(threads > 0 ? threads : int(std::max(1u, std::thread::hardware_concurrency())));
  Ops ops(pool, Ops::Precision::fast);
  options.random_tokens = std::min(options.random_tokens, model->shape().context / 2);
  const HeadProfile profile = TRY(profile_heads(*model, ops, ledger, tokens, options));
  const std::string written = to_text(profile);
  TRY(write_file(posix_env(), out, std::as_bytes(std::span(written))));
  console.out << "Wrote " << out << ": " << profile.lanes.size()
              << " KV heads, by what they give to repeated words"
              << " and to text further back than " << options.window << " tokens\n";
  return 0;
}

}  // namespace varve
