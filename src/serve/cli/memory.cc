#include "serve/cli/memory.h"

#include <ostream>

#include "memory/plaintext/evidence.h"
#include "serve/cli/builtin.h"
#include "serve/cli/options.h"
#include "serve/cli/terminal/terminal.h"
#include "serve/home/show.h"
#include "serve/session/answer/plain_answer.h"

namespace varve {
namespace {

constexpr size_t kPreviewBytes = 80;
constexpr size_t kManyWords = 10000;
constexpr int64_t kMaxDocument = 16 << 20, kMaxReceipt = 64 << 20;

bool blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

std::string preview(std::string_view text) {
  std::string out = printable(text.substr(0, kPreviewBytes));
  while (!out.empty() && text.size() > kPreviewBytes && (uint8_t(text[out.size()]) & 0xC0) == 0x80)
    out.pop_back();
  for (char& c : out) c = c == '\n' || c == '\t' ? ' ' : c;
  return text.size() > kPreviewBytes ? out + "..." : out;
}

Status may_erase(Console& console, size_t count, bool yes) {
  if (yes) return {};
  if (!console.terminal.is_tty()) {
    return Status(Code::invalid, "this would erase " + std::to_string(count) +
                                     (count == 1 ? " memory" : " memories") +
                                     " for good; add --yes to do it");
  }
  const std::string question = std::string("Erase ") + (count == 1 ? "it" : "them") + " for good? [y/N] ";
  std::string line;
  const bool read = console.terminal.read_line(line, question) == Terminal::Read::line;
  if (read && (line == "y" || line == "Y" || line == "yes")) return {};
  return Status(Code::cancelled, "nothing was erased");
}

void print(const EraseReceipt& receipt, std::ostream& out) {
  for (const auto& item : receipt.items) {
    out << item.method << " " << item.id.text() << " (" << item.kind << ", " << item.versions
        << (item.versions == 1 ? " version" : " versions") << ", sha256 "
        << item.payload_hash.hex().substr(0, 16) << ")\n";
  }
  for (const CubeId& id : receipt.restored) out << "valid again " << id.text() << "\n";
  for (const CubeId& id : receipt.rebuild)
    out << "to be derived again from its other sources " << id.text() << "\n";
  for (const std::string& one : receipt.indexes) out << one << "\n";
  for (const std::string& one : receipt.not_reached) out << "not reached: " << one << "\n";
  out << "entry " << receipt.entry << " of the journal, " << receipt.proof.hex() << "\n";
}

// An id names one cube; other words name all that contain them.
Result<std::vector<CubeHeader>> named(Home& home, const Principal& who, const std::string& words) {
  if (const auto id = CubeId::parse(words); id.ok())
    return std::vector<CubeHeader>{TRY(home.cubes().head(who, *id))};
  std::vector<CubeHeader> found = TRY(cubes_with(home.cubes(), who, words));
  if (!found.empty()) return found;
  return Status(Code::not_found, "no memory contains '" + words + "'; 'recall' shows what is near");
}

}  // namespace

std::string one_line(const CubeHeader& header, std::string_view text) {
  std::string line = header.id.text() + "  " + header.kind;
  if (header.life != Life::active) line += " (" + std::string(to_string(header.life)) + ")";
  return line + "  " + format_time(header.event.value_or(header.recorded)).substr(0, 10) + "  " +
         preview(text);
}

namespace {

Json recalled_array(const std::vector<Recalled>& found) {
  TurnReport report;
  report.recalled = found;
  return to_json(report, true)["recalled"];
}

void print_lines(Console& console, const std::vector<Recalled>& found) {
  for (const Recalled& one : found)
    console.out << one.header.id.text() << "  " << printable(describe(one)) << "\n";
}

// What was counted over all memories, and then the memories that show it.
void print_aggregate(const MemoryVerb& verb, const Aggregate& counted) {
  if (verb.json) {
    Json groups = Json::array();
    for (const auto& [name, count] : counted.groups)
      groups.push(Json::object().set("name", name).set("count", count));
    const Json all = Json::object().set("words", counted.plan.words).set("count", counted.count);
    verb.console.out
        << Json(all).set("groups", groups).set("recalled", recalled_array(counted.evidence)).dump() << "\n";
    return;
  }
  verb.console.out << printable(in_words(counted)) << "\n";
  print_lines(verb.console, counted.evidence);
}

// Evidence is kept as it is, or not at all.
Status check_whole(std::string_view what, std::string_view text) {
  Utf8Stream whole;
  if (whole.push(text) + whole.finish() == text) return {};
  return Status(Code::invalid, std::string(what) + " is not UTF-8; convert it first, with iconv for example");
}

}  // namespace

Status recall_words(const MemoryVerb& verb, const RecallQuery& query) {
  if (const auto counted = TRY(verb.home.recall().aggregate(verb.who, query))) {
    print_aggregate(verb, *counted);
    return {};
  }
  const std::vector<Recalled> found = TRY(verb.home.recall().gather(verb.who, query));
  if (verb.json) {
    verb.console.out << recalled_array(found).dump() << "\n";
    return {};
  }
  print_lines(verb.console, found);
  if (found.empty()) verb.console.out << "Nothing that I remember speaks to that.\n";
  return {};
}

// A text file: kept whole, recalled by passages, and nobody's word.
Status remember_file(const MemoryVerb& verb, const std::string& path, std::optional<TimeMs> event) {
  const std::vector<std::byte> bytes = TRY(read_file(posix_env(), path, kMaxDocument));
  Document document;
  document.text = std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  TRY(check_whole(path, document.text));
  document.text = strip_recalled(document.text);
  if (blank(document.text)) return Status(Code::invalid, path + " holds no words");
  document.title = path.substr(path.rfind('/') + 1);
  document.space = verb.space;
  document.event = event;
  const auto ids = TRY(verb.home.cubes().apply(verb.who, document_ops(std::move(document))));
  if (verb.json) {
    const Json made = Json::object().set("id", ids[0].text()).set("passages", int64_t(ids.size() - 1));
    verb.console.out << made.dump() << "\n";
  } else {
    verb.console.out << "Remembered as " << ids[0].text() << ", in " << ids.size() - 1 << " passages.\n";
  }
  return {};
}

Status remember_words(const MemoryVerb& verb, std::string_view words, std::optional<TimeMs> event) {
  TRY(check_whole("what is to be remembered", words));
  const std::string text = strip_recalled(words);
  if (blank(text)) {
    return Status(Code::invalid, "there is nothing to remember; say what");
  }
  const CubeId id = TRY(verb.home.cubes().put(verb.who, note_draft(text, verb.space, event)));
  if (verb.json) {
    verb.console.out << Json::object().set("id", id.text()).dump() << "\n";
  } else {
    verb.console.out << "Remembered as " << id.text() << ".\n";
  }
  return {};
}

Result<Json> forget_words(const MemoryVerb& verb, const std::string& words, bool yes) {
  if (words.empty()) return Status(Code::invalid, "say what to forget: an id, or words that it contains");
  const std::vector<CubeHeader> found = TRY(named(verb.home, verb.who, words));
  for (const CubeHeader& header : found) {
    if (verb.json) break;
    auto text = verb.home.cubes().payload(verb.who, header.id);
    verb.console.out << one_line(header, text.ok() ? *text : "") << "\n";
  }
  TRY(may_erase(verb.console, found.size(), yes));
  Json all = Json::array();
  for (const CubeHeader& header : found) {
    auto erased = verb.home.forget(verb.who, header.id, "the user asked");
    if (erased.code() == Code::not_found) continue;  // went with one before it
    const EraseReceipt one = TRY(std::move(erased));
    all.push(to_json(one));
    if (!verb.json) print(one, verb.console.out);
  }
  if (verb.json) verb.console.out << all.dump() << "\n";
  return all;
}

Result<Opened> open_for(Args& args, size_t least, size_t most, std::string_view what) {
  Opened opened;
  const HomeOptions settings = TRY(home_options(args, UseModel::none));
  opened.who = TRY(principal(args));
  opened.json = args.flag("--json");
  opened.words = TRY(args.rest(least, most, what));
  opened.home = TRY(Home::open(settings));
  return opened;
}

Result<int> run_recall(Args& args, Console& console) {
  RecallQuery query{.text = {}, .limit = 10};
  TRY(args.number<int32_t>("--limit", query.limit, 1, 1000));
  TRY(args.number<int32_t>("--tokens", query.token_budget, 1, 1 << 20));
  for (const auto& [name, into] :
       {std::pair("--as-of", &query.as_of), std::pair("--known-at", &query.known_at),
        std::pair("--reference", &query.reference)}) {
    if (const auto date = TRY(args.value(name))) *into = TRY(parse_time(*date));
  }
  const Opened opened = TRY(open_for(args, 1, kManyWords, "what to look for, as: varve recall figs"));
  query.text = joined(opened.words);
  TRY(recall_words({*opened.home, opened.who, console, opened.json}, query));
  return 0;
}

Result<int> run_remember(Args& args, Console& console) {
  std::optional<TimeMs> event;
  if (const auto date = TRY(args.value("--event"))) event = TRY(parse_time(*date));
  const auto file = TRY(args.value("--file")), space = TRY(args.value("--space"));
  const Opened opened = TRY(open_for(args, file ? 0 : 1, file ? 0 : kManyWords,
                                     "what to remember, as: varve remember I like figs"));
  MemoryVerb verb{*opened.home, opened.who, console, opened.json};
  if (space) verb.space = *space;
  TRY(file ? remember_file(verb, *file, event) : remember_words(verb, joined(opened.words), event));
  return 0;
}

Result<int> verify(Args& args, Console& console, const std::string& path) {
  const Opened opened = TRY(open_for(args, 0, 0, "no more words"));
  const std::vector<std::byte> bytes = TRY(read_file(posix_env(), path, kMaxReceipt));
  const Json receipts = TRY(parse_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
  const auto wrong =
      TRY(verify_receipts(opened.home->cubes(), opened.who, receipts).with("verifying " + path));
  Json all = Json::array();
  for (const std::string& line : wrong) all.push(line);
  if (opened.json) {
    console.out << Json::object().set("holds", wrong.empty()).set("wrong", all).dump() << "\n";
  } else {
    for (const std::string& line : wrong) console.out << line << "\n";
    if (wrong.empty()) console.out << "The receipt holds: nothing that it lists is there.\n";
  }
  return wrong.empty() ? 0 : outside(Code::corrupt).exit;
}

Result<int> run_forget(Args& args, Console& console) {
  const bool yes = args.flag("--yes");
  const auto keep = TRY(args.value("--receipt")), held = TRY(args.value("--verify"));
  if (held) return verify(args, console, *held);
  const Opened opened =
      TRY(open_for(args, 1, kManyWords, "what to forget: an id, or words that it contains"));
  const Json receipts =
      TRY(forget_words({*opened.home, opened.who, console, opened.json}, joined(opened.words), yes));
  if (!keep) return 0;
  const std::string text = receipts.dump(1) + "\n";
  TRY(write_file(posix_env(), *keep, std::as_bytes(std::span(text))));
  return 0;
}

}  // namespace varve
