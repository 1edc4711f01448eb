// Statements: {% ... %} tags and the blocks between them.
#include <algorithm>
#include <utility>

#include "run/model/template/parser.h"

namespace varve::jinja {

constexpr size_t kSourceBytes = 256 << 10;

Status Parser::fail(const std::string& what) const {
  return Status(Code::invalid, "line " + std::to_string(now().line) + ": " + what);
}

Status Parser::unexpected() const {
  switch (now().kind) {
    case Lexeme::end: return fail("the template ends too early");
    case Lexeme::block_end: return fail("unexpected end of tag");
    case Lexeme::print_end: return fail("expected an expression");
    default: return fail("unexpected '" + std::string(now().text_of.substr(0, 40)) + "'");
  }
}

Status Parser::expect_op(std::string_view op) {
  if (!is_op(op)) return unexpected().with("expected '" + std::string(op) + "'");
  next();
  return {};
}

Result<Str> Parser::expect_name() {
  if (now().kind != Lexeme::name) return unexpected().with("expected a name");
  Str name = literal(std::string(now().text_of));
  next();
  return name;
}

ExprPtr Parser::make(Expr::Kind kind) const {
  ExprPtr e = std::make_unique<Expr>();
  e->kind = kind;
  e->line = now().line;
  return e;
}

Result<ExprPtr> Parser::add(ExprPtr parent, ExprPtr kid) const {
  if (kid != nullptr) {
    if (kid->height >= kHeight) return fail("nested too deeply");
    parent->height = std::max(parent->height, kid->height + 1);
  }
  parent->kids.push_back(std::move(kid));
  return parent;
}

Status Parser::end_tag() {
  if (now().kind != Lexeme::block_end) return unexpected().with("expected the end of the tag");
  next();
  return {};
}

Result<Block> Parser::run() {
  return block({});
}

// Up to one of the tags in `ends`, whose name is then the current lexeme; up to the end when there are none.
Result<Block> Parser::block(std::initializer_list<std::string_view> ends) {
  if (++depth_ > kParseDepth) return fail("nested too deeply");
  Block out;
  for (;;) {
    const Lexeme& l = now();
    if (l.kind == Lexeme::end) {
      if (ends.size() > 0)
        return fail("the template ends, but '" + std::string(*ends.begin()) + "' was expected");
      break;
    }
    next();
    if (l.kind == Lexeme::text) {
      Stmt s{.kind = Stmt::text, .line = l.line};
      s.name = literal(std::string(l.text_of));
      out.push_back(std::move(s));
    } else if (l.kind == Lexeme::print_begin) {
      Stmt s{.kind = Stmt::print, .line = l.line};
      s.value = TRY(tuple_or_one(true));
      if (now().kind != Lexeme::print_end) return unexpected().with("expected '}}'");
      next();
      out.push_back(std::move(s));
    } else if (std::find_if(ends.begin(), ends.end(), [&](auto end) { return is_word(end); }) != ends.end()) {
      break;
    } else {
      TRY(statement(out));
    }
  }
  --depth_;
  return out;
}

Result<Block> Parser::body_until(std::string_view end) {
  TRY(end_tag());
  Block body = TRY(block({end}));
  next();
  if (end == "endmacro" && now().kind == Lexeme::name) next();
  TRY(end_tag());
  return body;
}

Status Parser::statement(Block& out) {
  Stmt s{.line = now().line};
  if (skip_word("if")) {
    TRY(if_statement(s));
  } else if (skip_word("for")) {
    TRY(for_statement(s));
  } else if (skip_word("set")) {
    TRY(set_statement(s));
  } else if (skip_word("macro")) {
    TRY(macro_statement(s));
  } else if (skip_word("call")) {
    TRY(call_statement(s));
  } else if (skip_word("filter")) {
    TRY(filter_statement(s));
  } else if (skip_word("with")) {
    TRY(with_statement(s));
  } else if (skip_word("generation")) {  // marks the assistant's part for training; here it only nests
    s.kind = Stmt::scope;
    s.body = TRY(body_until("endgeneration"));
  } else if (skip_word("do")) {
    s.kind = Stmt::run;
    s.value = TRY(tuple_or_one(true));
    TRY(end_tag());
  } else if (is_word("break") || is_word("continue")) {
    s.kind = is_word("break") ? Stmt::leave : Stmt::next;
    if (loops_ == 0) return fail("'" + std::string(now().text_of) + "' outside a loop");
    next();
    TRY(end_tag());
  } else if (now().kind == Lexeme::name) {
    return fail("the tag '" + std::string(now().text_of.substr(0, 40)) + "' is not known here");
  } else {
    return unexpected();
  }
  out.push_back(std::move(s));
  return {};
}

Status Parser::if_statement(Stmt& s) {
  s.kind = Stmt::branch;
  for (;;) {
    Branch branch;
    branch.test = TRY(tuple_or_one(false));
    TRY(end_tag());
    branch.body = TRY(block({"elif", "else", "endif"}));
    s.branches.push_back(std::move(branch));
    if (!skip_word("elif")) break;
  }
  if (skip_word("else")) {
    TRY(end_tag());
    s.branches.push_back({nullptr, TRY(block({"endif"}))});
  }
  next();
  return end_tag();
}

Status Parser::for_statement(Stmt& s) {
  s.kind = Stmt::loop;
  s.target = TRY(target(true));
  if (!skip_word("in")) return unexpected().with("expected 'in'");
  s.value = TRY(tuple_or_one(false));
  if (skip_word("if")) s.test = TRY(expression());
  if (is_word("recursive")) return fail("recursive loops are not supported");
  TRY(end_tag());
  ++loops_;
  s.body = TRY(block({"endfor", "else"}));
  --loops_;
  if (skip_word("else")) {
    TRY(end_tag());
    s.other = TRY(block({"endfor"}));
  }
  next();
  return end_tag();
}

// Names, tuples of them, and with dots the attributes of a namespace.
Result<ExprPtr> Parser::target(bool tuples) {
  if (++depth_ > kParseDepth) return fail("nested too deeply");
  ExprPtr e;
  if (skip_op("(")) {
    e = TRY(target(true));
    TRY(expect_op(")"));
  } else {
    e = make(Expr::variable);
    e->name = TRY(expect_name());
    if (e->name->view() == "loop") return fail("'loop' cannot be assigned");
    if (skip_op(".")) {
      ExprPtr attribute = TRY(add(make(Expr::attribute), std::move(e)));
      attribute->name = TRY(expect_name());
      e = std::move(attribute);
    }
  }
  if (tuples && is_op(",")) {
    e = TRY(add(make(Expr::tuple), std::move(e)));
    while (skip_op(",") && !is_word("in") && !is_op("=")) e = TRY(add(std::move(e), TRY(target(false))));
  }
  --depth_;
  return e;
}

Status Parser::set_statement(Stmt& s) {
  s.kind = Stmt::assign;
  s.target = TRY(target(true));
  if (skip_op("=")) {
    s.value = TRY(tuple_or_one(true));
    return end_tag();
  }
  s.kind = Stmt::capture;
  while (skip_op("|")) s.value = TRY(one_filter(std::move(s.value)));
  s.body = TRY(body_until("endset"));
  return {};
}

Result<std::unique_ptr<Signature>> Parser::signature() {
  auto signature = std::make_unique<Signature>();
  TRY(expect_op("("));
  while (!is_op(")")) {
    signature->names.push_back(TRY(expect_name()));
    if (skip_op("=")) {
      signature->defaults.push_back(TRY(expression()));
    } else if (!signature->defaults.empty()) {
      return fail("a parameter without a default after one that has it");
    }
    if (!skip_op(",")) break;
  }
  TRY(expect_op(")"));
  return signature;
}

Status Parser::macro_statement(Stmt& s) {
  s.kind = Stmt::macro;
  s.name = TRY(expect_name());
  s.signature = TRY(signature());
  return macro_body(s, "endmacro");
}

Status Parser::macro_body(Stmt& s, std::string_view end) {
  const int loops = std::exchange(loops_, 0);  // break does not reach through a macro
  const bool varargs = std::exchange(varargs_, false), kwargs = std::exchange(kwargs_, false);
  s.body = TRY(body_until(end));
  s.signature->rest = varargs_;
  s.signature->named_rest = kwargs_;
  loops_ = loops;
  varargs_ = varargs;
  kwargs_ = kwargs;
  return {};
}

Status Parser::call_statement(Stmt& s) {
  s.kind = Stmt::call_block;
  s.signature = is_op("(") ? TRY(signature()) : std::make_unique<Signature>();
  s.value = TRY(expression());
  if (s.value->kind != Expr::call) return fail("'call' needs a call of a macro");
  return macro_body(s, "endcall");
}

Status Parser::filter_statement(Stmt& s) {
  s.kind = Stmt::filter_block;
  s.value = TRY(one_filter(nullptr));
  while (skip_op("|")) s.value = TRY(one_filter(std::move(s.value)));
  s.body = TRY(body_until("endfilter"));
  return {};
}

Status Parser::with_statement(Stmt& s) {
  s.kind = Stmt::with;
  s.target = make(Expr::tuple);
  s.value = make(Expr::tuple);
  while (now().kind != Lexeme::block_end) {
    s.target = TRY(add(std::move(s.target), TRY(target(false))));
    TRY(expect_op("="));
    s.value = TRY(add(std::move(s.value), TRY(expression())));
    if (!skip_op(",")) break;
  }
  s.body = TRY(body_until("endwith"));
  return {};
}

Result<Block> parse(std::string_view source) {
  if (source.size() > kSourceBytes) {
    return Status(Code::invalid, "the template has " + std::to_string(source.size()) +
                                     " bytes; the limit is " + std::to_string(kSourceBytes));
  }
  const std::string text = normalize_newlines(source);
  return Parser(TRY(lex(text))).run();
}

}  // namespace varve::jinja
