#include "learn/world/language/grammar.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "learn/world/language/phrase.h"

namespace varve::world {
namespace {

TEST(Lexicon, NothingIsHeldOutInOneListAndTaughtInAnother) {
  std::set<std::string> taught;
  for (const auto& [type, words] : Lexicon::get().lists())
    taught.insert(words.train.begin(), words.train.end());
  for (const auto& [type, words] : Lexicon::get().lists()) {
    EXPECT_FALSE(words.train.empty()) << type;
    for (const std::string& one : words.eval) EXPECT_FALSE(taught.contains(one)) << type << ": " << one;
    EXPECT_TRUE(words.eval.empty() || words.eval.size() >= 3) << type;
  }
}

TEST(Lexicon, AMadeValueBelongsToOneSplit) {
  const Lexicon& words = Lexicon::get();
  Draw draw({.seed = 3});
  for (const char* type :
       {"phone", "code", "company", "password", "mail", "address", "title", "plate", "price"}) {
    std::set<std::string> train;
    for (int i = 0; i < 300; ++i) train.insert(words.draw(type, Split::train, draw));
    EXPECT_GT(train.size(), 100u) << type;
    for (int i = 0; i < 300; ++i) EXPECT_FALSE(train.contains(words.draw(type, Split::eval, draw))) << type;
  }
  const std::vector<std::string>& held = words.list("girl").eval;
  for (int i = 0; i < 2000; ++i) {
    const std::string name = words.name(Split::train, draw).first;
    EXPECT_EQ(std::find(held.begin(), held.end(), name), held.end());
  }
}

TEST(Grammar, EveryRelationCanBeStatedAskedAndAnsweredInBothSplits) {
  const Lexicon& words = Lexicon::get();
  for (const Relation& relation : Grammar::get().relations()) {
    EXPECT_TRUE(words.knows(relation.v)) << relation.name;
    EXPECT_TRUE(relation.w.empty() || words.knows(relation.w)) << relation.name;
    for (const char* section : {"say", "rep", "ask", "ind", "yes", "no"})
      EXPECT_TRUE(relation.has(section)) << relation.name << " " << section;
    EXPECT_TRUE(!relation.dated || relation.has("rep.d")) << relation.name;
    EXPECT_EQ(relation.multi, relation.has("neg")) << relation.name;
    EXPECT_EQ(relation.changes, relation.has("new")) << relation.name;
    EXPECT_EQ(relation.has("was"), relation.has("wrep")) << relation.name;
    for (const auto& [section, sentences] : relation.sections) {
      EXPECT_FALSE(sentences.front().held_out) << relation.name << " " << section;
      const bool told = section == "say" || section == "new";
      const bool held =
          std::any_of(sentences.begin(), sentences.end(), [](const Sentence& one) { return one.held_out; });
      EXPECT_TRUE(!told || held) << relation.name << " " << section << " has nothing for evaluation";
      if (section.starts_with("ask") || section.starts_with("ind")) {
        const std::string reply = "rep" + section.substr(3);
        EXPECT_TRUE(relation.has(reply)) << relation.name << " " << section;
      }
    }
    for (const std::string slot : {"", ".w", ".d"})
      EXPECT_EQ(relation.has("ask" + slot), relation.has("ind" + slot)) << relation.name;
  }
}

TEST(Grammar, NoSentenceForEvaluationIsTaughtElsewhere) {
  std::set<std::string> taught, held;
  for (const Relation& relation : Grammar::get().relations()) {
    for (const auto& [section, sentences] : relation.sections) {
      for (const Sentence& one : sentences) (one.held_out ? held : taught).insert(one.text);
    }
  }
  for (const std::string& one : held) EXPECT_FALSE(taught.contains(one)) << one;
  EXPECT_GT(held.size(), 250u);
}

void add_words(std::string_view text, std::set<std::string>& words) {
  std::string word;
  bool slot = false;
  for (const char c : std::string(text) + " ") {
    slot = c == '{' || (slot && c != '}');
    const bool letter = !slot && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '\'');
    if (letter) word += c;
    if (!letter && !word.empty()) words.insert(std::exchange(word, ""));
  }
}

TEST(Grammar, AQuestionForEvaluationIsMadeOfWordsThatAreTaught) {
  std::set<std::string> taught, held;
  for (const Relation& relation : Grammar::get().relations()) {
    for (const auto& [section, sentences] : relation.sections) {
      for (const Sentence& one : sentences) add_words(one.text, one.held_out ? held : taught);
    }
  }
  for (const auto& [type, words] : Lexicon::get().lists()) {
    for (const std::string& one : words.train) add_words(one, taught);
  }
  for (const char* name : {"ask", "ind", "tell", "around", "ack", "brief"}) {
    for (const Sentence& one : Grammar::get().frames(name)) {
      if (!one.held_out) add_words(one.text, taught);
    }
  }
  for (const SmallTalk& talk : Grammar::get().small_talk()) {
    add_words(talk.out, taught);
    for (const Sentence& one : talk.in) {
      if (!one.held_out) add_words(one.text, taught);
    }
  }
  for (std::string one : held) {
    if (!taught.contains(one) && one.back() == 's') one.pop_back();  // "learns" beside "learn{s}"
    EXPECT_TRUE(taught.contains(one)) << one;
  }
}

TEST(Phrase, OneSentenceIsSaidByAnybodyOfAnybody) {
  const Cast cast = {
      {}, {.name = "Anna", .gender = 'f', .owner = 0, .noun = "sister"}, {.name = "Tom", .gender = 'm'}};
  const std::string_view sentence = "{S} live{s} in {v}, {he} {am} {a w} and {do}n't sell {his} house";
  const auto said = [&](const Subject& subject, Voice voice) {
    return render(sentence, {.cast = cast, .subject = subject, .voice = voice, .v = "Rome", .w = "actor"});
  };
  EXPECT_EQ(said({}, Voice::user), "I live in Rome, I am an actor and don't sell my house");
  EXPECT_EQ(said({}, Voice::reply), "you live in Rome, you are an actor and don't sell your house");
  EXPECT_EQ(said({}, Voice::report),
            "the user lives in Rome, the user is an actor and doesn't sell their house");
  EXPECT_EQ(said({.being = 1}, Voice::user),
            "Anna lives in Rome, she is an actor and doesn't sell her house");
  EXPECT_EQ(said({.being = 2}, Voice::own), "I live in Rome, I am an actor and don't sell my house");
  const Subject both{.being = 1, .style = Subject::Style::both};
  EXPECT_EQ(nominative(cast, both, Voice::user), "my sister Anna");
  EXPECT_EQ(nominative(cast, both, Voice::reply), "your sister Anna");
  EXPECT_EQ(nominative(cast, both, Voice::report), "the user's sister Anna");
  const Subject keys{.being = 2, .style = Subject::Style::name, .thing = "keys"};
  EXPECT_EQ(render("{S} {am} in {v}", {.cast = cast, .subject = keys, .voice = Voice::reply, .v = "the car"}),
            "Tom's keys are in the car");
}

}  // namespace
}  // namespace varve::world
