#include "serve/home/show.h"
#include "serve/mcp/tools.h"

namespace varve {
namespace {

constexpr std::string_view kScheme = "varve://memory/";
constexpr int32_t kPage = 100;

}  // namespace

// The cursor is the id of the last one seen.
Result<Json> list_mcp_resources(const McpCaller& caller, const Json& params) {
  CubeFilter filter{.form = Form::plaintext, .limit = kPage};
  if (const Json& cursor = params["cursor"]; !cursor.is_null()) {
    auto after = cursor.is_string() ? CubeId::parse(cursor.as_string()) : Status(Code::invalid, "");
    if (!after.ok()) return Status(Code::invalid, "there is no such cursor");
    filter.after = *after;
  }
  const auto headers = TRY(caller.home.cubes().list(caller.who, filter));
  Json list = Json::array();
  for (const CubeHeader& header : headers) {
    Json one = Json::object().set("uri", std::string(kScheme) + header.id.text());
    one.set("name", header.kind + " " + header.id.text());
    one.set("title", header.title.empty() ? source_of(header) : header.title);
    one.set("mimeType", "text/plain").set("size", header.payload_bytes);
    list.push(std::move(one));
  }
  Json result = Json::object().set("resources", std::move(list));
  if (headers.size() == size_t(kPage)) result.set("nextCursor", headers.back().id.text());
  return result;
}

Result<Json> read_mcp_resource(const McpCaller& caller, const Json& params) {
  const Json& uri = params["uri"];
  if (!uri.is_string()) return Status(Code::invalid, "'uri' must say which resource");
  const std::string_view text = uri.as_string();
  if (!text.starts_with(kScheme)) return Status(Code::not_found, "there is no such resource");
  const auto id = CubeId::parse(text.substr(kScheme.size()));
  if (!id.ok()) return Status(Code::not_found, "there is no such resource");
  const CubeHeader header = TRY(caller.home.cubes().head(caller.who, *id));
  if (header.form != Form::plaintext) return Status(Code::not_found, "this memory holds no words");
  Json one = Json::object().set("uri", text).set("mimeType", "text/plain");
  one.set("text", TRY(caller.home.cubes().payload(caller.who, *id)));
  return Json::object().set("contents", Json::array().push(std::move(one)));
}

}  // namespace varve
