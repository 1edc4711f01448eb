// What the parser makes of a template. Chains of operators are one node with many children, so that the
// tree is as deep as the source is nested and not as it is long.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "run/model/template/value.h"

namespace varve::jinja {

enum class Op : uint8_t {
  add,
  subtract,
  multiply,
  divide,
  floor_divide,
  modulo,
  power,
  equal,
  not_equal,
  less,
  less_equal,
  greater,
  greater_equal,
  in,
  not_in
};

struct Builtin;
struct Expr;
using ExprPtr = std::unique_ptr<Expr>;

struct Expr {
  enum Kind : uint8_t {
    constant,  // value
    variable,  // name
    tuple,
    list,       // kids
    dict,       // kids: key, value, key, value
    attribute,  // kids[0] . name
    item,       // kids[0] [ kids[1] ]
    slice,      // kids[0] [ kids[1] : kids[2] : kids[3] ], null where left out
    call,       // kids[0] ( arguments )
    filter,     // kids[0] | name ( arguments ); kids[0] is null in a filter block
    test,       // kids[0] is name ( arguments )
    negate,
    plus,
    invert,
    all,
    any,
    concat,      // - + not and or ~
    chain,       // kids[0] ops[0] kids[1] ops[1] ..., from the left
    comparison,  // the same, as Python chains comparisons
    condition    // kids[0] if kids[1] else kids[2], which may be null
  };
  Kind kind = constant;
  int line = 0;
  int height = 1;
  Value value;
  Str name;
  const Builtin* builtin = nullptr;  // of a filter or test; null when there is none of that name
  std::vector<ExprPtr> kids;
  std::vector<Op> ops;
  std::vector<Str> names;  // of the arguments: null by position, "*" and "**" spread
};

struct Stmt;
using Block = std::vector<Stmt>;

struct Branch {
  ExprPtr test;  // null: else
  Block body;
};

struct Signature {  // of a macro or a call block
  std::vector<Str> names;
  std::vector<ExprPtr> defaults;          // of the last ones
  bool rest = false, named_rest = false;  // the body speaks of varargs, kwargs
};

struct Stmt {
  enum Kind : uint8_t {
    text,          // name
    print,         // value
    branch,        // branches
    loop,          // target in value if test; body, other
    assign,        // target = value
    capture,       // target = body, through the filter in value when there is one
    macro,         // name, signature, body
    call_block,    // value is the call; signature, body
    filter_block,  // value is the filter over body
    with,          // targets and kids of value; body
    scope,         // body
    run,           // value, for its effect
    leave,
    next  // break and continue
  };
  Kind kind = text;
  int line = 0;
  Str name;
  ExprPtr target, value, test;
  Block body, other;
  std::vector<Branch> branches;
  std::unique_ptr<Signature> signature;
};

Result<Block> parse(std::string_view source);

}  // namespace varve::jinja
