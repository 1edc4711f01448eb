#include "run/decode/constraint.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/fake_tokenizer.h"

namespace varve {
namespace {

using GrammarPtr = std::shared_ptr<const Grammar>;

const FakeTokenizer& bytes() {
  static const FakeTokenizer tokenizer({"ab", "xyz", "é", "日本", "\xE6\x97", "\xA5\xE6", "\"}", "\": "});
  return tokenizer;
}

GrammarPtr gbnf(std::string_view text) {
  auto made = grammar_from_gbnf(text, bytes());
  EXPECT_TRUE(made.ok()) << std::move(made).status().text();
  return made.ok() ? *made : nullptr;
}
std::string refusal(std::string_view text) {
  auto made = grammar_from_gbnf(text, bytes());
  EXPECT_EQ(made.code(), Code::invalid) << text.substr(0, 100);
  return std::string(std::move(made).status().message());
}

// Whether the grammar takes exactly this text, byte by byte.
bool takes(const GrammarPtr& grammar, std::string_view text) {
  const auto answer = grammar->start();
  for (const char c : text) {
    if (!answer->accept(uint8_t(c)).ok()) return false;
  }
  return answer->complete();
}

std::vector<Token> allowed(const Constraint& answer) {
  std::vector<float> logits(size_t(bytes().size()) + 3, 1.0f);
  const bool any = answer.mask(logits);
  std::vector<Token> tokens;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (!std::isinf(logits[i])) tokens.push_back(Token(i));
  }
  EXPECT_EQ(any, !tokens.empty());
  return tokens;
}

TEST(Gbnf, takes_what_its_rules_say) {
  struct Case {
    const char* grammar;
    std::vector<std::string> good, bad;
  };
  const Case cases[] = {
      {"root ::= \"yes\" | \"no\"", {"yes", "no"}, {"", "y", "yesno", "maybe"}},
      {"root ::= [a-c]+ \"!\"?", {"a", "abc!", "cc"}, {"", "!", "d", "a!!"}},
      {"root ::= [^a-c\\n]", {"d", "é", "日", "\x7F"}, {"a", "\n", "dd", "\xC3"}},
      {"root ::= \"a\"{2,3} \"b\"{2} \"c\"{1,}", {"aabbc", "aaabbccc"}, {"abbc", "aabc", "aabb"}},
      {"root ::= \"a\"{0,2} \"b\"{0}", {"", "a", "aa"}, {"aaa", "b"}},
      {"root ::= (\"a\" (\"b\" | \"c\")*)+", {"a", "abcb", "aabca"}, {"", "b"}},
      {"root ::= pair\npair ::= \"(\" pair? \")\" # nested\n", {"()", "((()))"}, {"(", "(()", ")("}},
      {"root ::= item (\",\" item)*\nitem ::=\n  \"x\" |\n  \"y\"\n", {"x", "x,y,x"}, {"x,", ","}},
      {"root ::= \"a\"\n  | \"b\" # comment\n  | \"c\"", {"a", "b", "c"}, {"ab"}},
      {"root ::= . .", {"ab", "é日", "\n\n"}, {"a", "abc", "\xC3\xC3"}},
      {"root ::= [日-本x\\x41\\u00e9]", {"日", "本", "x", "A", "é"}, {"B", "e"}},
      {"root ::= [\\]\\-\\^\\\\-]", {"]", "-", "^", "\\"}, {"a"}},
      {"root ::= \"\\\"\\t\\n\\\\\\u65e5\"", {"\"\t\n\\日"}, {""}},
      {"root ::= \"\" | \"x\" root", {"", "x", "xxxx"}, {"y"}},
      {"root ::= (\"x\"*)* \"y\"", {"y", "xxxy"}, {"x"}},
      {"root ::= a a\na ::= \"x\"?", {"", "x", "xx"}, {"xxx"}},
      {"root ::= \"a\" root \"b\" | \"a\" root \"c\" | \"d\"", {"d", "adb", "aadbc"}, {"ad", "adbb"}},
  };
  for (const Case& c : cases) {
    const GrammarPtr grammar = gbnf(c.grammar);
    ASSERT_NE(grammar, nullptr) << c.grammar;
    for (const std::string& text : c.good) EXPECT_TRUE(takes(grammar, text)) << c.grammar << " : " << text;
    for (const std::string& text : c.bad) EXPECT_FALSE(takes(grammar, text)) << c.grammar << " : " << text;
  }
}

TEST(Gbnf, says_what_is_wrong_and_where) {
  EXPECT_NE(refusal("root ::= a").find("'a' is used and not defined"), std::string::npos);
  EXPECT_NE(refusal("a ::= \"x\"").find("no rule named 'root'"), std::string::npos);
  EXPECT_NE(refusal("").find("no rule named 'root'"), std::string::npos);
  EXPECT_NE(refusal("root ::= \"a\"\nroot ::= \"b\"").find("line 2"), std::string::npos);
  for (const char* broken :
       {"root", "root ::", "root ::= (", "root ::= )", "root ::= \"a", "root ::= [a", "root ::= *",
        "root ::= \"a\"{", "root ::= \"a\"{2,1}", "root ::= \"a\"{99999}", "root ::= [b-a]",
        "root ::= \"\\q\"", "root ::= \"\\xZZ\"", "root ::= \"\\ud800\"", "root ::= [\xFF]", "root ::= $",
        "::= \"a\"", "root ::= a::=", "root ::= \"a\" ::= \"b\""}) {
    EXPECT_NE(refusal(broken), "");
  }
}

TEST(Gbnf, left_recursion_is_refused_however_hidden) {
  EXPECT_NE(refusal("root ::= root \"a\" | \"b\"").find("left recursion"), std::string::npos);
  EXPECT_NE(refusal("root ::= a\na ::= b \"x\"\nb ::= a | \"y\"").find("left recursion"), std::string::npos);
  EXPECT_NE(refusal("root ::= e root \"a\" | \"b\"\ne ::= \"\" | \"c\"").find("left recursion"),
            std::string::npos);
  EXPECT_NE(refusal("root ::= (\"x\"? root)* \"b\"").find("left recursion"), std::string::npos);
  EXPECT_TRUE(takes(gbnf("root ::= \"a\" root | \"b\""), "aaab"));
}

TEST(Gbnf, what_cannot_end_is_never_entered) {
  EXPECT_NE(refusal("root ::= \"a\" root").find("nothing can match"), std::string::npos);
  EXPECT_NE(refusal("root ::= []").find("nothing can match"), std::string::npos);
  const auto answer = gbnf("root ::= \"x\" (\"a\" forever | \"b\")\nforever ::= \"c\" forever")->start();
  ASSERT_TRUE(answer->accept('x').ok());
  EXPECT_EQ(allowed(*answer), std::vector<Token>{'b'});
}

TEST(Gbnf, nesting_stops_where_it_could_no_longer_be_closed) {
  const auto answer = gbnf("root ::= \"(\" inner \")\" | \"x\"\ninner ::= root")->start();
  int opened = 0;
  while (answer->accept('(').ok()) ++opened;
  EXPECT_GT(opened, 100);
  EXPECT_LE(opened, 257);
  ASSERT_TRUE(answer->accept('x').ok());
  for (int i = 0; i < opened; ++i) {
    EXPECT_FALSE(answer->complete());
    ASSERT_TRUE(answer->accept(')').ok()) << i;
  }
  EXPECT_TRUE(answer->complete());
}

TEST(Gbnf, hostile_grammars_are_refused) {
  const auto repeat = [](const std::string& unit, int times) {
    std::string all;
    for (int i = 0; i < times; ++i) all += unit;
    return all;
  };
  EXPECT_NE(refusal("root ::= " + repeat("(", 60000) + "\"a\"" + repeat(")", 60000)).find("nested"),
            std::string::npos);
  EXPECT_NE(refusal("root ::= " + repeat("(", 60000)).find("nested"), std::string::npos);
  std::string chain = "root ::= r0 \"x\"\n", many = "root ::= \"a\"\n";
  for (int i = 0; i < 9000; ++i)
    chain += "r" + std::to_string(i) + " ::= r" + std::to_string(i + 1) + " \"x\"\n";
  EXPECT_NE(refusal(chain + "r9000 ::= \"y\"").find("deeper than 256"), std::string::npos);
  for (int i = 0; i < 60000; ++i) many += "r" + std::to_string(i) + " ::= \"a\"\n";
  EXPECT_NE(refusal(many).find("too large"), std::string::npos);
  EXPECT_NE(refusal("root ::= " + repeat("\"abcdefghij\" ", 20000)).find("too large"), std::string::npos);
  EXPECT_NE(refusal("root ::= \"" + std::string(200000, 'a') + "\"").find("too large"), std::string::npos);
  EXPECT_NE(refusal("root ::= \"" + std::string(2 << 20, 'a') + "\"").find("1 MiB"), std::string::npos);
  EXPECT_NE(refusal("root ::= " + repeat("\"a\" | ", 150000)).find("too large"), std::string::npos);
}

TEST(Gbnf, repeats_inside_repeats_do_not_multiply) {
  const GrammarPtr grammar = gbnf("root ::= (((\"a\"{2} \"b\"){2000} \"c\"){2000} \"d\"){0,2000}");
  const auto answer = grammar->start();
  for (int i = 0; i < 2000; ++i) {
    for (const char c : {'a', 'a', 'b'}) ASSERT_TRUE(answer->accept(c).ok());
  }
  EXPECT_EQ(allowed(*answer), std::vector<Token>{'c'});
}

TEST(Gbnf, a_grammar_too_ambiguous_ends_the_answer_and_nothing_else) {
  const auto answer = gbnf("root ::= \"a\" root \"b\" | \"a\" root \"c\" | \"a\" root | \"d\"")->start();
  Code code = Code::ok;
  for (int i = 0; i < 200 && code == Code::ok; ++i) code = answer->accept('a').code();
  EXPECT_EQ(code, Code::unsupported);
  EXPECT_TRUE(allowed(*answer).empty());
}

TEST(Constraint, masks_by_whole_tokens_and_by_parts_of_characters) {
  const auto token = [](std::string_view piece) {
    for (Token t = 256; t < bytes().size(); ++t) {
      if (bytes().piece(t) == piece) return t;
    }
    return Token(-1);
  };
  auto answer = gbnf("root ::= \"ab\" \"日本\"")->start();
  EXPECT_EQ(allowed(*answer), (std::vector<Token>{'a', token("ab")}));
  ASSERT_TRUE(answer->accept(token("ab")).ok());
  EXPECT_EQ(allowed(*answer), (std::vector<Token>{0xE6, token("日本"), token("\xE6\x97")}));
  ASSERT_TRUE(answer->accept(token("\xE6\x97")).ok());
  EXPECT_EQ(allowed(*answer), (std::vector<Token>{0xA5, token("\xA5\xE6")}));
  ASSERT_TRUE(answer->accept(token("\xA5\xE6")).ok());
  EXPECT_EQ(answer->accept('x').code(), Code::invalid);
  EXPECT_EQ(answer->accept(-1).code(), Code::invalid);
  EXPECT_EQ(answer->accept(100000).code(), Code::invalid);
  ASSERT_TRUE(answer->accept(0x9C).ok());
  EXPECT_EQ(answer->accept(bytes().end()).code(), Code::invalid);
  ASSERT_TRUE(answer->accept(0xAC).ok());
  EXPECT_EQ(allowed(*answer), std::vector<Token>{bytes().end()});
}

TEST(Constraint, the_end_may_come_when_the_text_is_whole_and_then_nothing_else) {
  auto answer = gbnf("root ::= \"a\"+")->start();
  EXPECT_EQ(allowed(*answer), std::vector<Token>{'a'});
  EXPECT_FALSE(answer->complete());
  ASSERT_TRUE(answer->accept('a').ok());
  EXPECT_TRUE(answer->complete());
  EXPECT_EQ(allowed(*answer), (std::vector<Token>{'a', bytes().end()}));
  ASSERT_TRUE(answer->accept(bytes().end()).ok());
  EXPECT_EQ(allowed(*answer), std::vector<Token>{bytes().end()});
  EXPECT_EQ(answer->accept('a').code(), Code::invalid);
}

TEST(Constraint, says_so_when_the_vocabulary_cannot_spell_the_grammar) {
  const FakeTokenizer poor({"a", "b"}, false);
  const auto made = grammar_from_gbnf("root ::= \"c\"", poor);
  ASSERT_TRUE(made.ok());
  std::vector<float> logits(3, 0.0f);
  EXPECT_FALSE((*made)->start()->mask(logits));
}

TEST(Constraint, answers_of_one_grammar_do_not_disturb_each_other) {
  const GrammarPtr grammar = gbnf("root ::= \"ab\" | \"ac\"");
  const auto one = grammar->start(), other = grammar->start();
  ASSERT_TRUE(one->accept('a').ok());
  EXPECT_EQ(allowed(*other), (std::vector<Token>{'a', 256}));
  EXPECT_EQ(allowed(*one), (std::vector<Token>{'b', 'c'}));
}

}  // namespace
}  // namespace varve
