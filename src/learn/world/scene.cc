#include "learn/world/scene.h"

#include <algorithm>

#include "learn/world/language/text.h"

namespace varve::world {
namespace {

constexpr TimeMs kFirstNow = 1'577'836'800'000;  // 2020-01-01
constexpr int kYears = 7;

char gender_of(const Lexicon& words, const std::string& noun, Draw& draw) {
  const auto in = [&](std::string_view type) {
    const auto& list = words.list(type).train;
    return std::find(list.begin(), list.end(), noun) != list.end();
  };
  if (in("kin_girl")) return 'f';
  if (in("kin_boy")) return 'm';
  return draw.chance(0.5) ? 'f' : 'm';
}

// Relations that could answer each other's questions share a word here.
std::string_view topic_of(const Relation& relation) {
  constexpr std::pair<std::string_view, std::string_view> kTopics[] = {
      {"home", "home"},           {"address", "home"},    {"job", "work"},      {"studies", "work"},
      {"learns", "language"},     {"speaks", "language"}, {"hobby", "leisure"}, {"relaxes", "leisure"},
      {"likes", "food"},          {"best_food", "food"},  {"allergy", "food"},  {"drinks", "drink"},
      {"best_drink", "drink"},    {"counts", "counts"},   {"owns", "counts"},   {"best_animal", "animal"},
      {"likes_animal", "animal"}, {"stands", "stands"},   {"passed", "exam"},   {"exam_soon", "exam"},
      {"plays_sport", "sport"},   {"gym_day", "sport"}};
  for (const auto& [name, topic] : kTopics) {
    if (name == relation.name) return topic;
  }
  return relation.name;
}

// What there can be only one of: a second claim of the same key would contradict the first.
std::string claim(const Relation& relation, const Subject& subject, const Fact& fact) {
  std::string key(topic_of(relation));
  key += "|" + std::to_string(subject.being) + "|" + subject.thing;
  if (relation.dated || relation.plan) return key + "|" + fact.v;
  return relation.w.empty() ? key : key + "|" + fact.w;
}

}  // namespace

Scene::Scene(Split from, const RngKey& key) : split(from), draw(key) {
  cast.push_back({.name = "", .gender = draw.chance(0.5) ? 'f' : 'm'});
  now = kFirstNow + draw.below(kYears * 365) * kDayMs + draw.below(int(kDayMs));
}

std::optional<std::string> Scene::unseen(std::string_view type) {
  for (int tries = 0; tries < 40; ++tries) {
    std::string value = words.draw(type, split, draw);
    if (values_.insert(value).second) return value;
  }
  return std::nullopt;
}

std::string Scene::fresh(std::string_view type) {
  if (auto value = unseen(type)) return *value;
  return words.draw(type == "pet_name" ? "word" : type, split, draw);  // two pets of one name would be one
}

int Scene::add_person() {
  for (int tries = 0;; ++tries) {
    auto [name, gender] = words.name(split, draw);
    if (!values_.insert(name).second && tries < 40) continue;
    if (draw.chance(0.12)) name += " " + words.draw("surname", split, draw);
    cast.push_back({.name = name, .gender = gender});
    return int(cast.size()) - 1;
  }
}

int Scene::add_linked(const std::string& noun, const std::string& name, int owner,
                      std::string_view relation) {
  Being being{.name = name, .gender = 'n', .owner = owner, .noun = noun};
  if (relation != "pet") {
    being.gender = gender_of(words, noun, draw);
    for (int tries = 0; tries < 40; ++tries) {
      being.name = words.name(split, draw, being.gender).first;
      if (values_.insert(being.name).second) break;
    }
  }
  cast.push_back(being);
  return int(cast.size()) - 1;
}

const Relation& Scene::any_relation() {
  for (;;) {
    const Relation& one = draw.pick(grammar.relations());
    if (one.of != "self") return one;
  }
}

Subject Scene::person_subject() {
  if (draw.chance(0.4)) return {};
  if (cast.size() > 1 && draw.chance(0.3)) {
    const int being = draw.range(1, int(cast.size()) - 1);
    if (cast[size_t(being)].gender != 'n') return {.being = being};
  }
  if (draw.chance(0.5)) return {.being = add_person()};
  const Relation& link = grammar.relation(draw.chance(0.6) ? "kin" : "contact");
  const auto told = fact(link, {});
  if (!told) return {.being = add_person()};
  return {.being = told->bound, .style = draw.chance(0.5) ? Subject::Style::both : Subject::Style::link};
}

Subject Scene::subject_for(const Relation& relation) {
  if (relation.of == "self") return {};
  if (relation.of == "person") return person_subject();
  if (relation.of == "company") {
    cast.push_back({.name = fresh("company")});
    return {.being = int(cast.size()) - 1};
  }
  if (relation.of == "pet") {
    const Subject owner = draw.chance(0.6) ? Subject{} : Subject{.being = add_person()};
    const auto told = fact(grammar.relation("pet"), owner);
    if (!told) return subject_for(relation);
    return {.being = told->bound, .style = draw.chance(0.6) ? Subject::Style::link : Subject::Style::both};
  }
  const std::string_view type = std::string_view(relation.of).substr(4);
  std::string thing = words.draw(type, split, draw);
  if (relation.of.starts_with("the:")) return {.being = -1, .thing = std::move(thing)};
  Subject owner = draw.chance(0.6) ? Subject{} : person_subject();
  owner.thing = std::move(thing);
  return owner;
}

TimeMs Scene::earlier_day() {
  const TimeMs today = now / kDayMs * kDayMs;
  return words.day(split, draw, today - 600 * kDayMs, today - 2 * kDayMs);
}
TimeMs Scene::at_some_hour(TimeMs day) {
  return day / kDayMs * kDayMs + draw.range(7 * 3600, 22 * 3600) * TimeMs(1000);
}

void Scene::date(Fact& one) {
  const TimeMs day = earlier_day();
  one.said = at_some_hour(day);
  if (one.relation->dated) {
    one.when = day;
    one.said = at_some_hour(day + (draw.chance(0.5) ? draw.below(2) : draw.range(2, 60)) * kDayMs);
  } else if (one.relation->plan) {
    one.when = day;
    one.said = at_some_hour(day - (draw.chance(0.3) ? 1 : draw.range(2, 60)) * kDayMs);
  }
}

std::optional<Fact> Scene::fact(const Relation& relation, const Subject& subject) {
  Fact one{.relation = &relation, .subject = subject};
  if (!relation.w.empty()) one.w = relation.w == "name" ? fresh("name") : words.draw(relation.w, split, draw);
  if (relation.v == "pet_name") {
    one.v = fresh(relation.v);
  } else if (!relation.link) {
    const auto value = unseen(relation.v);
    if (!value) return std::nullopt;  // of two with the same value, neither could be asked for
    one.v = *value;
  }
  if (!claims_.insert(claim(relation, subject, one)).second) return std::nullopt;
  if (relation.link) {
    one.bound = add_linked(one.w, one.v, subject.being, relation.name);
    one.v = cast[size_t(one.bound)].name;
  }
  one.denied = relation.multi && draw.chance(0.35);
  date(one);
  return one;
}

Fact Scene::any_fact() {
  return any_fact([](const Relation&) { return true; });
}

Fact Scene::any_fact(bool (*fits)(const Relation&)) {
  for (;;) {
    const Relation& relation = any_relation();
    if (!fits(relation)) continue;
    if (auto one = fact(relation, subject_for(relation))) return *one;
  }
}

Fact Scene::about(int being) {
  for (;;) {
    const Relation& relation = any_relation();
    if (relation.of != "person") continue;
    if (auto one = fact(relation, {.being = being})) return *one;
  }
}

Fact Scene::change(const Fact& old) {
  Fact one = old;
  one.o = old.v;
  const bool age = old.relation->v == "age";
  while (one.v == old.v)
    one.v = age ? std::to_string(std::stoi(old.v) + draw.range(1, 3)) : fresh(old.relation->v);
  values_.insert(one.v);
  if (old.relation->link) one.bound = add_linked(one.w, one.v, one.subject.being, old.relation->name);
  if (old.relation->link) one.v = cast[size_t(one.bound)].name;
  const TimeMs next = std::max(old.said + kDayMs, now - 600 * kDayMs);
  one.said =
      at_some_hour(words.day(split, draw, next / kDayMs * kDayMs, next / kDayMs * kDayMs + 200 * kDayMs));
  if (one.said >= now) now = one.said + draw.range(1, 30) * kDayMs;
  return one;
}

Subject Scene::asked(const Subject& told) {
  Subject one = told;
  if (told.style == Subject::Style::both && told.thing.empty()) one.style = Subject::Style(draw.below(3));
  return one;
}

}  // namespace varve::world
