// InftyThink (Yan et al. 2025, "InftyThink: Breaking the Length Limits of Long-Context Reasoning"): go on in
// segments of bounded length, and after each write a summary of all so far from the last summary and the
// segment; the next begins from it. Difference: here the segments are `segment` turns of a conversation. One
// answer of the Writer a segment; without one, the densest sentences stay.
#include "memory/reflect/shared/rolling.h"

namespace varve::reflector {
namespace {

struct Options {
  int segment = 4;  // turns
  int lines = 10;
};

class InftyThink : public Reflector {
 public:
  explicit InftyThink(const Options& options) : options_(options) {}
  std::vector<std::string> kinds() const override { return {"inftythink.state"}; }
  std::vector<std::string> pinned() const override { return kinds(); }

  Result<std::vector<MemoryOp>> reflect(const Principal& who, const Turn& turn, const Known& known,
                                        Writer* writer) const override {
    if (evidence_of(turn).empty() || (turn.index + 1) % options_.segment != 0) return std::vector<MemoryOp>();
    Stretch segment = TRY(segment_of(who, turn, known, options_.segment));
    if (segment.from.empty()) return std::vector<MemoryOp>();
    const auto old = TRY(newest_of(who, turn, known, "inftythink.state", turn.session));
    std::string text = TRY(rewritten(
        {.words = "'before' sums up a conversation so far, 'new' is its next part. Write one summary of both "
                  "from which the conversation can be continued: what was found out, decided and left open.",
         .old = old ? old->text : "",
         .fresh = Json(segment.words),
         .said = segment.words,
         .lines = options_.lines},
        writer));
    return become(turn, "inftythink.state", old, std::move(text), std::move(segment.from));
  }

 private:
  const Options options_;
};

}  // namespace

Made inftythink(const Spec& spec) {
  Options options;
  TRY(OptionReader(spec).read("segment", options.segment, 1, 64).read("lines", options.lines, 1, 40).done());
  return std::unique_ptr<Reflector>(new InftyThink(options));
}

}  // namespace varve::reflector
