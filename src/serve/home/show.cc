#include "serve/home/show.h"

#include "serve/home/fields.h"

namespace varve {

Json to_json(const CubeHeader& header) {
  Json from = Json::array();
  for (const Source& source : header.from) from.push(source.cube.text());
  Json out = Json::object();
  out.set("id", header.id.text()).set("version", int64_t(header.version)).set("kind", header.kind);
  out.set("form", to_string(header.form)).set("life", to_string(header.life));
  out.set("owner", header.owner).set("space", header.space).set("title", header.title);
  out.set("session", header.session).set("turn", header.turn).set("speaker", header.speaker);
  out.set("recorded", format_time(header.recorded));
  if (header.event) out.set("event", format_time(*header.event));
  if (header.valid_from) out.set("valid_from", format_time(*header.valid_from));
  if (header.valid_to) out.set("valid_to", format_time(*header.valid_to));
  out.set("from", std::move(from)).set("trust", to_string(header.trust)).set("strength", header.strength);
  if (header.model) out.set("model", header.model->hex());
  if (header.relearn) out.set("relearn", true);
  if (auto labels = parse_json(header.labels); labels.ok()) out.set("labels", std::move(labels).value());
  out.set("why", header.why).set("payload_bytes", header.payload_bytes);
  out.set("payload_sha256", header.payload_hash.hex());
  return out;
}

Json memory_json(const CubeHeader& header) {
  const auto time = [](const std::optional<TimeMs>& at) { return at ? Json(format_time(*at)) : Json(); };
  Json from = Json::array();
  for (const Source& source : header.from) {
    from.push(Json::object().set("id", source.cube.text()).set("version", int64_t(source.version)));
  }
  Json json = Json::object();
  json.set("id", header.id.text()).set("object", "memory").set("version", int64_t(header.version));
  json.set("form", to_string(header.form)).set("kind", header.kind).set("life", to_string(header.life));
  json.set("owner", header.owner).set("space", header.space).set("title", header.title);
  json.set("session", header.session).set("turn", int64_t(header.turn)).set("speaker", header.speaker);
  json.set("recorded_at", format_time(header.recorded)).set("event_at", time(header.event));
  json.set("valid_from", time(header.valid_from)).set("valid_to", time(header.valid_to));
  json.set("from", std::move(from)).set("trust", to_string(header.trust)).set("strength", header.strength);
  if (!header.origin.empty()) json.set("origin", header.origin);
  if (auto labels = parse_json(header.labels); labels.ok()) json.set("labels", std::move(labels).value());
  return json.set("why", header.why);
}

Result<Json> memory_json(const CubeStore& cubes, const Principal& who, const CubeHeader& header) {
  Json json = memory_json(header);
  if (header.life == Life::erased || header.form != Form::plaintext) return json;
  return json.set("text", TRY(cubes.payload(who, header.id, header.version)));
}

Json recalled_json(const Recalled& one) {
  Json parts = Json::object();
  for (const auto& [name, score] : one.parts) parts.set(name, double(score));
  Json json = memory_json(one.header);
  json.set("text", one.text).set("score", double(one.score)).set("scores", std::move(parts));
  return json.set("source", source_of(one.header));
}

Json aggregate_json(const Aggregate& counted) {
  Json groups = Json::array(), values = Json::array(), evidence = Json::array();
  for (const auto& [name, count] : counted.groups)
    groups.push(Json::object().set("name", name).set("count", count));
  for (const Recalled& one : counted.evidence) {
    Json json = Json::object().set("id", one.header.id.text()).set("text", one.text);
    evidence.push(json.set("source", source_of(one.header)).set("trust", to_string(one.header.trust)));
  }
  Json json = Json::object().set("words", counted.plan.words).set("count", counted.count);
  json.set("says", in_words(counted)).set("groups", std::move(groups));
  for (size_t i = 0; i < counted.values.size(); ++i)
    values.push(Json::object().set("id", counted.cubes[i].text()).set("value", counted.values[i]));
  if (counted.values.size() > 0) json.set("values", std::move(values));
  return json.set("evidence", std::move(evidence));
}

Status read_time(const Json& body, std::string_view key, std::optional<TimeMs>& out) {
  std::string text;
  TRY(Fields(body).text(key, text, 64).done());
  if (!text.empty()) out = TRY(parse_time(text).with("reading '" + std::string(key) + "'"));
  return {};
}

Status read_rivals(const Json& body, CubeHeader& header) {
  for (const auto& [key, ids] :
       {std::pair("supersedes", &header.supersedes), std::pair("contradicts", &header.contradicts)}) {
    std::vector<std::string> texts;
    TRY(Fields(body).texts(key, texts, 64, 64).done());
    for (const std::string& text : texts)
      ids->push_back(TRY(CubeId::parse(text).with("reading '" + std::string(key) + "'")));
  }
  return {};
}

Status check_words(std::string_view text) {
  if (text.find_first_not_of(" \t\r\n") != std::string_view::npos) return {};
  return Status(Code::invalid, "'text' must say what to remember");
}

}  // namespace varve
