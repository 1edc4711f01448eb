// POST /v1/embeddings: vectors of texts, from the embedding table when one is configured, else the mean
// hidden state of the running model.
#include <cmath>
#include <future>

#include "serve/home/fields.h"
#include "serve/http/call.h"

namespace varve {
namespace {

constexpr size_t kMostInputs = 2048, kMaxInputBytes = 1 << 20;

struct Embedded {
  std::vector<float> vector;
  int32_t tokens = 0;
};

Result<Embedded> by_engine(Engine& engine, const std::string& text, const Principal& who) {
  Request request{
      .tokens = tokenize_prompt(*engine.model().tokenizer(), text), .max_tokens = 0, .scope = who.whole()};
  if (request.tokens.empty()) return Status(Code::invalid, "an empty text has no embedding");
  request.embed = true;
  Embedded out{.tokens = int32_t(request.tokens.size())};
  std::promise<Status> ended;
  Listener listener;
  listener.on_finish = [&](Finish, Status status, const Usage&, std::vector<float> embedding) {
    out.vector = std::move(embedding);
    ended.set_value(std::move(status));
  };
  TRY(engine.submit(std::move(request), std::move(listener)));
  TRY(ended.get_future().get());
  double square = 0;
  for (float value : out.vector) square += double(value) * value;
  for (float& value : out.vector) value = square > 0 ? float(value / std::sqrt(square)) : 0;
  return out;
}

std::string base64(std::span<const std::byte> bytes) {
  static constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t at = 0; at < bytes.size(); at += 3) {
    const size_t left = std::min<size_t>(3, bytes.size() - at);
    uint32_t word = 0;
    for (size_t i = 0; i < 3; ++i) word = word << 8 | (i < left ? uint32_t(bytes[at + i]) : 0);
    for (size_t i = 0; i < 4; ++i) out += i <= left ? digits[word >> (18 - 6 * i) & 63] : '=';
  }
  return out;
}

Json vector_json(const std::vector<float>& vector, bool packed) {
  if (packed) return Json(base64(std::as_bytes(std::span(vector))));
  Json list = Json::array();
  for (float value : vector) list.push(double(value));
  return list;
}

}  // namespace

Result<HttpReply> post_embeddings(Api& api, const HttpRequest& request) {
  const Json body = TRY(body_of(request));
  std::vector<std::string> inputs;
  std::string format = "float";
  TRY(Fields(body)
          .texts("input", inputs, kMostInputs, kMaxInputBytes)
          .text("encoding_format", format, 16)
          .done());
  if (inputs.empty()) return Status(Code::invalid, "'input' must be a string or a list of strings");
  if (format != "float" && format != "base64") {
    return Status(Code::invalid, "'encoding_format' must be float or base64");
  }
  const Embedder* table = api.home.embedder();
  Engine* engine = table == nullptr ? TRY(engine_with_tokenizer(api)) : nullptr;
  Json list = Json::array();
  int64_t tokens = 0;
  for (const std::string& text : inputs) {
    Embedded one;
    if (table != nullptr) {
      one.vector = TRY(table->embed(text));
    } else {
      one = TRY(by_engine(*engine, text, request.who));
    }
    tokens += one.tokens;
    list.push(Json::object()
                  .set("object", "embedding")
                  .set("index", int64_t(list.size()))
                  .set("embedding", vector_json(one.vector, format == "base64")));
  }
  Json reply = Json::object().set("object", "list").set("data", std::move(list));
  reply.set("model", table != nullptr ? std::string(table->name()) : engine->model().name());
  reply.set("usage", Json::object().set("prompt_tokens", tokens).set("total_tokens", tokens));
  return json_reply(reply);
}

}  // namespace varve
