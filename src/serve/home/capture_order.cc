#include "serve/home/capture_order.h"

#include "serve/home/fields.h"
#include "serve/session/captured.h"

namespace varve {
namespace {

constexpr size_t kMostMemories = 1000;
constexpr size_t kMostSystem = 1 << 20;

Result<CaptureOrder> read_order(const Json& body) {
  CaptureOrder order;
  std::string fidelity = "exact";
  TRY(Fields(body)
          .text("title", order.title, kMaxTitleBytes)
          .text("space", order.space, kMaxNameBytes)
          .text("system", order.system, kMostSystem)
          .text("fidelity", fidelity, 16)
          .done());
  order.fidelity = TRY(parse_fidelity(fidelity));
  const Json& memories = body["memories"];
  if (!memories.is_array() || memories.size() == 0 || memories.size() > kMostMemories)
    return Status(Code::invalid, "'memories' is a list of 1 to 1000 ids");
  for (const Json& one : memories.as_array()) {
    if (!one.is_string()) return Status(Code::invalid, "'memories' holds ids");
    order.memories.push_back(TRY(CubeId::parse(one.as_string())));
  }
  return order;
}

}  // namespace

Result<Json> capture_memories(Home& home, const Principal& who, const Json& body) {
  const CaptureOrder order = TRY(read_order(body));
  if (home.engine() == nullptr)
    return Status(Code::unsupported, "no model reads here; start the program with --model FILE");
  const CaptureMade made = TRY(capture(home.cubes(), who, *home.engine(), Prompter(home.engine()->model()),
                                       order, home.clock().now_ms()));
  Json reply = Json::object().set("id", made.cube.text()).set("tokens", made.tokens);
  return reply.set("bytes", made.bytes).set("fidelity", std::string(to_string(order.fidelity)));
}

}  // namespace varve
