#pragma once
// The parsed template: expressions and statements as plain data, walked by jinja_eval. Every node knows how deep it
// reaches, so that neither evaluating nor destroying a hostile template can overflow the stack.
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "text/jinja/value.h"

namespace sluice::text::jinja {

struct Expr;
using ExprPtr = std::unique_ptr<Expr>;

struct Arguments {
  std::vector<ExprPtr> positional;
  std::vector<std::pair<std::string, ExprPtr>> keyword;
};

struct LiteralExpr {
  Value value;
};
struct NameExpr {
  std::string name;
};
struct ListExpr {
  std::vector<ExprPtr> items;
  bool tuple = false;
};
struct DictExpr {
  std::vector<std::pair<ExprPtr, ExprPtr>> items;
};
enum class UnaryOp { not_, negate, plus };
struct UnaryExpr {
  UnaryOp op;
  ExprPtr operand;
};
enum class BinaryOp { and_, or_, add, subtract, multiply, divide, floor_divide, modulo, power };
struct BinaryExpr {
  BinaryOp op;
  ExprPtr left, right;
};
struct ConcatExpr {  // a ~ b ~ c
  std::vector<ExprPtr> parts;
};
enum class CompareOp { eq, ne, lt, le, gt, ge, in, not_in };
struct CompareExpr {  // a < b < c
  ExprPtr first;
  std::vector<std::pair<CompareOp, ExprPtr>> rest;
};
struct TernaryExpr {
  ExprPtr condition, then, otherwise;  // otherwise may be null
};
struct AttributeExpr {
  ExprPtr object;
  std::string name;
};
struct SubscriptExpr {
  ExprPtr object, index;
};
struct SliceExpr {
  ExprPtr object, start, stop, step;  // the last three may be null
};
struct CallExpr {
  ExprPtr callee;
  Arguments arguments;
};
struct FilterExpr {
  ExprPtr input;  // null at the head of a block's filter chain: the block's text
  std::string name;
  Arguments arguments;
};
struct TestExpr {
  ExprPtr input;
  std::string name;
  Arguments arguments;
};

struct Expr {
  std::variant<LiteralExpr, NameExpr, ListExpr, DictExpr, UnaryExpr, BinaryExpr, ConcatExpr, CompareExpr, TernaryExpr,
               AttributeExpr, SubscriptExpr, SliceExpr, CallExpr, FilterExpr, TestExpr>
      node;
  std::uint32_t line = 0;
  std::uint32_t depth = 1;
};

/// What set and for assign to: a name, ns.attribute, or a tuple of such.
struct Target {
  std::string name;
  std::string attribute;         // not empty: attribute of the namespace `name`
  std::vector<Target> elements;  // not empty: unpack into these
};

struct Stmt;
using Body = std::vector<Stmt>;

struct TextStmt {
  std::string text;
};
struct OutputStmt {
  ExprPtr value;
};
struct IfStmt {
  std::vector<std::pair<ExprPtr, Body>> branches;
  Body otherwise;
};
struct ForStmt {
  Target target;
  ExprPtr items;
  ExprPtr condition;  // `for x in y if condition`; may be null
  Body body;
  Body otherwise;
};
struct SetStmt {
  Target target;
  ExprPtr value;
};
struct SetBlockStmt {
  Target target;
  ExprPtr filter;  // chain applied to the text; may be null
  Body body;
};
struct FilterBlockStmt {
  ExprPtr filter;
  Body body;
};
struct WithStmt {  // also {% generation %}, which only opens a scope
  std::vector<std::pair<Target, ExprPtr>> values;
  Body body;
};
struct MacroNode {
  std::string name;
  std::vector<std::pair<std::string, ExprPtr>> parameters;  // the default may be null
  Body body;
};
struct MacroStmt {
  std::unique_ptr<MacroNode> macro;
};
struct BreakStmt {};
struct ContinueStmt {};

struct Stmt {
  std::variant<TextStmt, OutputStmt, IfStmt, ForStmt, SetStmt, SetBlockStmt, FilterBlockStmt, WithStmt, MacroStmt,
               BreakStmt, ContinueStmt>
      node;
  std::uint32_t line = 0;
};

}  // namespace sluice::text::jinja
