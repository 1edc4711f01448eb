#include "learn/world/language/grammar.h"

#include "core/base/check.h"
#include "learn/world/language/text.h"

namespace varve::world {
namespace {

constexpr std::string_view kRelations[] = {
#include "learn/world/table/relations_people.inc"
    ,
#include "learn/world/table/relations_links.inc"
    ,
#include "learn/world/table/relations_things.inc"
};
constexpr std::string_view kFrames =
#include "learn/world/table/frames.inc"
    ;
constexpr std::string_view kSmallTalk =
#include "learn/world/table/small_talk.inc"
    ;

// "ask! what is it" -> "ask", {"what is it", held out}.
std::pair<std::string, Sentence> sectioned(std::string_view line) {
  const size_t space = line.find(' ');
  CHECK(space != line.npos, "a line of the grammar has no words");
  std::string_view section = line.substr(0, space);
  const bool held_out = section.ends_with('!');
  if (held_out) section.remove_suffix(1);
  return {std::string(section), {std::string(line.substr(space + 1)), held_out}};
}

bool is_comment(std::string_view line) {
  return line.empty() || line[0] == '#';
}

// "home person v=city changes"
Relation headed(std::string_view line) {
  Relation relation;
  int place = 0;
  for (std::string_view word : split(line, ' ')) {
    if (place == 0) relation.name = word;
    if (place == 1) relation.of = word;
    if (word.starts_with("v=")) relation.v = word.substr(2);
    if (word.starts_with("w=")) relation.w = word.substr(2);
    relation.changes |= word == "changes";
    relation.multi |= word == "multi";
    relation.dated |= word == "dated";
    relation.plan |= word == "plan";
    relation.link |= word == "link";
    ++place;
  }
  return relation;
}

}  // namespace

const std::string& Relation::only(std::string_view section) const {
  const auto found = sections.find(section);
  CHECK(found != sections.end(), "a relation lacks a section");
  return found->second.front().text;
}

Grammar::Grammar() {
  for (std::string_view table : kRelations) {
    for (std::string_view line : split(table, '\n')) {
      if (is_comment(line)) continue;
      if (line.starts_with("rel ")) {
        relations_.push_back(headed(line.substr(4)));
      } else {
        auto [section, sentence] = sectioned(line);
        relations_.back().sections[section].push_back(std::move(sentence));
      }
    }
  }
  for (std::string_view line : split(kFrames, '\n')) {
    if (is_comment(line)) continue;
    auto [section, sentence] = sectioned(line);
    frames_[section].push_back(std::move(sentence));
  }
  SmallTalk talk;
  for (std::string_view line : split(kSmallTalk, '\n')) {
    if (is_comment(line)) continue;
    auto [section, sentence] = sectioned(line);
    if (section == "in") {
      talk.in.push_back(std::move(sentence));
    } else {
      talk.out = std::move(sentence.text);
      small_talk_.push_back(std::move(talk));
      talk = {};
    }
  }
}

const Grammar& Grammar::get() {
  static const Grammar grammar;
  return grammar;
}

const Relation& Grammar::relation(std::string_view name) const {
  for (const Relation& one : relations_) {
    if (one.name == name) return one;
  }
  CHECK(false, "the grammar lacks a relation");
  return relations_.front();
}

const std::vector<Sentence>& Grammar::frames(std::string_view name) const {
  const auto found = frames_.find(name);
  CHECK(found != frames_.end(), "the grammar lacks a frame");
  return found->second;
}

namespace {
const Sentence& choose_held(const std::vector<Sentence>& from, bool held_out, Draw& draw) {
  std::vector<const Sentence*> fit;
  for (const Sentence& one : from) {
    if (one.held_out == held_out) fit.push_back(&one);
  }
  return fit.empty() ? draw.pick(from) : *draw.pick(fit);
}
}  // namespace

const Sentence& choose(const std::vector<Sentence>& from, Split split, Draw& draw) {
  return choose_held(from, split == Split::eval, draw);
}

const Sentence& choose_beside(const Sentence& other, const std::vector<Sentence>& from, Split split,
                              Draw& draw) {
  if (split == Split::eval && other.held_out) return draw.pick(from);
  return choose(from, split, draw);
}

}  // namespace varve::world
