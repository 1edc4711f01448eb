#include "serve/home/show.h"

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
  out.set("why", header.why).set("payload_bytes", header.payload_bytes);
  out.set("payload_sha256", header.payload_hash.hex());
  return out;
}

Json to_json(const EraseReceipt& receipt) {
  Json items = Json::array(), missed = Json::array();
  for (const auto& item : receipt.items) {
    Json one = Json::object();
    one.set("id", item.id.text()).set("kind", item.kind).set("method", item.method);
    one.set("versions", int64_t(item.versions)).set("payload_sha256", item.payload_hash.hex());
    items.push(std::move(one));
  }
  for (const std::string& one : receipt.not_reached) missed.push(one);
  return Json::object().set("erased", std::move(items)).set("not_reached", std::move(missed));
}

}  // namespace varve
