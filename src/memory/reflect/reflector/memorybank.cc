// MemoryBank (Zhong et al. 2023, "MemoryBank: Enhancing Large Language Models with Long-Term Memory"): a
// summary of each day, a portrait drawn from the days, and retention R = exp(-t / 5S): t days since it was
// last used, S the strength that each recall adds to. Differences: nothing is forgotten by chance or for
// good: a day that falls below `least` is archived, and evidence never is. One answer of the Writer a turn
// and one a day; without one, the densest sentences stand for the day.
#include <cmath>

#include "memory/reflect/shared/rolling.h"

namespace varve::reflector {
namespace {

constexpr std::string_view kDay = "memorybank.day", kPortrait = "memorybank.portrait";
constexpr double kDayMs = 86'400'000.0;

struct Options {
  int lines = 6;       // of a day, and of the portrait
  double least = 0.0;  // retention below which a day is archived; 0: never
};

class MemoryBank : public Reflector {
 public:
  explicit MemoryBank(const Options& options) : options_(options) {}
  std::vector<std::string> kinds() const override { return {std::string(kDay), std::string(kPortrait)}; }
  std::vector<std::string> pinned() const override { return {std::string(kPortrait)}; }

  Result<std::vector<MemoryOp>> reflect(const Principal& who, const Turn& turn, const Known& known,
                                        Writer* writer) const override {
    std::vector<MemoryOp> ops = reinforcement(turn);
    const std::string said = words_of(turn);
    if (said.empty() || evidence_of(turn).empty()) return ops;
    const std::string date = format_time(turn.time).substr(0, 10);
    const auto today = TRY(newest_of(who, turn, known, std::string(kDay) + "/" + date));
    std::string text =
        TRY(rewritten({.words = "'before' sums up a day so far, 'new' is what was said next. "
                                "Sum up the day: what happened, to whom, what was planned or felt.",
                       .old = today ? today->text : "",
                       .fresh = exchange_of(turn),
                       .said = said,
                       .lines = options_.lines},
                      writer));
    if (!today && !text.empty()) {
      TRY(draw_portrait(who, turn, known, writer, ops));
      TRY(fade(who, turn, known, ops));
    }
    for (MemoryOp& op : become(turn, kDay, today, std::move(text), evidence_of(turn))) {
      CubeHeader& h = op.draft.header;
      h.title = date;
      h.origin = std::string(kDay) + "/" + date;
      h.session.clear();
      ops.push_back(std::move(op));
    }
    return ops;
  }

 private:
  static std::vector<MemoryOp> reinforcement(const Turn& turn) {
    std::vector<MemoryOp> ops;
    for (const Recalled& one : turn.recalled) {
      if (one.header.space != turn.space) continue;
      MemoryOp op;
      op.kind = MemoryOp::Kind::strengthen;
      op.target = one.header.id;
      op.strength = 1;
      op.why = "memorybank: recalled";
      ops.push_back(std::move(op));
    }
    return ops;
  }

  Result<std::vector<CubeHeader>> days(const Principal& who, const Turn& turn, const Known& known) const {
    CubeFilter filter{.space = turn.space, .kind = std::string(kDay)};
    filter.limit = 10000;  // 27 years
    return known.cubes.list(who, filter);
  }

  // When a day begins, the one that was talked about last is finished and enters the portrait.
  Status draw_portrait(const Principal& who, const Turn& turn, const Known& known, Writer* writer,
                       std::vector<MemoryOp>& ops) const {
    const std::vector<CubeHeader> all = TRY(days(who, turn, known));
    if (all.empty()) return {};
    const std::string day = TRY(known.cubes.payload(who, all.back().id));
    const auto old = TRY(newest_of(who, turn, known, kPortrait));
    std::string text = TRY(rewritten(
        {.words = "'before' is a portrait of the user, 'new' the summary of a day. Write the portrait anew: "
                  "character, circumstances, people, interests, plans; what lasts, not what passes.",
         .old = old ? old->text : "",
         .fresh = Json::object().set("date", all.back().title).set("day", day),
         .said = day,
         .lines = options_.lines},
        writer));
    for (MemoryOp& op :
         become(turn, kPortrait, old, std::move(text), {{all.back().id, all.back().version}})) {
      op.draft.header.title = "portrait";
      op.draft.header.session.clear();
      ops.push_back(std::move(op));
    }
    return {};
  }

  Status fade(const Principal& who, const Turn& turn, const Known& known, std::vector<MemoryOp>& ops) const {
    if (options_.least <= 0) return {};
    const std::vector<CubeHeader> all = TRY(days(who, turn, known));
    for (const CubeHeader& day : all) {
      TimeMs used = day.event.value_or(day.recorded);
      if (day.strength > 1) {
        for (const JournalEntry& entry : TRY(known.cubes.journal(who, day.id)))
          if (entry.action == "strengthen") used = std::max(used, entry.time);
      }
      const double age = std::max(0.0, double(turn.time - used) / kDayMs);
      if (std::exp(-age / (5 * std::max(day.strength, 1e-3))) < options_.least)
        ops.push_back(archived(day.id, "memorybank: retention fell below " + std::to_string(options_.least)));
    }
    return {};
  }

  const Options options_;
};

}  // namespace

Made memorybank(const Spec& spec) {
  Options options;
  TRY(OptionReader(spec).read("lines", options.lines, 1, 40).read("least", options.least, 0.0, 1.0).done());
  return std::unique_ptr<Reflector>(new MemoryBank(options));
}

}  // namespace varve::reflector
