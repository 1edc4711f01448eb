// Which captured state stands for words in the middle of a prompt: the longest run of tokens that cube and
// prompt have in common. The words at its ends may be cut into other tokens there; those are read.
#include <algorithm>

#include "memory/cube/cube_store.h"
#include "run/engine/prefix_store.h"
#include "serve/session/captured.h"

namespace varve {
namespace {

constexpr size_t kAnchor = 12;     // tokens that are looked for
constexpr int32_t kLeastRun = 32;  // worth loading
constexpr int32_t kMostCubes = 1000;

struct Run {
  int32_t first = 0, at = 0, count = 0;  // in the cube, in the prompt
};

// Around each place where some of the cube's tokens stand in the prompt, as far as both agree.
Run longest_run(std::span<const Token> cube, std::span<const Token> prompt) {
  Run best;
  for (size_t from = 0; from + kAnchor <= cube.size(); from += kAnchor) {
    if (int32_t(from) >= best.first && int32_t(from) < best.first + best.count) continue;
    const auto anchor = cube.subspan(from, kAnchor);
    for (auto found = prompt.begin();; ++found) {
      found = std::search(found, prompt.end(), anchor.begin(), anchor.end());
      if (found == prompt.end()) break;
      size_t a = from, b = size_t(found - prompt.begin()), end = kAnchor;
      while (a > 0 && b > 0 && cube[a - 1] == prompt[b - 1]) --a, --b, ++end;
      while (a + end < cube.size() && b + end < prompt.size() && cube[a + end] == prompt[b + end]) ++end;
      if (int32_t(end) > best.count) best = {int32_t(a), int32_t(b), int32_t(end)};
    }
  }
  return best;
}

Result<Splice> find_splice(const CubeStore& cubes, const Principal& who, PrefixStore& store,
                           const CubeHeader& cube, std::span<const Token> prompt) {
  const Captured captured = TRY(find_captured(cubes, who, cube.id));
  const KvFile file = TRY(KvFile::open(TRY(cubes.open_payload(who, cube.id))));
  const KvHead& head = file.head();
  TRY(file.made_by(identity_of_cubes(store, cube.space)));
  const auto none = [] { return Status(Code::not_found, "nothing of it stands in this prompt"); };
  if (head.first != 0 || head.source != sha256(captured.words)) return none();
  const Run run = longest_run(head.tokens, prompt);
  const int32_t known = store.known({who.whole(), nullptr}, prompt);
  if (run.count < kLeastRun || run.at + run.count <= known) return none();
  KvBlocks blocks;
  TRY(file.load(store.pool(), int32_t(head.tokens.size()), blocks));
  return Splice{.at = run.at,
                .first = run.first,
                .count = run.count,
                .patched = fidelity_of(cube) == Fidelity::patched ? kPatched : 0,
                .kv = join(blocks, int32_t(head.tokens.size()))};
}

}  // namespace

std::vector<Spliced> splice_known(const CubeStore& cubes, const Principal& who, Engine& engine,
                                  const std::vector<Recalled>& seen, Request& request) {
  std::vector<Spliced> used;
  PrefixStore* const store = engine.prefixes();
  if (store == nullptr || request.adapter != nullptr || seen.empty()) return used;
  CubeFilter filter;
  filter.form = Form::activation;
  filter.limit = kMostCubes;
  auto all = cubes.list(who, filter);
  if (!all.ok() || request.tokens.size() < 2) return used;
  const auto prompt = std::span(request.tokens).first(request.tokens.size() - 1);
  for (const CubeHeader& cube : *all) {
    const auto among = [&](const Source& source) {
      return std::any_of(seen.begin(), seen.end(), [&](auto& one) { return one.header.id == source.cube; });
    };
    if (fidelity_of(cube) == Fidelity::exact || cube.model != engine.model().fingerprint() ||
        !std::all_of(cube.from.begin(), cube.from.end(), among))
      continue;
    auto splice = find_splice(cubes, who, *store, cube, prompt);
    if (!splice.ok()) continue;
    const auto overlaps = [&](const Splice& one) {
      return splice->at < one.at + one.count && one.at < splice->at + splice->count;
    };
    if (std::any_of(request.splices.begin(), request.splices.end(), overlaps)) continue;
    used.push_back({cube.id, fidelity_of(cube), splice->count});
    request.splices.push_back(std::move(*splice));
  }
  std::sort(request.splices.begin(), request.splices.end(), [](auto& a, auto& b) { return a.at < b.at; });
  return used;
}

}  // namespace varve
