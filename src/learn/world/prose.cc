#include "learn/world/prose.h"

#include <map>

#include "learn/world/language/text.h"
#include "learn/world/statement.h"

namespace varve::world {
namespace {

constexpr std::string_view kStories =
#include "learn/world/table/stories.inc"
    ;

using Step = std::vector<std::string>;
using Plot = std::vector<Step>;

std::vector<Plot> read_plots() {
  std::vector<Plot> plots;
  Plot plot;
  for (std::string_view line : split(kStories, '\n')) {
    if (!line.empty() && line[0] == '#') continue;
    if (line.empty() && !plot.empty()) plots.push_back(std::exchange(plot, {}));
    if (line.empty()) continue;
    const size_t step = size_t(line[0] - '1');
    if (plot.size() <= step) plot.resize(step + 1);
    plot[step].emplace_back(line.substr(2));
  }
  if (!plot.empty()) plots.push_back(std::move(plot));
  return plots;
}

// Fills {=type}, each type once a story.
std::string typed(Scene& scene, std::string text, std::map<std::string, std::string>& drawn) {
  for (size_t open; (open = text.find("{=")) != text.npos;) {
    const size_t close = text.find('}', open);
    const std::string type = text.substr(open + 2, close - open - 2);
    auto [at, fresh] = drawn.try_emplace(type);
    if (fresh) at->second = scene.fresh(type);
    text.replace(open, close - open + 1, at->second);
  }
  return text;
}

// A sentence that begins with a pronoun or a made value gets its capital.
std::string with_capitals(std::string text) {
  text = capitalised(std::move(text));
  for (size_t at = 0; at + 2 < text.size(); ++at) {
    const bool ends = (text[at] == '.' || text[at] == '!' || text[at] == '?') && text[at + 1] == ' ';
    if (ends && text[at + 2] >= 'a' && text[at + 2] <= 'z') text[at + 2] = char(text[at + 2] - 32);
  }
  return text;
}

// The second and later mentions of a person are pronouns, mostly.
std::string by_pronoun(const Scene& scene, int being, std::string sentence) {
  const Being& one = scene.cast[size_t(being)];
  const bool woman = one.gender == 'f';
  if (sentence.starts_with(one.name + "'s "))
    return replaced(std::move(sentence), one.name + "'s", woman ? "her" : "his");
  if (sentence.starts_with(one.name + " "))
    return replaced(std::move(sentence), one.name, woman ? "she" : "he");
  return sentence;
}

}  // namespace

std::string description(Scene& scene) {
  const int being = scene.add_person();
  const int count = scene.draw.range(3, 8);
  std::string text;
  for (int i = 0; i < count; ++i) {
    const Fact fact = scene.about(being);
    std::string sentence = stated(scene, fact, Voice::user);
    const auto today = sentence.find("today"), yesterday = sentence.find("yesterday");
    if (today != sentence.npos || yesterday != sentence.npos) sentence = canonical(scene, fact, Voice::user);
    if (i > 0 && scene.draw.chance(0.75)) sentence = by_pronoun(scene, being, std::move(sentence));
    static const std::vector<std::string> joins = {"Also, ", "And ", "As everybody knows, ",
                                                   "People say that ", "It is true that "};
    if (i > 0 && scene.draw.chance(0.12)) sentence = scene.draw.pick(joins) + sentence;
    text += (i > 0 ? " " : "") + capitalised(std::move(sentence)) + ".";
  }
  return text;
}

std::string story(Scene& scene) {
  static const std::vector<Plot> plots = read_plots();
  const Plot& plot = scene.draw.pick(plots);
  const Subject hero{.being = scene.add_person()};
  std::map<std::string, std::string> drawn;
  std::string text;
  for (const Step& step : plot) {
    const std::string sentence = typed(scene, scene.draw.pick(step), drawn);
    text += (text.empty() ? "" : " ") +
            with_capitals(render(sentence, {.cast = scene.cast, .subject = hero, .voice = Voice::user}));
  }
  return text;
}

std::string letter(Scene& scene) {
  const int from = scene.add_person(), to = scene.add_person();
  std::string text = "Dear " + scene.cast[size_t(to)].name + ",\n";
  static const std::vector<std::string> opens = {"how are you? I have some news.",
                                                 "thank you for your letter.", "I hope that you are well.",
                                                 "it has been a long time."};
  text += capitalised(scene.draw.pick(opens));
  const int count = scene.draw.range(2, 6);
  for (int i = 0; i < count; ++i) {
    if (scene.draw.chance(0.2))
      text += " " + choose(scene.grammar.frames("around"), scene.split, scene.draw).text;
    text += " " + capitalised(stated(scene, scene.about(from), Voice::own)) + ".";
  }
  static const std::vector<std::string> ends = {"See you soon,", "Best wishes,", "Yours,", "Write soon,"};
  return text + "\n" + scene.draw.pick(ends) + "\n" + scene.cast[size_t(from)].name;
}

}  // namespace varve::world
