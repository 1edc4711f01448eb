// varve batch: a file of requests, a line of JSON each, answered in whatever order is cheapest.
#include <ostream>

#include "serve/cli/builtin.h"
#include "serve/cli/options.h"
#include "serve/home/fields.h"
#include "serve/session/answer/batch.h"
#include "serve/session/prompt.h"

namespace varve {
namespace {

constexpr int64_t kMostBytes = int64_t(256) << 20;
constexpr int32_t kMostGenerated = 1 << 20;

struct Line {
  std::string id;
  Request request;
};

Result<Line> read_line(std::string_view text, const Engine& engine, const Prompter& prompter,
                       const TurnOptions& options, TimeMs now) {
  const Json json = TRY(parse_json(text));
  if (!json.is_object()) return Status(Code::invalid, "not an object");
  Line line;
  std::string prompt;
  line.request.max_tokens = options.max_tokens;
  line.request.sampling = options.sampling;
  line.request.subtasks = options.subtasks;
  line.request.scope = "batch";
  float temperature = -1;
  TRY(Fields(json)
          .text("custom_id", line.id, 1024)
          .text("prompt", prompt, size_t(kMostBytes))
          .integer("max_tokens", line.request.max_tokens, 0, kMostGenerated)
          .number("temperature", temperature, 0, 100)
          .integer("seed", line.request.sampling.seed)
          .done());
  if (temperature >= 0) line.request.sampling.temperature = temperature;
  if (json["messages"].is_array()) {
    line.request.tokens = TRY(prompter.write(json["messages"], {}, Json::object(), now)).tokens;
  } else if (json["prompt"].is_string()) {
    line.request.tokens = tokenize_prompt(*engine.model().tokenizer(), prompt);
  } else {
    return Status(Code::invalid, "it has neither 'prompt' nor 'messages'");
  }
  return line;
}

Result<std::vector<Line>> read_lines(const std::string& path, const Engine& engine,
                                     const TurnOptions& options, TimeMs now) {
  const std::vector<std::byte> bytes = TRY(read_file(posix_env(), path, kMostBytes));
  std::string_view rest(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const Prompter prompter(engine.model());
  std::vector<Line> lines;
  for (int64_t number = 1; !rest.empty(); ++number) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view text = rest.substr(0, end);
    rest.remove_prefix(std::min(rest.size(), end + 1));
    if (text.find_first_not_of(" \t\r") == text.npos) continue;
    auto line = read_line(text, engine, prompter, options, now);
    if (!line.ok()) return std::move(line).status().with(path + ", line " + std::to_string(number));
    if (line->id.empty()) line->id = std::to_string(number);
    lines.push_back(std::move(*line));
  }
  return lines;
}

const char* finish_of(Finish finish) {
  return finish == Finish::stop ? "stop" : finish == Finish::length ? "length" : "cancelled";
}

}  // namespace

Result<int> run_batch(Args& args, Console& console) {
  const HomeOptions settings = TRY(home_options(args, UseModel::named));
  const TurnOptions options = TRY(turn_options(args));
  const auto words = TRY(args.rest(1, 1, "a file of requests, a line of JSON each"));
  if (settings.model.empty()) return Status(Code::invalid, "name the model that answers: --model FILE");
  const std::unique_ptr<Home> home = TRY(Home::open(settings));
  Engine& engine = *home->engine();
  std::vector<Line> lines = TRY(read_lines(words[0], engine, options, home->clock().now_ms()));
  std::vector<Request> requests;
  for (Line& line : lines) requests.push_back(std::move(line.request));
  const BatchRead read = TRY(generate_all(
      engine, requests, options.stop, settings.engine.max_sequences, [&](size_t one, const Generation& made) {
        Json out = Json::object();
        out.set("custom_id", lines[one].id)
            .set("text", made.text)
            .set("finish_reason", finish_of(made.finish));
        out.set("prompt_tokens", made.usage.prompt_tokens).set("cached_tokens", made.usage.reused_tokens);
        out.set("completion_tokens", made.usage.generated_tokens);
        if (made.usage.subtasks > 0) out.set("subtasks", subtasks_json(made.usage));
        console.out << out.dump() << "\n" << std::flush;
      }));
  const int64_t computed = read.prompt_tokens - read.reused_tokens;
  console.err << lines.size() << " requests of " << read.prompt_tokens << " tokens, " << read.unique_tokens
              << " of them unique; " << computed << " were read\n";
  return 0;
}

}  // namespace varve
