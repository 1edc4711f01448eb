// Many memories in one request: batches, deleting by filter, import and export.
#include <algorithm>

#include "serve/home/fields.h"
#include "serve/home/show.h"
#include "serve/http/memory/scope.h"
#include "serve/transfer/import.h"

namespace varve {
namespace {

constexpr size_t kMaxBatch = 1000;
constexpr int32_t kPage = 1000;

struct Item {
  CubeId id;
  const Json* body;
};

Result<std::vector<Item>> items_of(const Json& body) {
  const Json& memories = body["memories"];
  if (!memories.is_array() || memories.size() == 0 || memories.size() > kMaxBatch)
    return Status(Code::invalid, "'memories' must be a list of 1 to 1000 memories");
  std::vector<Item> items;
  for (const Json& one : memories.as_array()) {
    std::string id;
    TRY(Fields(one).text("memory_id", id, 64).text("id", id, 64).done());
    auto parsed = CubeId::parse(id);
    if (!parsed.ok())
      return Status(Code::not_found, "no memory has the id of item " + std::to_string(items.size()));
    items.push_back({*parsed, &one});
  }
  return items;
}

// What went with one before it is gone already.
Status forget(Api& api, const Principal& who, CubeId id, EraseReceipt& all) {
  auto erased = api.home.forget(who, id, "deleted over HTTP");
  if (erased.code() == Code::not_found) return {};
  merge(all, TRY(std::move(erased)));
  return {};
}

}  // namespace

Result<HttpReply> put_batch(Api& api, const HttpRequest& request) {
  const Json body = TRY(body_of(request));
  Json results = Json::array();
  for (const Item& item : TRY(items_of(body))) {
    auto updated = update_memory(api, request, item.id, *item.body);
    const HttpReply reply = updated.ok() ? *updated : error_reply(std::move(updated).status());
    Json one = Json::object().set("id", item.id.text()).set("status", int64_t(reply.status));
    if (reply.status >= 300) one.set("error", TRY(parse_json(reply.body))["error"]);
    results.push(std::move(one));
  }
  return json_reply(Json::object().set("results", std::move(results)));
}

Result<HttpReply> delete_batch(Api& api, const HttpRequest& request) {
  const Json body = TRY(body_of(request));
  const auto items = TRY(items_of(body));
  for (const Item& item : items) TRY(api.home.cubes().head(request.who, item.id));  // all of them, or none
  EraseReceipt receipt;
  for (const Item& item : items) TRY(forget(api, request.who, item.id, receipt));
  return json_reply(to_json(receipt));
}

// Everything that passes; without anything to pass by it would be everything, and is refused.
Result<HttpReply> delete_memories(Api& api, const HttpRequest& request) {
  const Scope scope = TRY(read_scope(request.who, query_json(request)));
  if (scope.space.empty() && scope.filter.size() == 0)
    return Status(Code::invalid, "say whose memories to delete: user_id, agent_id, app_id, run_id or space");
  CubeFilter filter{.space = scope.space, .life = std::nullopt, .limit = kPage};
  EraseReceipt receipt;
  for (;;) {
    const auto page = TRY(api.home.cubes().list(request.who, filter));
    for (const CubeHeader& header : page) {
      if (header.life == Life::erased || !passes(scope, mem0_json(header, ""))) continue;
      TRY(forget(api, request.who, header.id, receipt));
    }
    if (page.size() < size_t(kPage)) break;
    filter.after = page.back().id;
  }
  Json reply = to_json(receipt);
  return json_reply(reply.set("message", "deleted " + std::to_string(receipt.items.size()) + " memories"));
}

Result<HttpReply> get_export(Api& api, const HttpRequest& request) {
  const Scope scope = TRY(read_scope(request.who, query_json(request)));
  CubeFilter filter{.space = scope.space};
  if (query_json(request)["life"] == Json("all")) filter.life = std::nullopt;
  HttpReply reply{.type = "application/x-ndjson"};
  reply.stream = [&home = api.home, who = request.who, filter](const Sink& sink) {
    auto done = export_lines(home, who, filter, [&](std::string_view line) {
      return sink(line) ? Status() : Status(Code::cancelled, "the client is gone");
    });
    if (!done.ok())
      sink(error_reply(std::move(done).status()).body);  // the last line says that it is not whole
  };
  return reply;
}

// The body is the file. For one of gigabytes there is `varve import`.
Result<HttpReply> post_import(Api& api, const HttpRequest& request) {
  Scope scope = TRY(read_scope(request.who, query_json(request)));
  if (scope.space.empty()) scope.space = request.who.name;
  ImportOptions options{.space = scope.space};
  options.believe = query_json(request)["believe"] == Json("true");
  const ImportReport report =
      TRY(import_records(api.home, request.who, bytes_of_text(request.body), options));
  return json_reply(to_json(report), report.cut ? 422 : 200);
}

Result<HttpReply> get_ping(Api&, const HttpRequest& request) {
  Json reply = Json::object().set("status", "ok").set("principal", request.who.name);
  return json_reply(reply.set("org_id", Json()).set("project_id", Json()).set("user_email", Json()));
}

}  // namespace varve
