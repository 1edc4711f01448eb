// Receipts of what was forgotten: as JSON, and whether they still hold.
#include "memory/cube/governance.h"
#include "serve/home/show.h"

namespace varve {
namespace {

Json texts(const std::vector<std::string>& lines) {
  Json all = Json::array();
  for (const std::string& line : lines) all.push(line);
  return all;
}

Json ids(const std::vector<CubeId>& cubes) {
  Json all = Json::array();
  for (const CubeId& id : cubes) all.push(id.text());
  return all;
}

Status no_receipt() {
  return Status(Code::invalid, "this is no receipt of varve forget");
}

// What is wrong with one thing that a receipt lists, or nothing.
Result<std::string> check_item(const CubeStore& cubes, const Principal& who, const Json& item) {
  if (!item["id"].is_string() || !item["method"].is_string()) return no_receipt();
  const CubeId id = TRY(CubeId::parse(item["id"].as_string()));
  auto head = cubes.head(who, id);
  if (head.code() == Code::not_found)
    return std::string();  // not even its stone: a store restored from before
  const CubeHeader header = TRY(std::move(head));
  if (item["method"].as_string() == "flagged") {
    const bool kept_away = header.life == Life::erased || (header.life != Life::active && header.relearn);
    return kept_away || header.version > uint32_t(item["versions"].as_int())
               ? std::string()
               : "cube " + id.text() + " is in use, but learnt from what was forgotten";
  }
  const bool gone = header.life == Life::erased && cubes.payload(who, id).code() == Code::not_found;
  return gone ? std::string() : "cube " + id.text() + " is there";
}

// The journal must still have the entry that the receipt names.
Result<std::string> check_entry(CubeStore& cubes, const Principal& who, const Json& receipt) {
  if (!receipt["entry"].is_int() || !receipt["proof"].is_string()) return no_receipt();
  const int64_t entry = receipt["entry"].as_int();
  const auto found = TRY(cubes.governance().audit(who, {.after = entry - 1, .limit = 1}));
  if (!found.empty() && found[0].sequence == entry && found[0].hash.hex() == receipt["proof"].as_string())
    return std::string();
  return "the journal's entry " + std::to_string(entry) + " is not the one of the receipt";
}

}  // namespace

void merge(EraseReceipt& all, EraseReceipt next) {
  const auto put_before = [](auto& to, const auto& from) { to.insert(to.begin(), from.begin(), from.end()); };
  put_before(next.items, all.items);
  put_before(next.restored, all.restored);
  put_before(next.rebuild, all.rebuild);
  put_before(next.indexes, all.indexes);
  put_before(next.not_reached, all.not_reached);
  all = std::move(next);
}

Json to_json(const EraseReceipt& receipt) {
  Json items = Json::array();
  for (const auto& item : receipt.items) {
    Json one = Json::object();
    one.set("id", item.id.text()).set("kind", item.kind).set("method", item.method);
    one.set("versions", int64_t(item.versions)).set("payload_sha256", item.payload_hash.hex());
    items.push(one.set("sha256_after", item.after ? Json(item.after->hex()) : Json()));
  }
  Json out = Json::object().set("erased", std::move(items)).set("restored", ids(receipt.restored));
  out.set("rebuild", ids(receipt.rebuild)).set("indexes", texts(receipt.indexes));
  out.set("not_reached", texts(receipt.not_reached)).set("time", format_time(receipt.time));
  return out.set("by", receipt.principal).set("entry", receipt.entry).set("proof", receipt.proof.hex());
}

Result<std::vector<std::string>> verify_receipts(CubeStore& cubes, const Principal& who,
                                                 const Json& receipts) {
  if (!receipts.is_array()) return no_receipt();
  std::vector<std::string> wrong;
  const auto note = [&](std::string line) {
    if (!line.empty()) wrong.push_back(std::move(line));
  };
  for (const Json& receipt : receipts.as_array()) {
    if (!receipt["erased"].is_array()) return no_receipt();
    for (const Json& item : receipt["erased"].as_array()) note(TRY(check_item(cubes, who, item)));
    note(TRY(check_entry(cubes, who, receipt)));
  }
  return wrong;
}

}  // namespace varve
