// varve explain: what the newest turn recalled and why, what it reused and stored. The numbers were kept when
// it ended; the words are read from the store, so what was erased since is not shown.
#include <ostream>

#include "serve/cli/builtin.h"
#include "serve/cli/memory.h"
#include "serve/cli/options.h"

namespace varve {
namespace {

void print_cube(Home& home, const Principal& who, const std::string& id, std::ostream& out) {
  const auto parsed = CubeId::parse(id);
  if (!parsed.ok()) return;
  const auto header = home.cubes().head(who, *parsed);
  const auto text = home.cubes().payload(who, *parsed);
  out << "  " << (header.ok() && text.ok() ? one_line(*header, *text) : id + "  gone") << "\n";
}

void print_number(const Json& report, const char* key, const char* label, std::ostream& out) {
  const Json& value = report[key];
  if (value.is_number()) out << label << value.dump() << "\n";
}

void print_kv(const Json& report, std::ostream& out) {
  if (report["spliced"].is_array()) {
    for (const Json& one : report["spliced"].as_array()) {
      out << "spliced in the prompt    " << one["id"].dump() << ", " << one["tokens"].dump() << " tokens, "
          << one["fidelity"].dump() << "\n";
    }
  }
  const Json& kv = report["kv"];
  if (!kv.is_object()) return;
  out << "attention state          " << kv["bytes"].dump() << " bytes of " << kv["pack"].dump() << ", "
      << kv["shared_bytes"].dump() << " of them found computed\n";
  if (const Json& pages = kv["pages"]; pages.is_object()) {
    out << "pages of 64 tokens       " << pages["rows"].dump() << " as rows, " << pages["packed"].dump()
        << " packed, " << pages["on_disk"].dump() << " on the disk, " << pages["fetched"].dump()
        << " times one of them came back\n";
  }
  if (kv["read_share"].is_number())
    out << "read by what selects     " << int(100 * kv["read_share"].as_double() + 0.5) << " %\n";
  print_number(kv, "tokens_saved", "tokens not read again    ", out);
  print_number(kv, "pauses", "pauses, state on disk    ", out);
}

}  // namespace

Result<int> run_explain(Args& args, Console& console) {
  const Opened opened = TRY(open_for(args, 0, 0, "no more words"));
  const Json report = TRY(kept_report(*opened.home, posix_env(), opened.who));
  std::ostream& out = console.out;
  if (opened.json) {
    out << report.dump() << "\n";
    return 0;
  }
  out << "The newest turn of " << opened.who.name << ", " << report["time"].dump() << ", session "
      << report["session"].dump() << "\n\nrecalled\n";
  if (report["recalled"].is_array()) {
    for (const Json& one : report["recalled"].as_array()) {
      if (!one["id"].is_string()) continue;
      print_cube(*opened.home, opened.who, one["id"].as_string(), out);
      out << "    score " << one["score"].dump() << " " << one["parts"].dump() << "\n";
    }
  }
  out << "\nstored\n";
  if (report["stored"].is_array()) {
    for (const Json& one : report["stored"].as_array()) {
      if (one.is_string()) print_cube(*opened.home, opened.who, one.as_string(), out);
    }
  }
  out << "\n";
  print_number(report, "prompt_tokens", "tokens of the prompt     ", out);
  print_number(report, "reused_tokens", "of them reused           ", out);
  print_number(report, "restored_tokens", "of those, kept on disk    ", out);
  if (const Json& kv = report["kv_entries"]; kv.is_object()) {
    out << "kv entries               " << kv["kept"].dump() << " kept, " << kv["dropped"].dump()
        << " dropped, " << kv["merged"].dump() << " merged, by the KV policy\n";
  }
  if (const Json& subtasks = report["subtasks"]; subtasks.is_object()) {
    out << "subtasks finished        " << subtasks["finished"].dump() << "; "
        << subtasks["pruned_tokens"].dump() << " tokens of their work left the KV, "
        << subtasks["read_again"].dump() << " were read again\n";
  }
  if (const Json& captured = report["activation"]; captured.is_object()) {
    out << "activation cube          " << captured["id"].dump() << ", " << captured["reused"].dump() << " of "
        << captured["tokens"].dump() << " tokens";
    if (captured["why"].is_string()) out << "; its words were read: " << captured["why"].as_string();
    out << "\n";
  }
  print_kv(report, out);
  print_number(report, "generated_tokens", "tokens generated         ", out);
  print_number(report, "turns_left_out", "turns not in the prompt  ", out);
  print_number(report, "peak_bytes", "peak bytes of the process ", out);
  print_number(report, "budget_bytes", "budget                    ", out);
  out << "afterthought              " << report["afterthought"].dump() << "\n";
  out << "milliseconds             " << report["stage_ms"].dump() << "\n";
  return 0;
}

}  // namespace varve
