// Small templates and what Jinja2 makes of them. The rows were printed by Jinja2 3.1 itself; a row whose
// expectation is null is an error there, and must be one here.
#include <gtest/gtest.h>

#include "run/model/chat_template.h"

namespace varve {
namespace {

struct Row {
  const char* source;
  const char* expected;
};

constexpr char kVariables[] = R"json({
  "s": "Hello World", "u": "Grüße, Ünïcode ☃ 日本", "e": "", "n": null, "i": 7, "f": 3.5, "neg": -3, "t": true,
  "l": [3, 1, 2], "ls": ["b", "A", "c", "a"], "d": {"b": 1, "a": {"x": [1, 2]}, "items": 5},
  "m": [{"role": "user", "content": "hi", "k": 2}, {"role": "assistant", "content": null, "k": 1},
        {"role": "user", "content": "it's"}],
  "q": "it's \"q\"\n\\x", "deep": {"a": {"b": [{"c": 1}]}}
})json";

void check(std::initializer_list<Row> rows) {
  ChatInput input;
  input.extra = *parse_json(kVariables);
  input.now = *parse_time("2024-07-26");
  for (const Row& row : rows) {
    auto made = ChatTemplate::parse(row.source);
    Result<std::string> rendered =
        made.ok() ? (*made).render(input) : Result<std::string>(std::move(made).status());
    if (row.expected == nullptr) {
      EXPECT_EQ(rendered.code(), Code::invalid) << row.source;
    } else {
      ASSERT_TRUE(rendered.ok()) << row.source << "\n" << std::move(rendered).status().text();
      EXPECT_EQ(*rendered, row.expected) << row.source;
    }
  }
}

#include "run/model/template/render_cases.inc"

TEST(Template, what_only_chat_templates_have) {
  check({{"{% generation %}x{% set a = 1 %}{% endgeneration %}{{ a is defined }}", "xFalse"},
         {"{% do l.append(1) %}{{ l }}", "[3, 1, 2, 1]"},
         {"{{ d|tojson }}{{ '<a>'|tojson }}", "{\"b\": 1, \"a\": {\"x\": [1, 2]}, \"items\": 5}\"<a>\""}});
}

TEST(Template, errors_name_the_line) {
  const auto message = [](const char* source) {
    auto made = ChatTemplate::parse(source);
    if (!made.ok()) return std::string(std::move(made).status().message());
    return std::string((*made).render({}).status().message());
  };
  EXPECT_EQ(message("a\n{{ b + 1 }}"), "line 2: 'b' is undefined");
  EXPECT_EQ(message("a\n\n{{ messages.x.y }}"), "line 3: 'list object' has no attribute 'x'");
  EXPECT_EQ(message("{% if 1 %}\n{{ 'a' + none }}\n{% endif %}"),
            "line 2: can only concatenate str (not \"NoneType\") to str");
  EXPECT_EQ(message("\n{% nope %}"), "line 2: the tag 'nope' is not known here");
  EXPECT_EQ(message("\n{% if 1 %}\n"), "line 2: the template ends, but 'elif' was expected");
  EXPECT_EQ(message("{{ 'a'\n\n| nope }}"), "line 3: no filter named 'nope'");
  EXPECT_EQ(message("\n\n{{ raise_exception('only users may speak') }}"), "only users may speak");
}

}  // namespace
}  // namespace varve
