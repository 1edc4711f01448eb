// Hostile templates end with a Status, and soon.
#include <gtest/gtest.h>

#include "run/model/chat_template.h"

namespace varve {
namespace {

// What parsing or rendering says; "" when both succeed.
std::string refusal(const std::string& source, const ChatInput& input = {}) {
  auto made = ChatTemplate::parse(source);
  if (!made.ok()) {
    EXPECT_EQ(made.code(), Code::invalid);
    return std::string(std::move(made).status().message());
  }
  auto rendered = (*made).render(input);
  if (rendered.ok()) return "";
  EXPECT_EQ(rendered.code(), Code::invalid);
  return std::string(std::move(rendered).status().message());
}

std::string repeat(const std::string& unit, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += unit;
  return all;
}

constexpr char kSteps[] = "more than a million steps";
constexpr char kBytes[] = "more than 64 MiB";
constexpr char kDeep[] = "too deeply";
#define EXPECT_REFUSED(source, why) EXPECT_NE(refusal(source).find(why), std::string::npos) << refusal(source)

TEST(TemplateLimits, endless_loops_run_out_of_steps) {
  const std::string range = "{% for x in range(100000) %}";
  EXPECT_REFUSED(range + range + "{% endfor %}{% endfor %}", kSteps);
  EXPECT_REFUSED(range + range + "{% set a = 1 %}{% endfor %}{% endfor %}", kSteps);
  EXPECT_REFUSED("{% set l = [1] %}{% for x in l %}{% set _ = l.append(x) %}{% endfor %}", kSteps);
  EXPECT_REFUSED("{% set l = range(90000)|list %}" + range + "{{ -1 in l }}{% endfor %}", kSteps);
  EXPECT_REFUSED("{% set s = 'a' * 9000000 %}" + range + "{{ 'b' in s }}{% endfor %}", kSteps);
  EXPECT_REFUSED("{% set s = 'a' * 9000000 %}" + range + "{{ s|length }}{% endfor %}", kSteps);
  EXPECT_REFUSED("{% set s = 'ab' * 9000000 %}" + range + "{{ s == ('ab' * 9000000) }}{% endfor %}", kSteps);
}

TEST(TemplateLimits, doubling_runs_out_of_bytes) {
  const std::string loop =
      "{% set n = namespace(v=start) %}{% for x in range(99) %}{% set n.v = step %}{% endfor %}";
  const auto doubling = [&](const std::string& start, const std::string& step) {
    std::string text = loop;
    text.replace(text.find("start"), 5, start);
    return text.replace(text.find("step"), 4, step);
  };
  EXPECT_REFUSED(doubling("'a'", "n.v + n.v"), kBytes);
  EXPECT_REFUSED(doubling("'a'", "n.v ~ n.v"), kBytes);
  EXPECT_REFUSED(doubling("'a'", "n.v * 9"), kBytes);
  EXPECT_REFUSED(doubling("'a'", "n.v.replace('a', 'aaa')"), kBytes);
  EXPECT_REFUSED(doubling("'a'", "'%s%s' % (n.v, n.v)"), kBytes);
  EXPECT_REFUSED(doubling("'a'", "'{0}{0}'.format(n.v)"), kBytes);
  EXPECT_REFUSED(doubling("'a'", "[n.v, n.v]|join"), kBytes);
  EXPECT_REFUSED(doubling("'a'", "n.v.join([n.v, n.v, n.v])"), kBytes);
  EXPECT_REFUSED(doubling("[1]", "n.v + n.v"), kBytes);
  EXPECT_REFUSED("{{ 'a' * 9223372036854775807 }}", kBytes);
  EXPECT_REFUSED("{{ [1, 2] * 9223372036854775807 }}", kBytes);
  EXPECT_REFUSED("{{ 'a'.center(9000000000) }}", kBytes);
  EXPECT_REFUSED("{{ 'a'.zfill(9000000000) }}", kBytes);
  EXPECT_REFUSED("{{ 'a\nb'|indent(9000000000) }}", kBytes);
  EXPECT_REFUSED("{{ (',' * 9000000).split(',') }}", kBytes);
  EXPECT_REFUSED("{{ ('a' * 9000000)|list }}", kBytes);
  EXPECT_REFUSED("{% set s = 'a' * 9000000 %}{% for x in range(99) %}{{ s }}{% endfor %}", kBytes);
}

TEST(TemplateLimits, a_value_inside_itself_many_times_is_not_printed_for_ever) {
  const std::string twice =
      "{% set n = namespace(v=[1]) %}{% for x in range(60) %}{% set n.v = [n.v, n.v] %}{% endfor %}";
  EXPECT_REFUSED(twice + "{{ n.v }}", kSteps);
  EXPECT_REFUSED(twice + "{{ n.v|tojson }}", kSteps);
  EXPECT_REFUSED(twice + "{% set m = n.v[0] %}{{ [n.v[1], 1] == [[m[0], m[1]], 2] }}{{ n.v|string }}",
                 kSteps);
  const std::string ring = "{% set l = [] %}{% set _ = l.append(l) %}";
  EXPECT_REFUSED(ring + "{{ l }}", kDeep);
  EXPECT_REFUSED(ring + "{{ l|tojson }}", kDeep);
  EXPECT_REFUSED(ring + "{% set k = [] %}{% set _ = k.append(k) %}{{ l == k }}", kDeep);
  EXPECT_EQ(refusal("{% set n = namespace() %}{% set n.n = n %}{{ n.n.n.n is defined }}"), "");
}

TEST(TemplateLimits, deep_nesting_is_refused) {
  for (const int n : {1000, 20000}) {
    EXPECT_REFUSED("{{ " + repeat("(", n) + "1" + repeat(")", n) + " }}", kDeep);
    EXPECT_REFUSED("{{ " + repeat("[", n) + repeat("]", n) + " }}", kDeep);
    EXPECT_REFUSED("{{ " + repeat("-", n) + "1 }}", kDeep);
    EXPECT_REFUSED("{{ 1 " + repeat(" if 1 else 1", n) + " }}", kDeep);
    EXPECT_REFUSED("{{ a" + repeat(".a", n) + " }}", kDeep);
    EXPECT_REFUSED("{{ a" + repeat("|e", n) + " }}", kDeep);
    EXPECT_REFUSED("{{ a" + repeat("()", n) + " }}", kDeep);
    EXPECT_REFUSED("{{ a" + repeat("[0]", n) + " }}", kDeep);
    EXPECT_REFUSED(repeat("{%if 1%}", n), kDeep);
    EXPECT_REFUSED(repeat("{%set x%}", n), kDeep);
    EXPECT_REFUSED("{% for " + repeat("(", n) + "x" + repeat(")", n) + " in y %}{% endfor %}", kDeep);
    EXPECT_EQ(refusal("{{ 1" + repeat(" + 1", n) + " }}{{ 1" + repeat(" ~ 1", n) + " }}"), "");
    EXPECT_EQ(refusal("{{ " + repeat("not ", n) + "1" + repeat(" or 1", n) + " }}"), "");
    EXPECT_EQ(refusal("{% if 0 %}" + repeat("{%elif 0%}", n) + "{% endif %}"), "");
  }
  EXPECT_REFUSED("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", kDeep);
  EXPECT_REFUSED("{% macro f(g) %}{{ g(g) }}{% endmacro %}{{ f(f) }}", kDeep);
}

TEST(TemplateLimits, sizes_are_bounded) {
  EXPECT_REFUSED(std::string(300 << 10, 'a'), "the limit is");
  EXPECT_REFUSED("{{ range(100001) }}", "range too big");
  EXPECT_REFUSED("{{ range(-9223372036854775807, 9223372036854775807) }}", "range too big");
  EXPECT_REFUSED("{{ 9223372036854775807 + 1 }}", "overflow");
  EXPECT_REFUSED("{{ (-9223372036854775807 - 1) // -1 }}", "overflow");
  EXPECT_REFUSED("{{ 2 ** 64 }}", "overflow");
  EXPECT_REFUSED("{{ 99999999999999999999 }}", "out of range");
}

TEST(TemplateLimits, a_deep_input_is_refused) {
  ChatInput input;
  for (int i = 0; i < 500; ++i) {
    Json outer = Json::array();
    outer.push(std::move(input.messages));
    input.messages = std::move(outer);
  }
  EXPECT_NE(refusal("{{ messages }}", input).find(kDeep), std::string::npos);
}

TEST(TemplateLimits, a_long_conversation_is_far_from_them) {
  ChatInput input;
  for (int i = 0; i < 4000; ++i) {
    Json message = Json::object();
    message.set("role", i % 2 == 0 ? "user" : "assistant").set("content", std::string(1000, 'x'));
    input.messages.push(std::move(message));
  }
  EXPECT_EQ(refusal("{% for m in messages %}{% if m.role == 'user' %}{{ '<u>' + m['content']|trim + '</u>' }}"
                    "{% else %}{{ '<a>' + m.content.split('</think>')[-1] + '</a>' }}{% endif %}{% endfor %}",
                    input),
            "");
}

// Going back over four broken bytes lands on the space before them, which does not end the word.
TEST(TemplateLimits, splitting_from_the_right_ends_on_broken_bytes) {
  const std::string broken = " a \xB9\xB9\xB9\xB9\xB9";
  const auto text = [&](const std::string& call) {
    auto made = ChatTemplate::parse("{{ '" + broken + "'." + call + " }}");
    EXPECT_TRUE(made.ok());
    auto rendered = (*made).render({});
    EXPECT_TRUE(rendered.ok());
    return rendered.ok() ? *rendered : std::string();
  };
  EXPECT_EQ(text("rsplit()|length"), "2");
  EXPECT_EQ(text("rsplit(none, 1)|length"), "2");
  EXPECT_EQ(text("rstrip()"), broken);
}

TEST(TemplateLimits, every_prefix_of_a_template_parses_or_is_refused) {
  const std::string source =
      "{%- macro f(a, b='x') -%}{{ a|replace('a', \"b\")[1:-1]|upper }}{# c #}{%- endmacro %}\n"
      "{% for k, v in {'a': [1, 2.5e3, none]}.items() if v is iterable %}{{ f(k, b=v[0]) ~ loop.index }}\n"
      "{% else %}{% raw %}{{ }}{% endraw %}{% endfor %}{% set n = namespace(x=1) %}{% set n.x = (1, 2) %}";
  for (size_t n = 0; n <= source.size(); ++n) {
    auto made = ChatTemplate::parse(source.substr(0, n));
    if (made.ok()) {
      EXPECT_TRUE((*made).render({}).ok()) << source.substr(0, n);
    } else {
      EXPECT_EQ(std::move(made).status().message().substr(0, 5), "line ");
    }
  }
}

}  // namespace
}  // namespace varve
