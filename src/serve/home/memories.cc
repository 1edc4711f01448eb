// What the ways in share beyond the rooms below: finding cubes by their words, and the newest turn's numbers.
#include "serve/home/home.h"

namespace varve {
namespace {

constexpr int64_t kMaxReportBytes = 1 << 20;

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? char(c + 32) : c;
  return out;
}

std::string report_path(Home& home, const Principal& who) {
  return home.folder() + "/reports/" + who.name + ".json";
}

}  // namespace

Result<std::vector<CubeHeader>> cubes_with(const CubeStore& cubes, const Principal& who,
                                           std::string_view words) {
  const std::string wanted = lower(words);
  std::vector<CubeHeader> found;
  CubeFilter filter{.life = std::nullopt, .limit = 1000};
  for (;;) {
    std::vector<CubeHeader> page = TRY(cubes.list(who, filter));
    for (CubeHeader& header : page) {
      if (header.life == Life::erased || header.form != Form::plaintext) continue;
      const std::string text = TRY(cubes.payload(who, header.id));
      if (lower(text).find(wanted) != std::string::npos) found.push_back(header);
    }
    if (page.size() < size_t(filter.limit)) return found;
    filter.after = page.back().id;
  }
}

Status keep_report(Home& home, Env& env, const Principal& who, const std::string& session,
                   const TurnReport& report) {
  TRY(check_name("principal", who.name));
  TRY(env.make_folder(home.folder() + "/reports"));
  Json kept = to_json(report, false);
  kept.set("session", session).set("time", format_time(home.clock().now_ms()));
  kept.set("budget_bytes", home.ledger().outside() + home.ledger().limit());
  const Afterthought::State thoughts = home.thoughts();
  kept.set("afterthought", Json::object()
                               .set("waiting", thoughts.waiting)
                               .set("done", thoughts.done)
                               .set("failed", thoughts.failed));
  const std::string text = kept.dump(1) + "\n";
  return write_file(env, report_path(home, who), std::as_bytes(std::span(text)));
}

Result<Json> kept_report(Home& home, Env& env, const Principal& who) {
  TRY(check_name("principal", who.name));
  auto bytes = read_file(env, report_path(home, who), kMaxReportBytes);
  if (bytes.code() == Code::not_found) {
    return Status(Code::not_found, "there is no turn yet to explain; say something in 'varve chat' first");
  }
  const std::vector<std::byte> text = TRY(std::move(bytes));
  return parse_json({reinterpret_cast<const char*>(text.data()), text.size()});
}

}  // namespace varve
