#include "serve/session/transcript.h"

#include <algorithm>
#include <tuple>

#include "serve/session/window.h"

namespace varve {
namespace {
constexpr int32_t kMarkTokens = 8;  // what a chat template puts around a message, about
}

Result<Transcript> Transcript::open(const CubeStore& cubes, const Principal& who, const std::string& session,
                                    const Prompter* prompter) {
  Transcript transcript(cubes, who, prompter);
  CubeFilter filter{.space = who.name, .kind = "turn", .session = session, .limit = 1000};
  for (;;) {
    const std::vector<CubeHeader> page = TRY(cubes.list(who, filter));
    for (const CubeHeader& header : page) {
      const bool counted = prompter != nullptr;
      const std::string text = counted ? TRY(cubes.payload(who, header.id)) : std::string();
      transcript.add(header.id, header.turn, header.speaker != "assistant", text);
    }
    if (page.size() < size_t(filter.limit)) break;
    filter.after = page.back().id;
  }
  std::stable_sort(
      transcript.entries_.begin(), transcript.entries_.end(),
      [](const Entry& a, const Entry& b) { return a.turn != b.turn ? a.turn < b.turn : a.user > b.user; });
  return transcript;
}

void Transcript::add(const CubeId& cube, int32_t turn, bool user, std::string_view text) {
  entries_.push_back({cube, turn, user, count(user, text)});
}

int32_t Transcript::count(bool user, std::string_view text) const {
  if (prompter_ == nullptr) return 0;
  const bool whole = user || !left_out_;
  return prompter_->count(whole ? std::string(text) : without_work(*left_out_, text)) + kMarkTokens;
}

Status Transcript::leave_out(const std::optional<SubtaskMarks>& work) {
  const auto fields = [](const SubtaskMarks& m) {
    return std::tie(m.open, m.result, m.close, m.keep, m.head);
  };
  if (work.has_value() == left_out_.has_value() && (!work || fields(*work) == fields(*left_out_))) return {};
  left_out_ = work;
  for (Entry& entry : entries_) {
    if (entry.user) continue;
    if (const std::optional<Said> said = TRY(look(entry))) entry.tokens = count(false, said->text);
  }
  return {};
}

int32_t Transcript::first_turn(int32_t room) const {
  std::vector<int32_t> costs, turns;
  for (const Entry& entry : entries_) {
    if (turns.empty() || turns.back() != entry.turn) {
      turns.push_back(entry.turn);
      costs.push_back(0);
    }
    costs.back() += entry.tokens;
  }
  const size_t start = window_start(costs, room);
  return start < turns.size() ? turns[start] : next_turn();
}

Result<std::optional<Said>> Transcript::look(const Entry& entry) const {
  auto header = cubes_->head(who_, entry.cube);
  if (header.code() == Code::not_found) return std::optional<Said>();
  const CubeHeader head = TRY(std::move(header));
  if (head.life != Life::active) return std::optional<Said>();
  std::string text = TRY(cubes_->payload(who_, entry.cube));
  return std::optional<Said>({entry.cube, entry.turn, head.speaker, std::move(text), head.recorded});
}

Result<std::vector<Said>> Transcript::read(int32_t first) {
  std::vector<Said> said;
  std::vector<Entry> kept;
  for (const Entry& entry : entries_) {
    if (entry.turn < first) {
      kept.push_back(entry);
      continue;
    }
    std::optional<Said> one = TRY(look(entry));
    if (!one) continue;
    said.push_back(std::move(*one));
    kept.push_back(entry);
  }
  entries_ = std::move(kept);
  return said;
}

std::optional<CubeId> Transcript::unanswered() const {
  if (entries_.empty() || !entries_.back().user) return std::nullopt;
  return entries_.back().cube;
}

}  // namespace varve
