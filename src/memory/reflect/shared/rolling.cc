#include "memory/reflect/shared/rolling.h"

#include "memory/recall/present.h"
#include "memory/reflect/ask.h"

namespace varve {
namespace {

constexpr int64_t kLineCharacters = 160;
constexpr size_t kSegmentBytes = 8000;

}  // namespace

Result<std::string> rewritten(const Rewriting& state, Writer* writer) {
  if (writer == nullptr) {
    std::vector<std::string> lines = sentences(state.old);
    for (std::string& one : sentences(state.said)) lines.push_back(clipped(one, size_t(kLineCharacters)));
    return digest(lines, size_t(state.lines) * 100);
  }
  const Json made =
      TRY(ask(*writer,
              {.words = state.words,
               .material = Json::object().set("before", state.old).set("new", state.fresh),
               .example = R"({"lines": ["..."]})",
               .shape = answer::record({{"lines", answer::list(answer::text(kLineCharacters), state.lines)}}),
               .max_tokens = 48 * state.lines}));
  std::string text;
  for (const Json& line : made["lines"].as_array()) {
    if (!line.as_string().empty()) text += (text.empty() ? "" : "\n") + line.as_string();
  }
  return text;
}

Result<Stretch> segment_of(const Principal& who, const Turn& turn, const Known& known, int32_t count) {
  Stretch segment;
  CubeFilter filter{.space = turn.space, .kind = "turn", .session = turn.session};
  filter.limit = 1000;
  for (;;) {
    const std::vector<CubeHeader> page = TRY(known.cubes.list(who, filter));
    for (const CubeHeader& header : page) {
      filter.after = header.id;
      if (header.turn <= turn.index - count || header.turn > turn.index) continue;
      const std::string words = strip_recalled(TRY(known.cubes.payload(who, header.id)));
      if (segment.words.size() + words.size() > kSegmentBytes) continue;
      segment.words += (segment.words.empty() ? "" : "\n") + header.speaker + ": " + words;
      segment.from.push_back({header.id, 1});
    }
    if (page.size() < size_t(filter.limit)) return segment;
  }
}

std::vector<MemoryOp> become(const Turn& turn, std::string_view kind, const std::optional<Unit>& old,
                             std::string text, std::vector<Source> from) {
  std::vector<MemoryOp> ops;
  if (text.empty() || (old && old->text == text)) return ops;
  ops.push_back(old ? revised(turn, old->header, std::move(text)) : derived(turn, kind, std::move(text)));
  ops.back().draft.header.from = std::move(from);
  return ops;
}

}  // namespace varve
