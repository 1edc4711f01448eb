#include "serve/cli/learn/carry.h"

#include <algorithm>
#include <filesystem>
#include <ostream>
#include <utility>

#include "memory/parametric/adapter_kind.h"
#include "memory/parametric/merge.h"
#include "serve/cli/learn/remembered.h"

namespace varve {
namespace {

bool given(const Args& args, std::string_view name) {
  Args copy = args;
  for (const std::string& word : copy.everything()) {
    if (word == name || word.starts_with(std::string(name) + "=")) return true;
  }
  return false;
}

// "My LoRA.gguf" is called my-lora.
std::string name_of(const std::string& path) {
  std::filesystem::path at(path);
  if (!at.has_filename()) at = at.parent_path();
  std::string name = at.stem().string();
  for (char& c : name) {
    c = c >= 'A' && c <= 'Z' ? char(c + 32) : c;
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.')) c = '-';
  }
  name.erase(0, std::min(name.find_first_not_of("-_."), name.size()));
  return name.substr(0, 64);
}

Result<std::unique_ptr<WeightStore>> weights_of(const std::string& model, Ledger& ledger) {
  const auto mapping = TRY(posix_env().map(model));
  return open_streamed_weights(posix_env(), model, TRY(Gguf::parse(mapping->bytes())), ledger);
}

}  // namespace

bool asks_for_adapter(Args& args) {
  return given(args, "--gguf") || given(args, "--peft");
}

Result<int> export_adapter(Args& args, Console& console) {
  const bool json = args.flag("--json");
  const auto gguf = TRY(args.value("--gguf")), peft = TRY(args.value("--peft"));
  const std::string model = TRY(args.value("--model")).value_or("");
  const HomeWords words = TRY(home_words(args));
  const std::string name = TRY(args.rest(1, 1, "the name or the id of an adapter"))[0];
  if (gguf && peft) return Status(Code::invalid, "one of --gguf FILE and --peft FOLDER");
  const std::string path = gguf ? *gguf : *peft;
  if (TRY(posix_env().exists(path))) return Status(Code::exists, path + " is there already; name another");
  const auto home = TRY(words.open());
  const CubeHeader header = TRY(find_adapter(home->cubes(), words.who, name));
  const AdapterFile file = TRY(load_adapter(home->cubes(), words.who, header, home->ledger()));
  if (gguf) {
    TRY(write_adapter_gguf(posix_env(), path, file));
  } else {
    // PEFT orders the heads of some families otherwise: how many there are, the model says.
    if (model.empty() && permuted_heads(file.note.family, 1, 1).heads > 0) {
      return Status(Code::invalid, "for PEFT's format name the adapter's model: --model FILE.gguf");
    }
    HeadCounts permuted;
    if (!model.empty()) {
      const BaseModel base = TRY(look_at_model(posix_env(), model));
      TRY(check_base(file.note, "the adapter '" + header.title + "'", base.fingerprint, model));
      permuted = base.permuted;
    }
    TRY(write_adapter_peft(posix_env(), path, file, permuted));
  }
  console.out << (json ? Json::object().set("file", path).dump() : "Wrote " + path + ".") << "\n";
  return 0;
}

Result<bool> holds_adapter(Args& args) {
  Args copy = args;
  bool of_option = false;  // its value is no file to import
  for (const std::string& word : copy.everything()) {
    const bool skipped =
        std::exchange(of_option, word == "--model" || word == "--home") || word.starts_with("-");
    if (skipped) continue;
    if (TRY(posix_env().exists(word + "/adapter_config.json"))) return true;
    auto file = posix_env().open(word, Open::read);
    char magic[4] = {};
    if (file.ok() && (*file)->read(0, std::as_writable_bytes(std::span(magic))).ok() &&
        std::string_view(magic, 4) == "GGUF") {
      return true;
    }
  }
  return false;
}

Result<int> import_adapter(Args& args, Console& console) {
  const bool json = args.flag("--json");
  const std::string model = TRY(args.value("--model")).value_or("");
  const std::string wanted = TRY(args.value("--name")).value_or("");
  const std::string space = TRY(args.value("--space")).value_or("");
  const HomeWords words = TRY(home_words(args));
  const std::string path = TRY(args.rest(1, 1, "a GGUF adapter, or a folder of PEFT's"))[0];
  if (model.empty())
    return Status(Code::invalid, "name the model that the adapter is for: --model FILE.gguf");
  const auto home = TRY(words.open());
  const BaseModel base = TRY(look_at_model(posix_env(), model));
  AdapterFile file = TRY(read_adapter(posix_env(), path, base.permuted, home->ledger()));
  TRY(check_base(file.note, path, base.fingerprint, model));
  const auto weights = TRY(weights_of(model, home->ledger()));
  TRY(deltas_of(file, *weights).status().with("importing " + path));
  file.note.fingerprint = base.fingerprint;
  file.note.family = base.family;
  AdapterCube cube{.name = wanted.empty() ? name_of(path) : wanted, .space = space, .why = "imported"};
  cube.origin = path.substr(path.size() - std::min(path.size(), kMaxNameBytes));
  const CubeHeader header =
      TRY(keep_adapter(home->cubes(), words.who, file, std::move(cube), home->ledger()));
  console.out << (json ? Json::object().set("id", header.id.text()).set("name", header.title).dump()
                       : "Imported as '" + header.title + "', cube " + header.id.text() + ".")
              << "\n";
  return 0;
}

}  // namespace varve
