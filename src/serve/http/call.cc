#include "serve/http/call.h"

#include <charconv>
#include <cmath>

#include "serve/home/fields.h"

namespace varve {
namespace {

constexpr size_t kMostBiases = 10000;
constexpr int32_t kMostChoices = 16, kMostLogprobs = 20;
constexpr size_t kMostAdapters = 16, kMostStops = 16, kMaxStopBytes = 1024, kMaxGrammarBytes = 1 << 20;

uint64_t random_seed() {
  uint64_t seed = 0;
  secure_random(std::as_writable_bytes(std::span(&seed, 1)));
  return seed;
}

Status read_bias(const Json& body, int32_t vocabulary, SamplingOptions& out) {
  const Json& bias = body["logit_bias"];
  if (bias.is_null()) return {};
  if (!bias.is_object() || bias.size() > kMostBiases) {
    return Status(Code::invalid, "'logit_bias' must be an object of at most " + std::to_string(kMostBiases) +
                                     " token ids with numbers from -100 to 100");
  }
  for (const auto& [key, value] : bias.as_object()) {
    int32_t token = -1;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), token);
    const bool number = error == std::errc() && end == key.data() + key.size();
    if (!number || token < 0 || token >= vocabulary) {
      return Status(Code::invalid,
                    "'logit_bias' has the key '" + key.substr(0, 40) + "', which is no token id");
    }
    const double amount = value.is_number() ? value.as_double() : std::nan("");
    if (!(amount >= -100 && amount <= 100)) {
      return Status(Code::invalid, "'logit_bias' of token " + key + " must be a number from -100 to 100");
    }
    // As the protocol defines it, the ends of the range forbid and force.
    out.logit_bias[token] = amount == -100 ? -INFINITY : static_cast<float>(amount);
  }
  return {};
}

Status read_logprobs(const Json& body, bool chat, SamplingOptions& out) {
  if (!chat) {
    int32_t best = -1;
    TRY(Fields(body).integer("logprobs", best, 0, kMostLogprobs).done());
    out.logprobs = best;
    return {};
  }
  bool wanted = false;
  int32_t best = 0;
  TRY(Fields(body).boolean("logprobs", wanted).integer("top_logprobs", best, 0, kMostLogprobs).done());
  if (!wanted && best > 0) return Status(Code::invalid, "'top_logprobs' needs 'logprobs': true");
  out.logprobs = wanted ? best : -1;
  return {};
}

// response_format as OpenAI has it; `grammar` (GBNF) and `json_schema` as llama.cpp's users know them.
Result<std::shared_ptr<const Grammar>> read_grammar(Api& api, const Json& body) {
  const Json &format = body["response_format"], &gbnf = body["grammar"], &bare = body["json_schema"];
  const bool formatted =
      format.is_object() && format["type"].is_string() && format["type"].as_string() != "text";
  if (gbnf.is_null() && bare.is_null() && !formatted) {
    if (!format.is_null() && !(format.is_object() && format["type"].is_string())) {
      return Status(Code::invalid, "'response_format' must be an object with a 'type'");
    }
    return std::shared_ptr<const Grammar>();
  }
  const Tokenizer& tokenizer = *TRY(engine_with_tokenizer(api))->model().tokenizer();
  if (!gbnf.is_null()) {
    if (!gbnf.is_string() || gbnf.as_string().size() > kMaxGrammarBytes) {
      return Status(Code::invalid, "'grammar' must be GBNF text of at most 1 MiB");
    }
    return grammar_from_gbnf(gbnf.as_string(), tokenizer);
  }
  if (!bare.is_null()) return grammar_from_json_schema(bare, tokenizer);
  const std::string& type = format["type"].as_string();
  if (type == "json_object" && format["schema"].is_null()) return grammar_any_json(tokenizer);
  if (type == "json_object") return grammar_from_json_schema(format["schema"], tokenizer);
  if (type == "json_schema") return grammar_from_json_schema(format["json_schema"]["schema"], tokenizer);
  return Status(Code::invalid, "'response_format.type' must be text, json_object or json_schema");
}

// "adapters": ["mine", {"name": "other", "scale": 0.5}]; null when nothing is said.
Result<std::optional<std::vector<AdapterChoice>>> listed_adapters(const Json& list) {
  if (list.is_null()) return std::optional<std::vector<AdapterChoice>>();
  const auto refused = [] {
    return Status(Code::invalid,
                  "'adapters' must be a list of at most 16 names, or of {\"name\", \"scale\"}");
  };
  std::vector<AdapterChoice> all;
  if (!list.is_array() || list.size() > kMostAdapters) return refused();
  for (const Json& one : list.as_array()) {
    const Json& name = one.is_string() ? one : one["name"];
    AdapterChoice choice;
    if (!name.is_string()) return refused();
    choice.name = name.as_string();
    if (one.is_object()) TRY(Fields(one).number("scale", choice.strength, -100, 100).done());
    all.push_back(std::move(choice));
  }
  return std::optional(std::move(all));
}

// From "adapters", or from a model that is named base+name+name.
Status read_adapters(Api& api, const Json& body, const Principal& who, Call& call) {
  Engine* engine = api.home.engine();
  call.model = engine != nullptr ? engine->model().name() : "varve-memory";
  auto choices = TRY(listed_adapters(body["adapters"]));
  const std::string base = call.model + "+";
  const Json& model = body["model"];
  if (!choices && model.is_string() && model.as_string().starts_with(base)) {
    choices.emplace();
    std::string_view rest = std::string_view(model.as_string()).substr(base.size());
    while (!rest.empty()) {
      const size_t end = std::min(rest.find('+'), rest.size());
      choices->push_back({std::string(rest.substr(0, end)), 1});
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
  call.adapter = TRY(api.home.adapter(who, choices));
  if (choices) {
    for (const AdapterChoice& one : *choices) call.model += "+" + one.name;
  }
  return {};
}

}  // namespace

Result<Engine*> engine_with_tokenizer(Api& api) {
  Engine* engine = api.home.engine();
  if (engine == nullptr) {
    return Status(Code::unsupported, "no model is loaded; start the server with --model FILE");
  }
  if (engine->model().tokenizer() == nullptr) {
    return Status(Code::unsupported, "the model's file has no tokenizer, so it cannot read text");
  }
  return engine;
}

Result<Call> read_call(Api& api, const Json& body, const Principal& who, bool chat) {
  Call call;
  SamplingOptions& to = call.sampling;
  to.seed = random_seed();
  Json stream_options = body["stream_options"].is_object() ? body["stream_options"] : Json::object();
  constexpr int32_t most = std::numeric_limits<int32_t>::max();
  TRY(Fields(body)
          .number("temperature", to.temperature, 0, 2)
          .number("top_p", to.top_p, 0, 1)
          .integer("top_k", to.top_k, 0, most)
          .number("min_p", to.min_p, 0, 1)
          .number("frequency_penalty", to.frequency_penalty, -2, 2)
          .number("presence_penalty", to.presence_penalty, -2, 2)
          .number("repeat_penalty", to.repeat_penalty, 0.01f, 10)
          .integer("seed", to.seed)
          .integer("max_tokens", call.max_tokens, 1, most)
          .integer("max_completion_tokens", call.max_tokens, 1, most)
          .integer("n", call.choices, 1, kMostChoices)
          .boolean("stream", call.stream)
          .texts("stop", call.stop, kMostStops, kMaxStopBytes)
          .done());
  TRY(Fields(stream_options).boolean("include_usage", call.include_usage).done());
  std::erase(call.stop, std::string());
  TRY(read_logprobs(body, chat, to));
  const int32_t vocabulary =
      api.home.engine() != nullptr ? api.home.engine()->model().shape().vocabulary : most;
  TRY(read_bias(body, vocabulary, to));
  call.grammar = TRY(read_grammar(api, body));
  TRY(read_adapters(api, body, who, call));
  std::string subtasks;
  const Json own = body["varve"].is_object() ? body["varve"] : Json::object();
  TRY(Fields(own).text("subtasks", subtasks, 1024).done());
  if (!subtasks.empty()) call.subtasks = TRY(parse_subtasks(subtasks));
  TRY(to.validate());
  return call;
}

Running::Running(std::function<Status(const Emit&)> work)
    : thread_([this, work = std::move(work)] {
        Status status = work([this](Chunk chunk) {
          std::lock_guard lock(mutex_);
          chunks_.push_back(std::move(chunk));
          changed_.notify_all();
          return !deaf_;
        });
        std::lock_guard lock(mutex_);
        status_ = std::move(status);
        done_ = true;
        changed_.notify_all();
      }) {}

Running::~Running() {
  {
    std::lock_guard lock(mutex_);
    deaf_ = true;
  }
  thread_.join();
}

bool Running::next(Chunk& chunk) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return done_ || !chunks_.empty(); });
  if (chunks_.empty()) return false;
  chunk = std::move(chunks_.front());
  chunks_.pop_front();
  return true;
}

Status Running::ended() {
  std::lock_guard lock(mutex_);
  return std::move(status_);
}

Result<HttpReply> stream_reply(std::function<Status(const Emit&)> work, StreamShape shape) {
  auto running = std::make_shared<Running>(std::move(work));
  auto first = std::make_shared<Chunk>();
  const bool some = running->next(*first);
  if (!some) TRY(running->ended());
  HttpReply reply{.type = "text/event-stream"};
  reply.stream = [running, first, some, shape = std::move(shape)](const Sink& sink) {
    Chunk chunk = std::move(*first);
    for (bool more = some; more; more = running->next(chunk)) {
      if (!sink(event(shape.format(chunk)))) return;
    }
    const Status status = running->ended();
    if (!status.ok()) {
      sink(event(Json::object().set(
          "error",
          Json::object().set("message", status.message()).set("type", outside(status.code()).type))));
      return;
    }
    const auto last = shape.last();
    if (last) sink(event(*last));
    sink(kDone);
  };
  return reply;
}

std::string_view finish_reason(Finish finish) {
  return finish == Finish::length ? "length" : "stop";
}

Json usage_json(const Usage& usage) {
  Json json = Json::object();
  json.set("prompt_tokens", int64_t(usage.prompt_tokens))
      .set("completion_tokens", int64_t(usage.generated_tokens));
  json.set("total_tokens", int64_t(usage.prompt_tokens) + usage.generated_tokens);
  json.set("prompt_tokens_details", Json::object().set("cached_tokens", int64_t(usage.reused_tokens)));
  return json;
}

std::string response_id(std::string_view prefix) {
  std::array<std::byte, 12> random;
  secure_random(random);
  std::string id(prefix);
  for (std::byte byte : random) {
    static constexpr char digits[] = "0123456789abcdef";
    id += {digits[size_t(byte) >> 4], digits[size_t(byte) & 15]};
  }
  return id;
}

Json token_json(const Tokenizer& tokenizer, Token token, float logprob) {
  std::string text;
  tokenizer.decode(token, true, text);
  Json bytes = Json::array();
  for (char c : text) bytes.push(int64_t(static_cast<unsigned char>(c)));
  // JSON has no minus infinity; the protocol writes -9999 for what cannot be.
  const double shown = std::isfinite(logprob) ? double(logprob) : -9999.0;
  return Json::object().set("token", text).set("logprob", shown).set("bytes", std::move(bytes));
}

}  // namespace varve
