// POST /v1/captures: the model reads some memories once, for every chat that begins with them.
#include "serve/home/capture_order.h"
#include "serve/http/http.h"

namespace varve {

Result<HttpReply> post_capture(Api& api, const HttpRequest& request) {
  Json made = TRY(capture_memories(api.home, request.who, TRY(body_of(request))));
  return json_reply(made.set("object", "capture"), 201);
}

}  // namespace varve
