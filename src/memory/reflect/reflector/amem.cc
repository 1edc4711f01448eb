// A-MEM (Xu et al. 2025, "A-MEM: Agentic Memory for LLM Agents"): every exchange becomes a note of context,
// key words and tags, linked to the notes it resembles, which evolve in its light. Differences: a note does
// not repeat the words it is about (they are its sources), a neighbour's evolution is a version and never an
// overwriting, links go when either end is erased. Two answers of the Writer a turn. Without one, key words
// are the frequent words, links go by likeness, and tags are the key words that linked notes share.
#include <algorithm>

#include "memory/reflect/ask.h"
#include "memory/reflect/derive.h"

namespace varve::reflector {
namespace {

constexpr std::string_view kNote = "amem.note", kLink = "amem.link";
constexpr size_t kMostTags = 8;

struct Options {
  int neighbours = 5;
  int words = 8;        // key words of a note
  double alike = 0.35;  // from here on two notes are linked, without a writer
};

struct Note {
  std::string context;
  std::vector<std::string> words, tags;

  std::string text() const {
    std::string text;
    if (!context.empty()) text += "Context: " + context + "\n";
    text += "Keywords: " + joined(words, ", ");
    if (!tags.empty()) text += "\nTags: " + joined(tags, ", ");
    return text;
  }
  static Note of(std::string_view text) {
    return {line_after(text, "Context"), words_after(text, "Keywords"), words_after(text, "Tags")};
  }
  bool tag(const std::string& word) {
    if (tags.size() >= kMostTags || std::find(tags.begin(), tags.end(), word) != tags.end()) return false;
    tags.push_back(word);
    return true;
  }
};

struct Evolved {
  std::vector<size_t> links;                     // places among the neighbours
  std::vector<std::pair<size_t, Note>> changed;  // neighbours, as they are now
};

Json words_shape(int most) {
  return answer::list(answer::text(40), most);
}

std::vector<std::string> words_in(const Json& list) {
  std::vector<std::string> words;
  for (const Json& one : list.as_array()) {
    std::string word = one.as_string();
    std::replace(word.begin(), word.end(), ',', ' ');
    if (!word.empty() && std::find(words.begin(), words.end(), word) == words.end()) words.push_back(word);
  }
  return words;
}

class AMem : public Reflector {
 public:
  explicit AMem(const Options& options) : options_(options) {}
  std::vector<std::string> kinds() const override { return {std::string(kNote), std::string(kLink)}; }

  Result<std::vector<MemoryOp>> reflect(const Principal& who, const Turn& turn, const Known& known,
                                        Writer* writer) const override {
    std::vector<MemoryOp> ops;
    const std::string words = words_of(turn);
    if (words.empty() || evidence_of(turn).empty()) return ops;
    Note note = writer != nullptr ? TRY(analyse(turn, *writer))
                                  : Note{"", key_words(words, size_t(options_.words)), {}};
    if (note.context.empty() && note.words.empty()) return ops;
    const std::vector<Unit> near =
        TRY(nearest(who, turn, known, note.text(), kNote, size_t(options_.neighbours)));
    Evolved evolved = by_likeness(note, near);
    if (writer != nullptr && !near.empty()) evolved = TRY(evolve(note, near, *writer));
    ops.push_back(derived(turn, kNote, note.text()));
    for (const size_t at : evolved.links) ops.push_back(link(turn, kLink, 0, near[at].header.id));
    for (const auto& [at, now] : evolved.changed) {
      if (now.text() != near[at].text) ops.push_back(revised(turn, near[at].header, now.text()));
    }
    return ops;
  }

 private:
  Result<Note> analyse(const Turn& turn, Writer& writer) const {
    const Json made = TRY(
        ask(writer,
            {.words = "Describe this exchange so that it can be found later. 'context': one sentence that "
                      "says what it is about and who it concerns. 'keywords': the specific things, people "
                      "and places named. 'tags': broad topics.",
             .material = exchange_of(turn),
             .example = R"({"context": "...", "keywords": ["..."], "tags": ["..."]})",
             .shape = answer::record({{"context", answer::text(300)},
                                      {"keywords", words_shape(options_.words)},
                                      {"tags", words_shape(5)}})}));
    return Note{made["context"].as_string(), words_in(made["keywords"]), words_in(made["tags"])};
  }

  Result<Evolved> evolve(Note& note, const std::vector<Unit>& near, Writer& writer) const {
    Json known = Json::array();
    for (size_t i = 0; i < near.size(); ++i)
      known.push(Json::object().set("note", int64_t(i)).set("text", clipped(near[i].text, 600)));
    const auto place = answer::number(0, int64_t(near.size()) - 1);
    const int most = int(near.size());
    const Json made = TRY(ask(
        writer,
        {.words = "A new note and earlier notes. 'links': the earlier notes that concern the same matter. "
                  "'tags': the tags the new note should have, seen beside them. 'changes': the earlier notes "
                  "that must now be understood differently, with their new context and tags; often none.",
         .material = Json::object().set("new", note.text()).set("earlier", std::move(known)),
         .example =
             R"({"links": [0], "tags": [".."], "changes": [{"note": 0, "context": "..", "tags": [".."]}]})",
         .shape = answer::record({{"links", answer::list(place, most)},
                                  {"tags", words_shape(5)},
                                  {"changes", answer::list(answer::record({{"note", place},
                                                                           {"context", answer::text(300)},
                                                                           {"tags", words_shape(5)}}),
                                                           most)}}),
         .max_tokens = 384}));
    Evolved evolved;
    if (auto tags = words_in(made["tags"]); !tags.empty()) note.tags = std::move(tags);
    for (const Json& one : made["links"].as_array()) {
      const auto at = size_t(one.as_int());
      if (std::find(evolved.links.begin(), evolved.links.end(), at) == evolved.links.end())
        evolved.links.push_back(at);
    }
    for (const Json& one : made["changes"].as_array()) {
      const auto at = size_t(one["note"].as_int());
      const bool again = std::any_of(evolved.changed.begin(), evolved.changed.end(),
                                     [&](const auto& before) { return before.first == at; });
      if (again) continue;
      Note now = Note::of(near[at].text);
      if (!one["context"].as_string().empty()) now.context = one["context"].as_string();
      if (auto tags = words_in(one["tags"]); !tags.empty()) now.tags = std::move(tags);
      evolved.changed.emplace_back(at, std::move(now));
    }
    return evolved;
  }

  Evolved by_likeness(Note& note, const std::vector<Unit>& near) const {
    Evolved evolved;
    for (size_t i = 0; i < near.size(); ++i) {
      if (near[i].likeness < options_.alike) continue;
      evolved.links.push_back(i);
      Note other = Note::of(near[i].text);
      bool fresh = false;
      for (const std::string& word : note.words) {
        if (std::find(other.words.begin(), other.words.end(), word) == other.words.end()) continue;
        note.tag(word);
        fresh = other.tag(word) || fresh;
      }
      if (fresh) evolved.changed.emplace_back(i, std::move(other));
    }
    return evolved;
  }

  const Options options_;
};

}  // namespace

Made amem(const Spec& spec) {
  Options options;
  TRY(OptionReader(spec)
          .read("neighbours", options.neighbours, 1, 20)
          .read("words", options.words, 1, 20)
          .read("alike", options.alike, 0.0, 1.0)
          .done());
  return std::unique_ptr<Reflector>(new AMem(options));
}

}  // namespace varve::reflector
