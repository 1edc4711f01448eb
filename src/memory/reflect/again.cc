#include "memory/reflect/again.h"

#include <algorithm>

#include "memory/cube/governance.h"
#include "memory/recall/present.h"

namespace varve {
namespace {

// The exchange that a cube of evidence belongs to, as far as it is still there.
Result<Turn> exchange_around(const Reflecting& with, const CubeHeader& said) {
  Turn turn{.session = said.session,
            .index = said.turn,
            .space = said.space,
            .time = said.event.value_or(said.recorded)};
  CubeFilter filter;
  filter.space = said.space;
  filter.kind = said.kind;
  filter.session = said.session;
  filter.life = std::nullopt;
  filter.limit = 10000;
  std::vector<CubeHeader> parts{said};
  if (!said.session.empty()) parts = TRY(with.cubes.list(with.who, filter));
  for (const CubeHeader& part : parts) {
    if (part.turn != said.turn || part.life == Life::erased || part.form != Form::plaintext) continue;
    const bool answer = part.speaker == "assistant";
    (answer ? turn.assistant : turn.user) = strip_recalled(TRY(with.cubes.payload(with.who, part.id)));
    (answer ? turn.assistant_cube : turn.user_cube) = part.id;
    if (!answer) turn.speaker = part.speaker.empty() ? "user" : part.speaker;
    if (!answer) turn.time = part.event.value_or(part.recorded);
  }
  return turn;
}

}  // namespace

Result<std::vector<CubeId>> derive_again(const Reflecting& with, const Reflector& reflector) {
  const std::vector<std::string> kinds = reflector.kinds();
  std::vector<CubeId> made;
  const std::vector<Rebuild> due = TRY(with.cubes.governance().rebuilds(with.who));
  for (const Rebuild& lost : due) {
    if (std::find(kinds.begin(), kinds.end(), lost.kind) == kinds.end()) continue;
    size_t before = made.size();
    for (const CubeId& source : lost.from) {
      const CubeHeader header = TRY(with.cubes.head(with.who, source));
      if (!is_evidence(header.kind)) continue;
      const std::vector<CubeId> more = TRY(reflect(with, reflector, TRY(exchange_around(with, header))));
      made.insert(made.end(), more.begin(), more.end());
    }
    if (made.size() > before) TRY(with.cubes.governance().rebuilt(with.who, lost.lost));
  }
  return made;
}

}  // namespace varve
