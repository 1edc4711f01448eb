// POST /v1/backups: a copy of every memory, made while the server goes on, into the home's own backups/.
#include "memory/cube/governance.h"
#include "serve/home/fields.h"
#include "serve/http/http.h"

namespace varve {

Result<HttpReply> post_backup(Api& api, const HttpRequest& request) {
  const Json body = TRY(body_of(request));
  std::string name;
  TRY(Fields(body).text("name", name, 64).done());
  if (name.empty()) {  // a second more than one a second is answered with 409
    name = format_time(api.home.clock().now_ms()).substr(0, 19);
    for (char& c : name) c = c == ':' ? '-' : c == 'T' ? '_' : c;
  }
  TRY(check_name("a backup's name", name));
  const std::string folder = api.home.folder() + "/backups";
  TRY(posix_env().make_folder(folder));
  const Backup made = TRY(api.home.cubes().governance().backup(request.who, folder + "/" + name));
  Json reply = Json::object().set("object", "backup").set("name", name).set("files", made.files);
  return json_reply(reply.set("bytes", made.bytes).set("created_at", format_time(made.time)), 201);
}

}  // namespace varve
