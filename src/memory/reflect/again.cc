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

// What is made of each exchange that it was derived from.
Result<std::vector<CubeId>> derive_one(const Reflecting& with, const Reflector& reflector,
                                       const Rebuild& lost) {
  std::vector<CubeId> made;
  for (const CubeId& source : lost.from) {
    const CubeHeader header = TRY(with.cubes.head(with.who, source));
    if (!is_evidence(header.kind)) continue;
    const std::vector<CubeId> more = TRY(reflect(with, reflector, TRY(exchange_around(with, header))));
    made.insert(made.end(), more.begin(), more.end());
  }
  return made;
}

}  // namespace

Result<std::vector<CubeId>> derive_again(const Reflecting& with, const Reflector& reflector) {
  const std::vector<std::string> kinds = reflector.kinds();
  std::vector<CubeId> made;
  Status trouble;
  for (const Rebuild& lost : TRY(with.cubes.governance().rebuilds(with.who))) {
    if (std::find(kinds.begin(), kinds.end(), lost.kind) == kinds.end()) continue;
    auto again = derive_one(with, reflector, lost);
    if (again.code() == Code::cancelled) return std::move(again).status();
    if (!again.ok()) {
      trouble = std::move(again).status();
      continue;
    }
    // A writer that was asked and had nothing to say will have no more the next time.
    if (!again->empty() || with.writer != nullptr) TRY(with.cubes.governance().rebuilt(with.who, lost.lost));
    made.insert(made.end(), again->begin(), again->end());
  }
  if (made.empty()) TRY(std::move(trouble));
  return made;
}

}  // namespace varve
