// GET /health, /metrics and /v1/models: what is running, and in how many bytes.
#include "serve/http/counters.h"
#include "serve/http/http.h"

namespace varve {
namespace {

// The base, or with "+name" what an adapter makes of it.
Json model_json(Api& api, const CubeHeader* adapter = nullptr) {
  const Model& model = api.home.engine()->model();
  return Json::object()
      .set("id", model.name() + (adapter ? "+" + adapter->title : ""))
      .set("object", "model")
      .set("created", (adapter ? adapter->recorded : api.home.clock().now_ms()) / 1000)
      .set("owned_by", adapter ? std::string_view(adapter->owner) : std::string_view("varve"))
      .set("meta", Json::object()
                       .set("family", model.shape().family)
                       .set("vocabulary", int64_t(model.shape().vocabulary))
                       .set("context", int64_t(api.home.engine()->context()))
                       .set("weight_bytes", model.weights().resident_bytes())
                       .set("fingerprint", model.fingerprint().hex()));
}

void gauge(std::string& out, std::string_view name, int64_t value, std::string_view label = {}) {
  out.append(name).append(label).append(" ").append(std::to_string(value)).append("\n");
}

void engine_metrics(const EngineStats& stats, std::string& out) {
  out += "# TYPE varve_tokens_total counter\n";
  gauge(out, "varve_tokens_total", stats.prompt_tokens, "{kind=\"prompt\"}");
  gauge(out, "varve_tokens_total", stats.generated_tokens, "{kind=\"generated\"}");
  out += "# TYPE varve_prefill_tokens_saved_total counter\n";
  gauge(out, "varve_prefill_tokens_saved_total", stats.prefill_tokens_saved);
  out += "# TYPE varve_engine_steps_total counter\n";
  gauge(out, "varve_engine_steps_total", stats.steps);
  out += "# TYPE varve_sequences gauge\n";
  gauge(out, "varve_sequences", stats.running, "{state=\"running\"}");
  gauge(out, "varve_sequences", stats.waiting, "{state=\"waiting\"}");
  gauge(out, "varve_sequences", stats.paused, "{state=\"paused\"}");
  out += "# TYPE varve_pauses_total counter\n";
  gauge(out, "varve_pauses_total", stats.pauses);
  out += "# TYPE varve_kv_bytes gauge\n";
  gauge(out, "varve_kv_bytes", stats.kv_bytes, "{of=\"sequences\"}");
  gauge(out, "varve_kv_bytes", stats.prefix_bytes, "{of=\"prefixes\"}");
  gauge(out, "varve_kv_bytes", stats.paused_bytes, "{of=\"paused, on disk\"}");
}

}  // namespace

Result<HttpReply> get_health(Api& api, const HttpRequest&) {
  Json body = Json::object().set("status", "ok");
  body.set("model", api.home.engine() != nullptr ? Json(api.home.engine()->model().name()) : Json());
  return json_reply(body);
}

Result<HttpReply> get_metrics(Api& api, const HttpRequest&) {
  const Ledger& ledger = api.home.ledger();
  std::string out = "# TYPE varve_budget_bytes gauge\n";
  gauge(out, "varve_budget_bytes", ledger.limit(), "{what=\"limit\"}");
  gauge(out, "varve_budget_bytes", ledger.used(), "{what=\"used\"}");
  gauge(out, "varve_budget_bytes", ledger.peak(), "{what=\"peak\"}");
  out += "# TYPE varve_used_bytes gauge\n";
  for (int tag = 0; tag < int(Tag::count); ++tag) {
    gauge(out, "varve_used_bytes", ledger.used(Tag(tag)),
          "{tag=\"" + std::string(to_string(Tag(tag))) + "\"}");
  }
  if (api.home.engine() != nullptr) engine_metrics(api.home.engine()->stats(), out);
  out += api.counters.text();
  return HttpReply{.type = "text/plain; version=0.0.4; charset=utf-8", .body = std::move(out)};
}

namespace {

Result<std::vector<Json>> models(Api& api, const Principal& who) {
  std::vector<Json> all;
  if (api.home.engine() == nullptr) return all;
  all.push_back(model_json(api));
  for (const CubeHeader& one : TRY(list_adapters(api.home.cubes(), who))) {
    if (one.model == api.home.engine()->model().fingerprint()) all.push_back(model_json(api, &one));
  }
  return all;
}

}  // namespace

Result<HttpReply> get_models(Api& api, const HttpRequest& request) {
  Json list = Json::array();
  for (Json& one : TRY(models(api, request.who))) list.push(std::move(one));
  return json_reply(Json::object().set("object", "list").set("data", std::move(list)));
}

Result<HttpReply> get_model(Api& api, const HttpRequest& request) {
  for (const Json& one : TRY(models(api, request.who))) {
    if (one["id"].as_string() == request.named.at("id")) return json_reply(one);
  }
  return Status(Code::not_found, "no such model; GET /v1/models lists what is loaded");
}

Result<HttpReply> get_budget(Api& api, const HttpRequest&) {
  return json_reply(budget_report(api.home));
}

Result<HttpReply> put_budget(Api& api, const HttpRequest& request) {
  const Json body = TRY(body_of(request));
  const Json& asked = body["budget"];
  if (body.as_object().size() != 1 || !(asked.is_string() || asked.is_int()))
    return Status(Code::invalid, "say {\"budget\": \"800MiB\"}");
  const int64_t bytes = asked.is_int() ? asked.as_int() : TRY(parse_bytes(asked.as_string()));
  if (bytes <= 0) return Status(Code::invalid, "a budget of nothing");
  TRY(api.home.set_budget(bytes));
  return json_reply(budget_report(api.home));
}

}  // namespace varve
