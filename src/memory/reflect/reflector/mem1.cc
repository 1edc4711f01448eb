// MEM1 (Zhou et al. 2025, "MEM1: Learning to Synergize Memory and Reasoning for Efficient Long-Horizon
// Agents"): each turn rewrites one bounded internal state from the old state and the new observation, and
// stands for all that came before. Differences: the writer is prompted, not trained by reinforcement, and the
// turns are kept. One answer of the Writer a turn; without one, the densest sentences stay.
#include "memory/reflect/shared/rolling.h"

namespace varve::reflector {
namespace {

struct Options {
  int lines = 8;
};

class Mem1 : public Reflector {
 public:
  explicit Mem1(const Options& options) : options_(options) {}
  std::vector<std::string> kinds() const override { return {"mem1.state"}; }
  std::vector<std::string> pinned() const override { return kinds(); }

  Result<std::vector<MemoryOp>> reflect(const Principal& who, const Turn& turn, const Known& known,
                                        Writer* writer) const override {
    const std::string said = words_of(turn);
    if (said.empty() || evidence_of(turn).empty()) return std::vector<MemoryOp>();
    const auto old = TRY(newest_of(who, turn, known, "mem1.state", turn.session));
    std::string text = TRY(rewritten(
        {.words =
             "'before' is what is known of a conversation so far, 'new' its newest exchange. Write what "
             "is needed to go on with only these lines: goals, facts, decisions, what is open. Keep what "
             "still matters, drop what is settled. Dates as dates.",
         .old = old ? old->text : "",
         .fresh = exchange_of(turn),
         .said = said,
         .lines = options_.lines},
        writer));
    return become(turn, "mem1.state", old, std::move(text), evidence_of(turn));
  }

 private:
  const Options options_;
};

}  // namespace

Made mem1(const Spec& spec) {
  Options options;
  TRY(OptionReader(spec).read("lines", options.lines, 1, 40).done());
  return std::unique_ptr<Reflector>(new Mem1(options));
}

}  // namespace varve::reflector
