#include "run/model/chat_template.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "tests/support/shared.h"

namespace varve {
namespace {

std::string read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream all;
  all << file.rdbuf();
  return all.str();
}

// Templates of real models; what they must print was written by Jinja2 itself.
TEST(ChatTemplate, real_templates_render_as_jinja_renders_them) {
  NEED_SHARED("golden/chat_templates/cases.json");
  const Result<Json> cases = parse_json(read(shared_path("golden/chat_templates/cases.json")));
  ASSERT_TRUE(cases.ok());
  ASSERT_GT((*cases).size(), 100u);
  for (const Json& c : (*cases).as_array()) {
    const std::string name = c["template"].as_string();
    SCOPED_TRACE(name + " " + c["conversation"].as_string());
    auto made = ChatTemplate::parse(read(shared_path("golden/chat_templates/" + name + ".jinja")));
    ASSERT_TRUE(made.ok()) << std::move(made).status().text();
    ChatInput input;
    input.messages = c["messages"];
    input.tools = c["tools"];
    input.add_generation_prompt = c["add_generation_prompt"].as_bool();
    input.bos = c["bos_token"].as_string();
    input.eos = c["eos_token"].as_string();
    input.now = *parse_time(c["today"].as_string());
    auto rendered = (*made).render(input);
    if (const Json* error = c.find("error")) {
      ASSERT_FALSE(rendered.ok());
      EXPECT_EQ(std::move(rendered).status().message(), error->as_string());
    } else {
      ASSERT_TRUE(rendered.ok()) << std::move(rendered).status().text();
      EXPECT_EQ(*rendered, c["expected"].as_string());
    }
  }
}

}  // namespace
}  // namespace varve
