// The parser's shared part: tokens ahead, errors, and the bound on nesting. Expressions and statements are
// two files.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "run/model/template/ast.h"
#include "run/model/template/lexer.h"

namespace varve::jinja {

constexpr int kParseDepth = 100;  // brackets, blocks and unary signs inside one another
constexpr int kHeight = 200;      // of one expression tree: a.b.c.d... or x|f|g|h...

class Parser {
 public:
  explicit Parser(std::vector<Lexeme> lexemes) : lexemes_(std::move(lexemes)) {}
  Result<Block> run();

 private:
  // parse_stmt.cc
  Result<Block> block(std::initializer_list<std::string_view> ends);
  Status statement(Block& out);
  Status if_statement(Stmt& s);
  Status for_statement(Stmt& s);
  Status set_statement(Stmt& s);
  Status macro_statement(Stmt& s);
  Status call_statement(Stmt& s);
  Status filter_statement(Stmt& s);
  Status with_statement(Stmt& s);
  Result<std::unique_ptr<Signature>> signature();
  Status macro_body(Stmt& s, std::string_view end);
  Result<ExprPtr> target(bool tuples);
  Status end_tag();
  Result<Block> body_until(std::string_view end);

  // parse_expr.cc
  Result<ExprPtr> expression();  // with an inline if
  Result<ExprPtr> tuple_or_one(bool with_inline_if);
  Result<ExprPtr> disjunction();
  Result<ExprPtr> conjunction();
  Result<ExprPtr> negation();
  Result<ExprPtr> comparison();
  Result<ExprPtr> sum();
  Result<ExprPtr> concatenation();
  Result<ExprPtr> product();
  Result<ExprPtr> power();
  Result<ExprPtr> unary(bool with_filters);
  Result<ExprPtr> primary();
  Result<ExprPtr> postfix(ExprPtr e);
  Result<ExprPtr> filters(ExprPtr e);
  Result<ExprPtr> one_filter(ExprPtr input);
  Result<ExprPtr> test(ExprPtr e);
  Result<ExprPtr> subscript(ExprPtr e);
  Result<ExprPtr> parenthesis();
  Result<ExprPtr> list();
  Result<ExprPtr> dict();
  Result<ExprPtr> string();
  Result<ExprPtr> number();
  Status arguments(Expr& call);
  Result<ExprPtr> chain_of(Expr::Kind kind, Result<ExprPtr> (Parser::*part)(),
                           Op (*op)(const Lexeme&, bool&));

  const Lexeme& now() const { return lexemes_[at_]; }
  const Lexeme& ahead() const { return lexemes_[at_ + 1 < lexemes_.size() ? at_ + 1 : at_]; }
  void next() { at_ += at_ + 1 < lexemes_.size(); }
  bool is_op(std::string_view op) const { return now().kind == Lexeme::op && now().text_of == op; }
  bool is_word(std::string_view word) const { return now().kind == Lexeme::name && now().text_of == word; }
  bool skip_op(std::string_view op) { return is_op(op) && (next(), true); }
  bool skip_word(std::string_view word) { return is_word(word) && (next(), true); }
  Status expect_op(std::string_view op);
  Result<Str> expect_name();
  Status fail(const std::string& what) const;
  Status unexpected() const;
  ExprPtr make(Expr::Kind kind) const;
  Result<ExprPtr> add(ExprPtr parent, ExprPtr kid) const;  // refuses a tree that grows too high

  std::vector<Lexeme> lexemes_;
  size_t at_ = 0;
  int depth_ = 0, loops_ = 0;
  bool varargs_ = false, kwargs_ = false;  // named in the macro being read
};

// What a string literal means, as Python reads its escapes.
std::string unescape(std::string_view raw);

}  // namespace varve::jinja
