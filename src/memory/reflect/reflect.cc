#include "memory/reflect/reflect.h"

#include <algorithm>
#include <set>

#include "memory/recall/present.h"
#include "memory/reflect/derive.h"
#include "memory/reflect/overlap.h"

namespace varve {
namespace {

constexpr int32_t kPage = 1000;
using Kind = MemoryOp::Kind;

bool among(const std::vector<std::string>& kinds, const std::string& kind) {
  return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
}

Result<bool> reflected_before(const Reflecting& with, const Reflector& reflector, const Turn& turn) {
  const std::vector<std::string> kinds = reflector.kinds();
  for (const Source& source : evidence_of(turn)) {
    for (const CubeHeader& child : TRY(with.cubes.derived(with.who, source.cube))) {
      if (among(kinds, child.kind) && child.recorded >= with.since) return true;
    }
  }
  return false;
}

Status unfit(std::string_view what) {
  return Status(Code::internal, "a reflector's plan is not used: " + std::string(what));
}

Status check_own(const Reflecting& with, const std::vector<std::string>& kinds, CubeId id) {
  const CubeHeader header = TRY(with.cubes.head(with.who, id));
  return among(kinds, header.kind) ? Status() : unfit("it changes what is not its own");
}

Status check_plan(const Reflecting& with, const Reflector& reflector, const Turn& turn,
                  const std::vector<MemoryOp>& ops) {
  const std::vector<std::string> kinds = reflector.kinds();
  for (const MemoryOp& op : ops) {
    const CubeHeader& h = op.draft.header;
    if (op.kind == Kind::erase) return unfit("it erases");
    if (op.kind == Kind::strengthen) continue;
    if (op.kind != Kind::add) TRY(check_own(with, kinds, op.target));
    for (const CubeId& id : h.supersedes) TRY(check_own(with, kinds, id));
    if (op.kind != Kind::add && op.kind != Kind::revise) continue;
    if (!among(kinds, h.kind)) return unfit("it adds a kind that it does not declare");
    if (h.from.empty() && op.from_ops.empty()) return unfit("it names no source");
    if (h.event != turn.time || h.space != turn.space) return unfit("it is of another time or space");
    if (h.trust == Trust::user) return unfit("it is trusted as the user");
  }
  return {};
}

bool learnt_again(const MemoryOp& op, const Turn& turn) {
  if (op.kind != Kind::add && op.kind != Kind::revise) return false;
  if (is_recalled_text(op.draft.payload)) return true;
  return op.kind == Kind::add && !op.draft.payload.empty() &&
         std::any_of(turn.recalled.begin(), turn.recalled.end(),
                     [&](const Recalled& one) { return says_nothing_new(op.draft.payload, one.text); });
}

// The plan without what is known already, and without what was to be derived from that.
std::vector<MemoryOp> without_known(std::vector<MemoryOp> ops, const Turn& turn) {
  std::vector<MemoryOp> left;
  std::vector<int32_t> place(ops.size(), -1);
  for (size_t i = 0; i < ops.size(); ++i) {
    bool kept = !learnt_again(ops[i], turn);
    for (int32_t& earlier : ops[i].from_ops) {
      earlier = earlier >= 0 && size_t(earlier) < i ? place[size_t(earlier)] : -1;
      kept = kept && earlier >= 0;
    }
    if (!kept) continue;
    place[i] = int32_t(left.size());
    left.push_back(std::move(ops[i]));
  }
  return left;
}

}  // namespace

Result<std::vector<std::unique_ptr<Reflector>>> make_reflectors(std::string_view specs) {
  std::vector<std::unique_ptr<Reflector>> all;
  for (size_t at = 0; at <= specs.size();) {
    const size_t end = std::min(specs.find('+', at), specs.size());
    all.push_back(TRY(reflectors().make(specs.substr(at, end - at))));
    at = end + 1;
  }
  return all;
}

Result<std::vector<CubeId>> reflect(const Reflecting& with, const Reflector& reflector, const Turn& turn) {
  if (evidence_of(turn).empty() || TRY(reflected_before(with, reflector, turn))) return std::vector<CubeId>();
  const Known known{with.cubes, with.recall, with.embedder};
  std::vector<MemoryOp> ops = TRY(reflector.reflect(with.who, turn, known, with.writer));
  ops = without_known(std::move(ops), turn);
  if (ops.empty()) return std::vector<CubeId>();
  TRY(check_plan(with, reflector, turn, ops));
  return with.cubes.apply(with.who, std::move(ops));
}

Result<std::optional<Turn>> PastTurns::next() {
  while (ready_.empty() && !ended_) TRY(read_page());
  if (ready_.empty()) return std::optional<Turn>();
  Turn turn = std::move(ready_.front());
  ready_.pop_front();
  if (ready_.empty() && open_.empty()) mark_ = read_;
  return std::optional<Turn>(std::move(turn));
}

// The mark passes a page only when nothing in it is still open: seeing a turn twice does no harm.
Status PastTurns::read_page() {
  CubeFilter filter;
  filter.space = space_;
  filter.kind = "turn";
  filter.life = std::nullopt;
  filter.after = read_;
  filter.limit = kPage;
  const std::vector<CubeHeader> page = TRY(cubes_.list(who_, filter));
  for (const CubeHeader& header : page) TRY(take(header));
  if (!page.empty()) read_ = page.back().id;
  ended_ = page.size() < size_t(kPage);
  if (!ended_) return {};
  for (auto& [session, turn] : open_) give(std::move(turn));
  open_.clear();
  if (ready_.empty()) mark_ = read_;
  return {};
}

Status PastTurns::take(const CubeHeader& header) {
  const auto before = open_.find(header.session);
  const bool answer = header.speaker == "assistant";
  if (before != open_.end() && !(answer && before->second.index == header.turn)) {
    give(std::move(before->second));
    open_.erase(before);
  }
  if (header.life == Life::erased || header.form != Form::plaintext) return {};
  Turn& turn = open_[header.session];
  turn.session = header.session;
  turn.space = header.space;
  turn.index = header.turn;
  std::string words = strip_recalled(TRY(cubes_.payload(who_, header.id)));
  if (!turn.user_cube) turn.time = header.event.value_or(header.recorded);
  (answer ? turn.assistant : turn.user) = std::move(words);
  (answer ? turn.assistant_cube : turn.user_cube) = header.id;
  if (!answer) turn.speaker = header.speaker.empty() ? "user" : header.speaker;
  if (!answer) return {};
  give(std::move(turn));
  open_.erase(header.session);
  return {};
}

Result<Dropped> drop_derived(const Reflecting& with, const Reflector& reflector, const std::string& space) {
  Dropped dropped;
  // Erasing takes everything derived along: where that would reach evidence, an answer that cited it, the
  // cube is closed instead.
  const auto cited = [&](CubeId root) -> Result<bool> {
    std::vector<CubeId> left{root};
    std::set<CubeId> seen(left.begin(), left.end());
    while (!left.empty()) {
      const CubeId id = left.back();
      left.pop_back();
      for (const CubeHeader& child : TRY(with.cubes.derived(with.who, id))) {
        if (child.life == Life::erased || !seen.insert(child.id).second) continue;
        if (is_evidence(child.kind)) return true;
        left.push_back(child.id);
      }
    }
    return false;
  };
  for (const std::string& kind : reflector.kinds()) {
    CubeFilter filter;
    filter.space = space;
    filter.kind = kind;
    filter.life = std::nullopt;
    filter.limit = kPage;
    for (;;) {
      const std::vector<CubeHeader> page = TRY(with.cubes.list(with.who, filter));
      for (const CubeHeader& header : page) {
        filter.after = header.id;
        const auto now = with.cubes.head(with.who, header.id);
        if (!now.ok() || now->life == Life::erased) continue;  // it went with what it was derived from
        if (now->from.empty()) continue;                       // somebody's own words of that kind
        if (TRY(cited(header.id))) {
          TRY(with.cubes.advance(with.who, header.id, Life::expired, "derived anew"));
          ++dropped.closed;
        } else {
          dropped.erased += int64_t(TRY(with.cubes.erase(with.who, header.id, "derived anew")).items.size());
        }
      }
      if (page.size() < size_t(kPage)) break;
    }
  }
  return dropped;
}

}  // namespace varve
