// varve budget, and --plan: the bytes of a running process, and how a model that does not fit in them
// streams; varve neurons, so that less of it needs to.
#include "serve/cli/machine/budget.h"

#include <cstdio>
#include <ostream>

#include "core/base/process.h"
#include "run/model/open_streamed.h"
#include "run/weights/stream_plan.h"
#include "serve/cli/builtin.h"
#include "serve/cli/options.h"
#include "serve/home/control.h"
#include "serve/home/settings.h"

namespace varve {
namespace {

void row(std::ostream& out, const std::string& name, int64_t bytes, const std::string& note = {}) {
  char line[160];
  std::snprintf(line, sizeof line, "%-34s %14lld  %10s", name.c_str(), (long long)bytes,
                format_bytes(bytes).c_str());
  out << line << (note.empty() ? "" : "  ") << note << "\n";
}

std::string percent(int64_t part, int64_t of, const std::string& what = "stays") {
  return std::to_string(of > 0 ? (part * 100 + of / 2) / of : 0) + " % " + what;
}

void print_neurons(const Json& neurons, std::ostream& out) {
  const std::string why_not = neurons["why_not"].as_string();
  if (!why_not.empty()) out << "neurons are not read one by one: " << why_not << "\n";
  if (neurons["bytes"].as_int() == 0) return;
  const int64_t could = neurons["could_fire"].as_int(), fired = neurons["fired"].as_int();
  row(out, "neurons, read when they fire", neurons["bytes"].as_int(),
      could > 0 ? percent(fired, could, "fired") : std::string());
  row(out, "  room for those that fired lately", neurons["room"].as_int(),
      fired > 0 ? percent(neurons["there"].as_int(), fired, "were there") : std::string());
  if (could > 0) row(out, "  read for a token", neurons["read_a_token"].as_int());
  char line[160];
  std::snprintf(line, sizeof line, "  %.0f of %s a second; what lies between two is read along up to %s\n",
                neurons["reads_per_s"].as_double(), format_bytes(neurons["bytes_of_one"].as_int()).c_str(),
                format_bytes(neurons["read_along"].as_int()).c_str());
  out << line;
}

void print(const Json& report, std::ostream& out) {
  const int64_t asked = report["asked"].as_int(), now = report["budget"].as_int();
  row(out, "budget", now,
      now < asked ? "of " + format_bytes(asked) + ": the machine is short of memory" : std::string());
  row(out, "  the program itself", report["floor"].as_int());
  for (const auto& [tag, bytes] : report["used_by_tag"].as_object())
    if (bytes.as_int() > 0) row(out, "  " + tag, bytes.as_int());
  const Json& plan = report["streaming"];
  if (!plan.is_object()) return;
  const int64_t pass = plan["bytes_a_token"].as_int();
  if (plan["disk_bytes_per_s"].as_double() <= 0) {  // nothing streams
    out << "\n";
    row(out, "residual blocks of weights", pass, percent(plan["stay"].as_int(), pass));
    row(out, "  left out", plan["left_out"].as_int());
    return;
  }
  out << "\nweights\n";
  for (const Json& one : plan["weights"].as_array())
    row(out, "  " + one["roles"].as_string(), one["bytes"].as_int(),
        percent(one["stays"].as_int(), one["bytes"].as_int()));
  row(out, "a token passes", pass);
  row(out, "  of it stays in memory", plan["stay"].as_int(), percent(plan["stay"].as_int(), pass));
  row(out, "  of it streams from disk", plan["streamed_a_token"].as_int());
  if (plan["read_by_row"].as_int() > 0) row(out, "tables read by row", plan["read_by_row"].as_int());
  if (plan["experts_read_when_chosen"].as_int() > 0)
    row(out, "experts, read when chosen", plan["experts_read_when_chosen"].as_int(),
        percent(plan["experts_there"].as_int(), plan["experts_asked_for"].as_int(), "were there"));
  print_neurons(plan["neurons"], out);
  row(out, "buffers to stream through", plan["buffers"].as_int());
  char line[256];
  std::snprintf(line, sizeof line,
                "\ndisk %.2f GB/s in reads of %s, %lld at a time, first byte after %.0f us%s\n"
                "products pass %.1f GB/s of weights\n",
                plan["disk_bytes_per_s"].as_double() / 1e9, format_bytes(plan["read_bytes"].as_int()).c_str(),
                (long long)plan["readers"].as_int(), plan["first_byte_s"].as_double() * 1e6,
                plan["direct"].as_bool() ? ", past the page cache" : "",
                plan["product_bytes_per_s"].as_double() / 1e9);
  out << line;
  if (!plan["direct"].as_bool())
    out << "through the page cache, because the file system refuses direct reads: "
        << plan["why_not_direct"].as_string() << "\n";
  std::snprintf(line, sizeof line, "predicted %.2f tokens/s\n", plan["predicted_tokens_per_s"].as_double());
  out << line;
}

}  // namespace

void print_plan(Home& home, bool json, Console& console) {
  const Json report = budget_report(home);
  if (json) {
    console.out << report.dump() << "\n";
    return;
  }
  print(report, console.out);
  if (!report["streaming"].is_object()) console.out << "all weights fit; nothing streams\n";
}

void print_speed(Home& home, const Usage& usage, Console& console) {
  if (home.engine() == nullptr || usage.generated_tokens < 2 || usage.decode_ms <= 0) return;
  const Streaming* streaming = home.engine()->model().weights().streaming();
  if (streaming == nullptr) return;
  const StreamPlan plan = streaming->plan();
  if (plan.leaves_out) return;
  const double measured = double(usage.generated_tokens - 1) * 1000 / usage.decode_ms;
  char line[160];
  std::snprintf(line, sizeof line, "%.2f tokens/s, the plan said %.2f; %s of weights stay, %s a token stream",
                measured, plan.tokens_per_second(), format_bytes(plan.resident_bytes).c_str(),
                format_bytes(plan.streamed_bytes()).c_str());
  console.err << line << std::endl;
}

Result<int> run_neurons(Args& args, Console& console) {
  constexpr int64_t kFloor = 24 << 20;  // of the process beside the ledger
  const std::string model = TRY(args.value("--model")).value_or("");
  int64_t budget = machine_bytes() / 2;
  if (const auto text = TRY(args.value("--budget"))) budget = TRY(parse_bytes(*text));
  if (budget < 2 * kFloor)
    return Status(Code::over_budget, "--budget is at least " + std::to_string(2 * kFloor >> 20) + "MiB");
  NeuronWords words{.whole = args.flag("--whole")};
  if (const auto format = TRY(args.value("--sketch")))
    words = {.whole = true, .sketch = TRY(codec_named(*format).with("--sketch"))};
  TRY(args.rest(0, 0, "no more words"));
  if (model.empty()) return Status(Code::invalid, "name the model: --model FILE.gguf");
  Ledger ledger(budget - kFloor, kFloor);
  TRY(write_neurons(
      posix_env(), model, ledger,
      [&](int64_t done, int64_t of) {
        console.err << format_bytes(done) << " of " << format_bytes(of) << std::endl;
      },
      words));
  console.out << "Wrote " << neurons_path(model) << "\n";
  return 0;
}

Result<int> run_budget(Args& args, Console& console) {
  const HomeOptions settings = TRY(home_options(args, UseModel::none));
  const bool json = args.flag("--json");
  const std::vector<std::string> words = TRY(args.rest(0, 1, "an amount of bytes, as 800MiB, or nothing"));
  std::optional<int64_t> bytes;
  if (!words.empty()) {
    bytes = TRY(parse_bytes(words[0]));
    if (*bytes == 0) return Status(Code::invalid, "a budget of nothing");
  }
  const Json report = TRY(ask_for_budget(settings.folder, bytes));
  if (json) {
    console.out << report.dump() << "\n";
  } else {
    print(report, console.out);
  }
  return 0;
}

}  // namespace varve
