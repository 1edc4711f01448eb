// varve backup, restore, fsck: the store as files. Nothing is started but the store.
#include <filesystem>
#include <ostream>

#include "memory/cube/governance.h"
#include "memory/recall/index/check.h"
#include "serve/cli/builtin.h"
#include "serve/cli/options.h"
#include "serve/home/control.h"

namespace varve {
namespace {

constexpr int64_t kLedgerBytes = 512ll << 20;  // more than any payload takes while it is checked

struct Files {
  Principal who;
  std::string folder;  // of the home
  bool json = false;
  std::vector<std::string> words;
  Ledger ledger{kLedgerBytes};

  Status read(Args& args, size_t count, std::string_view what) {
    folder = TRY(home_options(args, UseModel::none)).folder;
    who = TRY(principal(args));
    json = args.flag("--json");
    words = TRY(args.rest(count, count, what));
    return {};
  }
  Result<std::unique_ptr<CubeStore>> open() {
    return CubeStore::open(posix_env(), folder + "/cubes", ledger);
  }
};

void print(const Backup& done, std::string_view what, bool json, std::ostream& out) {
  if (json) {
    out << Json::object().set("files", done.files).set("bytes", done.bytes).dump() << "\n";
  } else {
    out << what << " " << done.files << (done.files == 1 ? " file, " : " files, ") << format_bytes(done.bytes)
        << ".\n";
  }
}

}  // namespace

Result<int> run_backup(Args& args, Console& console) {
  Files files;
  TRY(files.read(args, 1, "a new folder for the backup"));
  const std::string to = std::filesystem::absolute(files.words[0]).string();
  auto store = files.open();
  if (store.code() == Code::conflict) {  // whoever has it makes the copy, and goes on
    auto made = ask_for_backup(files.folder, files.who, to);
    if (made.code() == Code::not_found) return std::move(store).status();
    print(TRY(std::move(made)), "Copied", files.json, console.out);
    return 0;
  }
  const auto opened = TRY(std::move(store));
  print(TRY(opened->governance().backup(files.who, to)), "Copied", files.json, console.out);
  return 0;
}

Result<int> run_restore(Args& args, Console& console) {
  Files files;
  TRY(files.read(args, 1, "the folder of a backup"));
  TRY(posix_env().make_folder(files.folder));
  const Backup done = TRY(restore_backup(posix_env(), files.words[0], files.folder + "/cubes", files.ledger));
  print(done, "Restored", files.json, console.out);
  return 0;
}

Result<int> run_fsck(Args& args, Console& console) {
  Files files;
  const bool repair = args.flag("--repair");
  TRY(files.read(args, 0, "no more words"));
  if (!TRY(posix_env().exists(files.folder + "/cubes")))
    return Status(Code::not_found, files.folder + " holds no memories");
  const auto store = TRY(files.open());
  std::vector<std::string> repaired;
  if (repair) repaired = TRY(store->governance().repair());
  std::vector<std::string> problems = TRY(store->check());
  const std::string indexes = files.folder + "/index";
  const auto damaged = TRY(check_indexes(posix_env(), indexes, *store));
  if (repair && !damaged.empty()) {
    const int64_t dropped = TRY(drop_indexes(posix_env(), indexes));
    repaired.push_back("dropped " + std::to_string(dropped) +
                       " files of indexes; whoever opens the home next builds them anew from the memories");
  } else {
    for (const IndexProblem& one : damaged) problems.push_back("index/" + one.file + ": " + one.what);
  }
  Json done = Json::array(), left = Json::array();
  for (const std::string& one : repaired) done.push(one);
  for (const std::string& one : problems) left.push(one);
  if (files.json) {
    console.out << Json::object().set("repaired", done).set("problems", left).dump() << "\n";
  } else {
    for (const std::string& one : repaired) console.out << "repaired: " << one << "\n";
    for (const std::string& one : problems) console.out << one << "\n";
    if (problems.empty()) console.out << "Sound.\n";
  }
  return problems.empty() ? 0 : outside(Code::corrupt).exit;
}

}  // namespace varve
