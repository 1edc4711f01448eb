// varve merge: an adapter worked into the weights of its model.
#include <ostream>

#include "core/base/process.h"
#include "memory/parametric/merge.h"
#include "serve/cli/builtin.h"
#include "serve/home/settings.h"

namespace varve {

Result<int> run_merge(Args& args, Console& console) {
  constexpr int64_t kFloor = 24 << 20;  // of the process beside the ledger
  const std::string model = TRY(args.value("--model")).value_or("");
  const std::string adapter = TRY(args.value("--adapter")).value_or("");
  const std::string out = TRY(args.value("-o")).value_or("");
  int64_t budget = machine_bytes() / 2;
  if (const auto text = TRY(args.value("--budget"))) budget = TRY(parse_bytes(*text));
  TRY(args.rest(0, 0, "no more words"));
  if (model.empty() || adapter.empty() || out.empty()) {
    return Status(Code::invalid, "name the model, the adapter and the file to write: --model, --adapter, -o");
  }
  if (TRY(posix_env().exists(out))) return Status(Code::exists, out + " is there already; name another file");
  Ledger ledger(budget - kFloor, kFloor);
  const BaseModel base = TRY(look_at_model(posix_env(), model));
  const AdapterFile file = TRY(read_adapter(posix_env(), adapter, base.permuted, ledger));
  const MergeShare share{file, adapter, 1};
  TRY(merge_adapters(posix_env(), model, {&share, 1}, out, ledger));
  console.out << "Wrote " << out << "\n";
  return 0;
}

}  // namespace varve
