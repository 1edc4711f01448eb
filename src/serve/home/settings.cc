#include "serve/home/settings.h"

#include <algorithm>
#include <charconv>
#include <climits>

namespace varve {
namespace {

constexpr int64_t kMaxBytes = int64_t(1) << 50;

struct Unit {
  std::string_view name;
  int64_t bytes;
};
constexpr Unit kUnits[] = {{"", 1},
                           {"B", 1},
                           {"KiB", 1ll << 10},
                           {"MiB", 1ll << 20},
                           {"GiB", 1ll << 30},
                           {"TiB", 1ll << 40},
                           {"KB", 1000},
                           {"MB", 1000000},
                           {"GB", 1000000000},
                           {"TB", 1000000000000}};

bool same_letters(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

template <class T>
bool parse_number(std::string_view text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

// A JSON value as it would be written on the command line.
Result<std::string> as_text(std::string_view key, const Json& value) {
  if (value.is_string()) return value.as_string();
  if (value.is_int()) return std::to_string(value.as_int());
  return Status(Code::invalid, "'" + std::string(key) + "' must be a text or a whole number");
}

}  // namespace

Result<int64_t> parse_bytes(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  std::string_view unit = text.substr(size_t(end - text.data()));
  while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
  for (const Unit& one : kUnits) {
    const double bytes = number * double(one.bytes);
    if (error != std::errc() || !same_letters(unit, one.name)) continue;
    if (!(bytes >= 0) || bytes > double(kMaxBytes)) break;
    return int64_t(bytes);
  }
  return Status(Code::invalid,
                "'" + std::string(text) + "' is no amount of bytes; write 800MiB, 4GiB or 123456");
}

std::string format_bytes(int64_t bytes) {
  const Unit* best = &kUnits[0];
  for (const Unit& one : kUnits) {
    if (one.name.size() == 3 && bytes >= one.bytes) best = &one;
  }
  if (best->bytes == 1) return std::to_string(bytes) + " bytes";
  char text[48];
  std::snprintf(text, sizeof(text), "%.2f %s", double(bytes) / double(best->bytes), best->name.data());
  return text;
}

std::vector<Setting> settings_of(HomeOptions& o) {
  EngineOptions& e = o.engine;
  return {
      {"model", &o.model, 0, 0, "GGUF file of the model that answers; empty: memory on its own"},
      {"adapter", &o.adapter, 0, 0,
       "what is attached to the model: cubes by name, GGUF files, folders of PEFT's; several as a,b:0.5"},
      {"budget", &o.budget_bytes, 0, kMaxBytes,
       "what the whole process may take, as 4GiB; 0: three quarters of the machine"},
      {"pressure", &o.pressure, 0, 0,
       "while the machine is short of memory, what can be given back is: empty by the system's own count, "
       "'off' never, or a file as /proc/pressure/memory"},
      {"recipe", &o.recipe, 0, 0, "how memories are found: retrievers joined by '+'"},
      {"embeddings", &o.embeddings, 0, 0,
       "what turns words into vectors: a folder of a static table, a .gguf embedding model, or "
       "model[:pool=mean|last|weighted,layer=N,prompt=none|echo|word]; empty: nothing"},
      {"reflector", &o.reflector, 0, 0, "what is learnt from a turn after its answer; several joined by '+'"},
      {"memory", &o.memory, 0, 0,
       "a recipe of 'varve list': sets reflector, recipe and recall_tokens where they are not set"},
      {"recall_tokens", &o.recall_tokens, 0, 1 << 20, "how much may be recalled for a turn"},
      {"context", &e.context, 0, 1 << 24,
       "tokens of a conversation that the model sees; 0: what it was made for"},
      {"max_sequences", &e.max_sequences, 1, 1024, "answers that are made at the same time; more wait"},
      {"chunk_rows", &e.chunk_rows, 1, 8192, "tokens of one step of the engine"},
      {"kv", &e.kv, 0, 0, "how attention state is kept: policy=... pack=..."},
      {"neurons", &e.neurons, 0, 0,
       "which neurons an answer computes: empty for all that fire; coreinfer:share=0.4 or sketch:margin=1, "
       "which approximate"},
      {"prefix_disk", &e.prefixes.disk_bytes, 0, kMaxBytes,
       "attention state that is kept on disk for the next start; 0: none"},
      {"auto_capture", &o.auto_capture_bytes, 0, kMaxBytes,
       "activation cubes of memories with which conversations keep beginning; 0: none is made by itself"},
      {"pause_disk", &e.pauses.disk_bytes, 0, kMaxBytes,
       "attention state of answers that wait for their next turn, on disk; 0: who has no room waits"},
      {"scheduler", &e.scheduler, 0, 0, "which sequences go first"},
      {"precision", &e.precision, 0, 0, "of matrix products: fast quantises activations to 8 bits"},
      {"threads", &e.threads, 0, 1024, "worker threads; 0: one a core"},
  };
}

Status Setting::set(std::string_view text) {
  bool good = true;
  if (auto* words = std::get_if<std::string*>(&field)) {
    **words = text;
  } else if (auto* number = std::get_if<int32_t*>(&field)) {
    int32_t parsed = 0;
    good = parse_number(text, parsed) && parsed >= low && parsed <= high;
    if (good) **number = parsed;
  } else if (auto* bytes = std::get_if<int64_t*>(&field)) {
    auto parsed = parse_bytes(text);
    good = parsed.ok() && *parsed >= low && *parsed <= high;
    if (good) **bytes = *parsed;
  } else {
    good = text == "exact" || text == "fast";
    if (good)
      *std::get<Ops::Precision*>(field) = text == "exact" ? Ops::Precision::exact : Ops::Precision::fast;
  }
  if (good) return {};
  return Status(Code::invalid,
                std::string(name) + " cannot be '" + std::string(text) + "'; it is " + range());
}

std::string Setting::text() const {
  if (auto* words = std::get_if<std::string*>(&field)) return **words;
  if (auto* number = std::get_if<int32_t*>(&field)) return std::to_string(**number);
  if (auto* bytes = std::get_if<int64_t*>(&field)) return std::to_string(**bytes);
  return *std::get<Ops::Precision*>(field) == Ops::Precision::exact ? "exact" : "fast";
}

std::string Setting::range() const {
  if (std::holds_alternative<std::string*>(field)) return "a text";
  if (std::holds_alternative<int64_t*>(field)) return "an amount of bytes, as 800MiB";
  if (std::holds_alternative<Ops::Precision*>(field)) return "exact or fast";
  return "a number from " + std::to_string(low) + " to " + std::to_string(high);
}

Status read_settings(Env& env, const std::string& folder, std::string_view section,
                     std::vector<Setting> settings) {
  const std::string path = folder + "/settings.json";
  if (!TRY(env.exists(path))) return {};
  const std::vector<std::byte> bytes = TRY(read_file(env, path, 1 << 20));
  const Json all =
      TRY(parse_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()}).with("reading " + path));
  const Json& own = section.empty() ? all : all[section];
  if (own.is_null() && !section.empty()) return {};
  if (!own.is_object()) return Status(Code::invalid, path + " must be a JSON object");
  for (const auto& [key, value] : own.as_object()) {
    if (value.is_object() && section.empty()) continue;
    const auto found = std::find_if(settings.begin(), settings.end(),
                                    [&, &name = key](const Setting& one) { return one.name == name; });
    if (found == settings.end()) {
      return Status(Code::invalid,
                    path + " has an unknown key '" + key + "'; 'varve settings' lists the known");
    }
    TRY(found->set(TRY(as_text(key, value))).with("reading " + path));
  }
  return {};
}

}  // namespace varve
