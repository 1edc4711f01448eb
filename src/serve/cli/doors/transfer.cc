// varve import, varve export: memories from and to files of other programs and homes.
#include <ostream>

#include "serve/cli/builtin.h"
#include "serve/cli/learn/carry.h"
#include "serve/cli/memory.h"
#include "serve/cli/options.h"
#include "serve/cli/terminal/terminal.h"
#include "serve/home/show.h"
#include "serve/transfer/import.h"

namespace varve {
namespace {

constexpr int64_t kSteps = 1000;  // records between two lines of progress

void print(const ImportReport& report, std::ostream& out) {
  out << "Imported " << report.added << " memories";
  if (!report.format.empty()) out << " (" << report.format << ", " << report.records << " records)";
  if (report.present > 0) out << "; " << report.present << " were there already";
  if (report.failed > 0) out << "; " << report.failed << " records were left out";
  out << ".\n";
  for (const std::string& one : report.troubles) out << "  " << printable(one) << "\n";
}

}  // namespace

Result<int> run_import(Args& args, Console& console) {
  if (TRY(holds_adapter(args))) return import_adapter(args, console);
  ImportOptions options;
  options.space = TRY(args.value("--space")).value_or("");
  options.believe = args.flag("--believe");
  const Opened opened = TRY(open_for(args, 1, 1, "a file to import"));
  const std::string& path = opened.words[0];
  const std::unique_ptr<File> file = TRY(posix_env().open(path, Open::read));
  const int64_t size = TRY(file->size());
  options.progress = [&](const ImportReport& report) {
    if (!opened.json && report.records % kSteps == 0) {
      console.err << report.records << " records, " << format_bytes(report.bytes) << " of "
                  << format_bytes(size) << "\n";
    }
    return true;
  };
  const ImportReport report =
      TRY(import_records(*opened.home, opened.who, bytes_of_file(*file, size), options)
              .with("importing " + path + "; run it again to go on"));
  if (opened.json) {
    console.out << to_json(report).dump() << "\n";
  } else {
    print(report, console.out);
  }
  if (!report.cut) return 0;
  return Status(Code::corrupt, path + " is not whole: " + *report.cut +
                                   ". What was whole is imported; import the whole file to go on, what is "
                                   "there is left alone");
}

Result<int> run_export(Args& args, Console& console) {
  if (asks_for_adapter(args)) return export_adapter(args, console);
  CubeFilter filter;
  filter.space = TRY(args.value("--space")).value_or("");
  if (args.flag("--all")) filter.life = std::nullopt;
  const Opened opened = TRY(open_for(args, 1, 1, "a file to write, or - for the screen"));
  const std::string& path = opened.words[0];
  if (path == "-") {
    TRY(export_lines(*opened.home, opened.who, filter, [&](std::string_view line) {
      console.out << line;
      return console.out ? Status() : Status(Code::io, "nobody reads what is exported any more");
    }));
    return 0;
  }
  if (TRY(posix_env().exists(path)))
    return Status(Code::exists, path + " is there already; name another file");
  Replacement file = TRY(Replacement::begin(posix_env(), path));
  const int64_t count = TRY(export_lines(*opened.home, opened.who, filter, [&](std::string_view line) {
    return file.append(std::as_bytes(std::span(line)));
  }));
  TRY(file.commit());
  console.out << (opened.json ? Json::object().set("file", path).set("memories", count).dump()
                              : "Wrote " + std::to_string(count) + " memories to " + path + ".")
              << "\n";
  return 0;
}

}  // namespace varve
