// Dynamic Cheatsheet (Suzgun et al. 2025, "Dynamic Cheatsheet: Test-Time Learning with Adaptive Memory"):
// after every answer a curator rewrites one bounded sheet of strategies and snippets, each with a count of
// its uses; the next prompt begins with it. Differences: the sheet is one cube of a space with its versions
// as history, and a sheet that would come out empty does not take the old one's place. One answer of the
// Writer a turn; without one, nothing.
#include "memory/reflect/ask.h"
#include "memory/reflect/shared/rolling.h"

namespace varve::reflector {
namespace {

constexpr std::string_view kSheet = "cheatsheet.sheet";

struct Options {
  int items = 12;
};

class Cheatsheet : public Reflector {
 public:
  explicit Cheatsheet(const Options& options) : options_(options) {}
  std::vector<std::string> kinds() const override { return {std::string(kSheet)}; }
  std::vector<std::string> pinned() const override { return kinds(); }

  Result<std::vector<MemoryOp>> reflect(const Principal& who, const Turn& turn, const Known& known,
                                        Writer* writer) const override {
    if (writer == nullptr || words_of(turn).empty() || evidence_of(turn).empty())
      return std::vector<MemoryOp>();
    const auto old = TRY(newest_of(who, turn, known, kSheet));
    const Json made = TRY(ask(
        *writer,
        {.words =
             "'sheet' lists what has proved useful in earlier work, 'new' is the newest exchange. Write the "
             "sheet anew: keep what is useful, sharpen it, add what this exchange teaches about how to "
             "solve such tasks (a method, a pitfall, a snippet), drop what is wrong or too special. 'uses' "
             "counts how often an item was of use; add one for those used now.",
         .material = Json::object().set("sheet", old ? old->text : "").set("new", exchange_of(turn)),
         .example = R"({"items": [{"text": "...", "uses": 1}]})",
         .shape =
             answer::record({{"items", answer::list(answer::record({{"text", answer::text(240)},
                                                                    {"uses", answer::number(0, 1000000)}}),
                                                    options_.items)}}),
         .max_tokens = 64 * options_.items}));
    std::string text;
    for (const Json& item : made["items"].as_array()) {
      if (item["text"].as_string().empty()) continue;
      text += (text.empty() ? "" : "\n") + item["text"].as_string() + " (used " +
              std::to_string(item["uses"].as_int()) + ")";
    }
    std::vector<MemoryOp> ops = become(turn, kSheet, old, std::move(text), evidence_of(turn));
    for (MemoryOp& op : ops) op.draft.header.session.clear();
    return ops;
  }

 private:
  const Options options_;
};

}  // namespace

Made cheatsheet(const Spec& spec) {
  Options options;
  TRY(OptionReader(spec).read("items", options.items, 1, 40).done());
  return std::unique_ptr<Reflector>(new Cheatsheet(options));
}

}  // namespace varve::reflector
