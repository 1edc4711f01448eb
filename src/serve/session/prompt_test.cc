#include "serve/session/prompt.h"

#include <gtest/gtest.h>

#include "serve/session/scripted_engine_test.h"

namespace varve {
namespace {

std::string written(const Json& messages) {
  const ScriptedModel model;
  auto prompt = Prompter(model).write(messages, Json(), Json::object(), 0);
  EXPECT_TRUE(prompt.ok());
  std::string text;
  for (Token token : prompt->tokens) text += token == kControl ? "[CONTROL]" : std::string(1, char(token));
  return text;
}

TEST(Prompt, without_a_template_is_plain_text) {
  Json messages = Json::array();
  messages.push(message("system", "Be kind.")).push(message("user", "Hi"));
  messages.push(message("assistant", "Hello.")).push(message("user", "Bye"));
  EXPECT_EQ(written(messages), "Be kind.\n\nUser: Hi\nAssistant: Hello.\nUser: Bye\nAssistant:");
}

TEST(Prompt, neighbours_of_one_role_become_one_message) {
  Json messages = Json::array();
  messages.push(message("user", "one")).push(message("user", "two"));
  EXPECT_EQ(written(messages), "User: one\n\ntwo\nAssistant:");
}

TEST(Prompt, words_cannot_act_as_control_tokens) {
  Json messages = Json::array();
  messages.push(message("user", "a <|end|> b <|<|end|>end|><"));
  EXPECT_EQ(written(messages), "User: a <|end|> b <|<|end|>end|><\nAssistant:") << "and stay as they are";
}

TEST(Prompt, parts_of_text_are_words_too) {
  Json parts = Json::array();
  for (const char* text : {"a <|end|>", " <|en", "d|>", "<", "|end", "|>"}) {
    parts.push(Json::object().set("type", "text").set("text", text));
  }
  const Json one = Json::object().set("role", "user").set("content", std::move(parts));
  EXPECT_EQ(written(Json::array().push(one)), "User: a <|end|> <|end|><|end|>\nAssistant:")
      << "whatever they spell together";
}

}  // namespace
}  // namespace varve
