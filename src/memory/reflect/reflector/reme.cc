// ReMe (2025, "Remember Me, Refine Me: A Dynamic Procedural Memory Framework for Experience-Driven Agent
// Evolution"): from a success its pattern, from a failure its trigger is distilled into an experience,
// indexed by when it applies; near-duplicates are refused, each use is counted, and what was used often and
// helped rarely is pruned. Differences: pruned is archived, and a failed turn gives a lesson without a second
// attempt to compare with. One answer of the Writer a turn; without one, nothing.
#include <algorithm>

#include "memory/reflect/ask.h"
#include "memory/reflect/shared/playbook.h"

namespace varve::reflector {
namespace {

constexpr std::string_view kExperience = "reme.experience";

struct Options {
  int experiences = 3;  // of one turn, at most
  int shown = 6;
  int trials = 5;
  double least = 0.5;
  double same = 0.85;  // likeness from which an experience is known already
};

class ReMe : public Reflector {
 public:
  explicit ReMe(const Options& options) : options_(options) {}
  std::vector<std::string> kinds() const override { return {std::string(kExperience)}; }

  Result<std::vector<MemoryOp>> reflect(const Principal& who, const Turn& turn, const Known& known,
                                        Writer* writer) const override {
    if (writer == nullptr || words_of(turn).empty() || evidence_of(turn).empty())
      return std::vector<MemoryOp>();
    const auto earlier = TRY(shown(who, turn, known, kExperience, size_t(options_.shown)));
    const Json made = TRY(distilled(turn, earlier, *writer));
    const std::string& outcome = made["outcome"].as_string();
    std::vector<MemoryOp> ops;
    if (outcome == "unclear") return ops;
    const Json nothing = Json::array();
    const Json& helped = outcome == "success" ? made["helped"] : nothing;
    ops = TRY(judged(who, turn, known, earlier, helped, {options_.trials, options_.least}));
    for (const Json& one : made["experiences"].as_array()) {
      const std::string &when = one["when"].as_string(), &advice = one["advice"].as_string();
      if (when.empty() || advice.empty()) continue;
      const std::string text = "When: " + when + (outcome == "success" ? "\nDo: " : "\nAvoid: ") + advice;
      if (TRY(is_known(who, turn, known, text, ops))) continue;
      ops.push_back(derived(turn, kExperience, text));
    }
    return ops;
  }

 private:
  Result<bool> is_known(const Principal& who, const Turn& turn, const Known& known, const std::string& text,
                        const std::vector<MemoryOp>& ops) const {
    const std::vector<Unit> near = TRY(nearest(who, turn, known, text, kExperience, 1));
    if (!near.empty() && near[0].likeness >= options_.same) return true;
    const std::vector<float> mine = TRY(signature(text, known.embedder));
    for (const MemoryOp& op : ops) {
      if (op.kind != MemoryOp::Kind::add) continue;
      if (cosine(mine, TRY(signature(op.draft.payload, known.embedder))) >= options_.same) return true;
    }
    return false;
  }

  Result<Json> distilled(const Turn& turn, const std::vector<Unit>& earlier, Writer& writer) const {
    const auto place = answer::number(0, std::max<int64_t>(0, int64_t(earlier.size()) - 1));
    return ask(
        writer,
        {.words = "'known' are experiences from earlier work, 'new' is an exchange. 'outcome': did the "
                  "assistant achieve what was asked? 'experiences': what to do again after a success, or "
                  "to avoid after a failure: 'when' is the kind of situation, 'advice' one step that can "
                  "be followed. Often none. 'helped': the known experiences that were of use.",
         .material =
             Json::object().set("known", as_material(earlier, "experience")).set("new", exchange_of(turn)),
         .example =
             R"({"outcome": "success", "experiences": [{"when": "..", "advice": ".."}], "helped": [0]})",
         .shape = answer::record(
             {{"outcome", answer::choice({"success", "failure", "unclear"})},
              {"experiences",
               answer::list(answer::record({{"when", answer::text(200)}, {"advice", answer::text(300)}}),
                            options_.experiences)},
              {"helped", answer::list(place, int64_t(earlier.size()))}}),
         .max_tokens = 64 + 160 * options_.experiences});
  }

  const Options options_;
};

}  // namespace

Made reme(const Spec& spec) {
  Options options;
  TRY(OptionReader(spec)
          .read("experiences", options.experiences, 1, 10)
          .read("shown", options.shown, 1, 20)
          .read("trials", options.trials, 1, 1000)
          .read("least", options.least, 0.0, 1.0)
          .read("same", options.same, 0.0, 1.0)
          .done());
  return std::unique_ptr<Reflector>(new ReMe(options));
}

}  // namespace varve::reflector
