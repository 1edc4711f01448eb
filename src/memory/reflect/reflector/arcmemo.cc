// ArcMemo (Ho et al. 2025, "ArcMemo: Abstract Reasoning Composition with Lifelong LLM Memory"): what a solved
// task teaches is kept as concepts in natural language, a situation and a suggestion, abstracted from the
// instance; concepts of known title are revised, and those that fit a new task enter its prompt. Differences:
// use is measured, and a concept that does not help is archived. One answer of the Writer a turn; without
// one, nothing.
#include <algorithm>

#include "memory/reflect/ask.h"
#include "memory/reflect/shared/playbook.h"

namespace varve::reflector {
namespace {

constexpr std::string_view kConcept = "arcmemo.concept";

struct Options {
  int concepts = 3;  // of one turn, at most
  int shown = 6;
  int trials = 5;
  double least = 0.5;
};

class ArcMemo : public Reflector {
 public:
  explicit ArcMemo(const Options& options) : options_(options) {}
  std::vector<std::string> kinds() const override { return {std::string(kConcept)}; }

  Result<std::vector<MemoryOp>> reflect(const Principal& who, const Turn& turn, const Known& known,
                                        Writer* writer) const override {
    if (writer == nullptr || words_of(turn).empty() || evidence_of(turn).empty())
      return std::vector<MemoryOp>();
    const auto concepts = TRY(shown(who, turn, known, kConcept, size_t(options_.shown)));
    const Json made = TRY(distilled(turn, concepts, *writer));
    std::vector<MemoryOp> ops =
        TRY(judged(who, turn, known, concepts, made["helped"], {options_.trials, options_.least}));
    for (const Json& one : made["concepts"].as_array()) {
      const std::string &title = one["title"].as_string(), &idea = one["suggestion"].as_string();
      if (title.empty() || idea.empty()) continue;
      const std::string text =
          "Concept: " + title + "\nWhen: " + one["situation"].as_string() + "\nThen: " + idea;
      const auto known_one = std::find_if(concepts.begin(), concepts.end(), [&](const Unit& unit) {
        return line_after(unit.text, "Concept") == title;
      });
      const auto targeted = [&](const MemoryOp& op) { return op.target == known_one->header.id; };
      if (known_one == concepts.end()) {
        const auto planned = [&](const MemoryOp& op) { return op.draft.payload == text; };
        if (std::none_of(ops.begin(), ops.end(), planned)) ops.push_back(derived(turn, kConcept, text));
      } else if (known_one->text != text && std::none_of(ops.begin(), ops.end(), targeted)) {
        ops.push_back(revised(turn, known_one->header, text));
      }
    }
    return ops;
  }

 private:
  Result<Json> distilled(const Turn& turn, const std::vector<Unit>& concepts, Writer& writer) const {
    const auto place = answer::number(0, std::max<int64_t>(0, int64_t(concepts.size()) - 1));
    return ask(
        writer,
        {.words = "'known' are concepts from earlier work, 'new' is an exchange. 'concepts': what this "
                  "exchange teaches about a whole class of tasks, without its names and numbers: a short "
                  "title, the situation in which it holds, the suggestion. Use a known title to say a "
                  "known concept better. Often none. 'helped': the known concepts that were of use here.",
         .material =
             Json::object().set("known", as_material(concepts, "concept")).set("new", exchange_of(turn)),
         .example =
             R"({"concepts": [{"title": "..", "situation": "..", "suggestion": ".."}], "helped": [0]})",
         .shape =
             answer::record({{"concepts", answer::list(answer::record({{"title", answer::text(60)},
                                                                       {"situation", answer::text(200)},
                                                                       {"suggestion", answer::text(300)}}),
                                                       options_.concepts)},
                             {"helped", answer::list(place, int64_t(concepts.size()))}}),
         .max_tokens = 64 + 160 * options_.concepts});
  }

  const Options options_;
};

}  // namespace

Made arcmemo(const Spec& spec) {
  Options options;
  TRY(OptionReader(spec)
          .read("concepts", options.concepts, 1, 10)
          .read("shown", options.shown, 1, 20)
          .read("trials", options.trials, 1, 1000)
          .read("least", options.least, 0.0, 1.0)
          .done());
  return std::unique_ptr<Reflector>(new ArcMemo(options));
}

}  // namespace varve::reflector
