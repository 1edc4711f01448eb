#include "serve/session/captured.h"

#include <algorithm>

#include "memory/cube/cube_store.h"
#include "run/engine/prefix_store.h"
#include "serve/session/answer/generate.h"

namespace varve {
namespace {

constexpr size_t kBestHits = 3;      // of what is recalled, that may bring a whole capture
constexpr int32_t kLeastLeft = 256;  // tokens of a context, for what is said about the memories

Result<std::vector<Recalled>> read_memories(const CubeStore& cubes, const Principal& who,
                                            std::span<const CubeId> ids) {
  std::vector<Recalled> all;
  for (const CubeId& id : ids) {
    CubeHeader header = TRY(cubes.head(who, id));
    if (header.form != Form::plaintext || header.life == Life::erased)
      return Status(Code::invalid, "cube " + id.text() + " holds no words that could be captured");
    std::string text = TRY(cubes.payload(who, id));
    all.push_back({std::move(header), std::move(text), 1, {}});
  }
  return all;
}

size_t common(std::span<const Token> a, std::span<const Token> b) {
  const size_t shorter = std::min(a.size(), b.size());
  return size_t(std::mismatch(a.begin(), a.begin() + shorter, b.begin()).first - a.begin());
}

// What every prompt begins with that has these words first, however it goes on: the beginning that two
// prompts share which differ right after them.
Result<std::vector<Token>> prefix_tokens(const Prompter& prompter, const CaptureOrder& order,
                                         const std::string& words, TimeMs now) {
  const auto prompt = [&](std::string_view said) {
    Json all = Json::array();
    if (!order.system.empty()) all.push(message("system", order.system));
    all.push(message("user", words));
    all.push(message("user", said));
    return prompter.write(all, {}, Json::object(), now);
  };
  std::vector<Token> tokens = TRY(prompt("A")).tokens;
  const std::vector<Token> other = TRY(prompt("9")).tokens;
  tokens.resize(common(tokens, other));
  return tokens;
}

Status load(Captured& captured, const CubeStore& cubes, const Principal& who, PrefixStore& store,
            std::span<const Token> prompt) {
  const uint64_t epoch = store.epoch();
  const KvFile file = TRY(KvFile::open(TRY(cubes.open_payload(who, captured.header.id))));
  const KvHead& head = file.head();
  TRY(file.made_by(identity_of_cubes(store, captured.header.space)));
  if (head.first != 0) return Status(Code::corrupt, "the cube begins in the middle of something");
  if (head.source != sha256(captured.words))
    return Status(Code::conflict, "its memories changed since; capture them again");
  captured.tokens = int32_t(head.tokens.size());
  const size_t same = common(head.tokens, prompt);
  if (same < head.tokens.size()) {
    return Status(Code::conflict, "this prompt goes another way after " + std::to_string(same) + " of its " +
                                      std::to_string(captured.tokens) + " tokens");
  }
  const PrefixKey key{who.whole(), nullptr};
  if (store.known(key, prompt) >= captured.tokens) return {};
  KvBlocks blocks;
  TRY(file.load(store.pool(), captured.tokens, blocks));
  store.add(key, epoch, head.tokens, join(blocks, captured.tokens));
  return {};
}

Result<KvSnapshot> compute(Engine& engine, const Principal& who, const std::vector<Token>& tokens) {
  Request request;
  request.tokens = tokens;
  request.max_tokens = 0;
  request.priority = 1;
  request.scope = who.whole();
  Interrupt interrupt;
  TRY(generate(engine, std::move(request), {}, nullptr, interrupt));
  PrefixStore::Match match = engine.prefixes()->longest({who.whole(), nullptr}, tokens);
  if (size_t(match.tokens) == tokens.size()) return std::move(match.kv);
  return Status(Code::over_budget, "the state of " + std::to_string(tokens.size()) +
                                       " tokens was dropped again at once, or its KV policy keeps only a "
                                       "part; raise --budget, or use kv policy=full");
}

Status check_size(const CaptureOrder& order, const Engine& engine, size_t tokens, int64_t bytes) {
  if (order.memories.empty()) return Status(Code::invalid, "name the memories to capture");
  if (tokens == 0) return Status(Code::invalid, "prompts of this model do not begin with given words");
  if (int64_t(tokens) + kLeastLeft > engine.context()) {
    return Status(Code::invalid, "they take " + std::to_string(tokens) + " tokens, and the context of " +
                                     std::to_string(engine.context()) + " has to hold " +
                                     std::to_string(kLeastLeft) + " more: capture fewer, or raise --context");
  }
  if (bytes <= order.most_bytes) return {};
  return Status(Code::invalid, "their state takes " + std::to_string(bytes >> 20) +
                                   " MiB, and a cube holds at most " +
                                   std::to_string(order.most_bytes >> 20) + ": capture fewer");
}

std::string kind_of(Fidelity fidelity) {
  return fidelity == Fidelity::exact ? "capture" : "capture." + std::string(to_string(fidelity));
}

}  // namespace

std::string_view to_string(Fidelity fidelity) {
  constexpr std::string_view kNames[] = {"exact", "rerotated", "patched"};
  return kNames[size_t(fidelity)];
}

Result<Fidelity> parse_fidelity(std::string_view text) {
  for (const Fidelity one : {Fidelity::exact, Fidelity::rerotated, Fidelity::patched}) {
    if (text == to_string(one)) return one;
  }
  return Status(Code::invalid, "a capture is exact, rerotated or patched, not '" + std::string(text) + "'");
}

Fidelity fidelity_of(const CubeHeader& cube) {
  for (const Fidelity one : {Fidelity::rerotated, Fidelity::patched}) {
    if (cube.kind == kind_of(one)) return one;
  }
  return Fidelity::exact;
}

KvIdentity identity_of_cubes(const PrefixStore& store, const std::string& space) {
  return store.identity("cubes of " + space);
}

bool Captured::holds(const CubeHeader& memory) const {
  const auto is_source = [&](const CubeId& id) {
    return std::any_of(header.from.begin(), header.from.end(), [&](auto& one) { return one.cube == id; });
  };
  return is_source(memory.id) || std::any_of(memory.from.begin(), memory.from.end(),
                                             [&](const Source& one) { return is_source(one.cube); });
}

Result<Captured> find_captured(const CubeStore& cubes, const Principal& who, const CubeId& id) {
  Captured captured{.header = TRY(cubes.head(who, id))};
  if (captured.header.form != Form::activation || captured.header.life != Life::active) {
    return Status(Code::invalid,
                  "cube " + id.text() + " is no activation cube in use; 'varve capture' makes one");
  }
  if (captured.header.from.empty())
    return Status(Code::invalid, "cube " + id.text() + " names no memory that it was made of");
  std::vector<CubeId> sources;
  for (const Source& one : captured.header.from) sources.push_back(one.cube);
  captured.sources =
      TRY(read_memories(cubes, who, sources).with("reading what cube " + id.text() + " captured"));
  captured.words = present(captured.sources);
  return captured;
}

Result<std::optional<CubeId>> captured_of(const CubeStore& cubes, const Principal& who, const Model& model,
                                          const std::vector<Recalled>& recalled) {
  if (recalled.empty()) return std::optional<CubeId>();
  CubeFilter filter;
  filter.form = Form::activation;
  filter.limit = 1000;
  std::vector<CubeHeader> all = TRY(cubes.list(who, filter));
  std::erase_if(all, [&](const CubeHeader& one) { return one.model != model.fingerprint(); });
  for (const Recalled& hit : std::span(recalled).first(std::min(recalled.size(), kBestHits))) {
    for (auto one = all.rbegin(); one != all.rend(); ++one) {  // the newest
      if (Captured{.header = *one}.holds(hit.header)) return std::optional(one->id);
    }
  }
  return std::optional<CubeId>();
}

void bring(Captured& captured, const CubeStore& cubes, const Principal& who, Engine& engine,
           std::span<const Token> prompt) {
  PrefixStore* store = engine.prefixes();
  Status loaded = store == nullptr ? Status(Code::unsupported, "attention state is not kept with an adapter")
                                   : load(captured, cubes, who, *store, prompt);
  if (!loaded.ok()) captured.trouble = loaded.message();
}

Result<CaptureMade> capture(CubeStore& cubes, const Principal& who, Engine& engine, const Prompter& prompter,
                            const CaptureOrder& order, TimeMs now) {
  PrefixStore* store = engine.prefixes();
  if (store == nullptr) return Status(Code::unsupported, "attention state is not kept with an adapter");
  const std::vector<Recalled> memories = TRY(read_memories(cubes, who, order.memories));
  const std::string words = present(memories);
  const std::string space = order.space.empty() ? who.name : order.space;
  KvHead head{.made_by = identity_of_cubes(*store, space), .source = sha256(words)};
  head.before = kv_root(head.made_by);
  head.tokens = TRY(prefix_tokens(prompter, order, words, now));
  const int64_t bytes = head.tokens.empty() ? 0 : kv_file_bytes(head, store->pool().layout);
  TRY(check_size(order, engine, head.tokens.size(), bytes));
  const KvSnapshot kv = TRY(compute(engine, who, head.tokens).with("computing their state"));

  CubeDraft draft;
  draft.header.form = Form::activation;
  draft.header.kind = kind_of(order.fidelity);
  draft.header.title = order.title.empty() ? memories.front().header.title : order.title;
  draft.header.space = space;
  draft.header.model = engine.model().fingerprint();
  draft.header.why = std::string(order.automatic ? kAutomatic : "") + "captured " +
                     std::to_string(head.tokens.size()) + " tokens of " + std::to_string(memories.size()) +
                     (memories.size() == 1 ? " memory" : " memories");
  for (const Recalled& one : memories) {
    draft.header.from.push_back({one.header.id, one.header.version});
    draft.header.trust = std::min(draft.header.trust, one.header.trust);
  }
  const Reservation room = TRY(store->pool().ledger().reserve(Tag::cubes, bytes).with("storing their state"));
  draft.payload.reserve(size_t(bytes));
  TRY(write_kv(head, kv, [&](std::span<const std::byte> some) {
    draft.payload.append(reinterpret_cast<const char*>(some.data()), some.size());
    return Status();
  }));
  const CubeId id = TRY(cubes.put(who, std::move(draft)));
  return CaptureMade{id, int32_t(head.tokens.size()), bytes};
}

}  // namespace varve
