#pragma once
// The parsed template: expressions and statements as plain data, walked by the renderer. Every node knows how deep it
// reaches, so that neither evaluating nor destroying a hostile template can overflow the stack.
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "text/jinja/value.h"

namespace sluice::text::jinja {

struct Expr;
using ExprPtr = std::unique_ptr<Expr>;

/// A name of the template, numbered, so that looking it up compares numbers.
struct Symbol {
  std::string text;
  std::uint32_t id = 0;
};

struct Arguments {
  std::vector<ExprPtr> positional;
  std::vector<std::pair<std::string, ExprPtr>> keyword;
  ExprPtr more_positional, more_keyword;  // *args and **kwargs; may be null
};

struct LiteralExpr {
  Value value;
};
struct NameExpr {
  Symbol name;
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
  Symbol name;
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
/// A scope is kept until the rendering ends where a macro that may outlive its block looks names up in it.
struct ForStmt {
  Target target;
  ExprPtr items;
  ExprPtr condition;  // `for x in y if condition`; may be null
  Body body;
  Body otherwise;
  bool recursive = false;
  bool keep_scope = false;
};
struct SetStmt {
  Target target;
  ExprPtr value;
};
struct SetBlockStmt {
  Target target;
  ExprPtr filter;  // chain applied to the text; may be null
  Body body;
  bool keep_scope = false;
};
struct FilterBlockStmt {
  ExprPtr filter;
  Body body;
  bool keep_scope = false;
};
struct WithStmt {  // also {% generation %}, which only opens a scope
  std::vector<std::pair<Target, ExprPtr>> values;
  Body body;
  bool keep_scope = false;
};
struct BlockStmt {  // {% block %}: sees the names of the top only, unless it is scoped
  Body body;
  bool scoped = false;
  bool keep_scope = false;
};
struct MacroNode {
  struct Parameter {
    Symbol name;
    ExprPtr fallback;  // may be null
  };
  std::string name;
  std::vector<Parameter> parameters;
  Body body;
  Symbol varargs, kwargs, caller;
  bool takes_varargs = false, takes_kwargs = false, takes_caller = false;  // its body asks for them
  bool caller_is_parameter = false;
  bool keep_scope = false;
};
struct MacroStmt {
  Symbol name;
  std::unique_ptr<MacroNode> macro;
};
struct CallStmt {  // {% call(a, b) f(x) %}: the block is a macro that f calls as caller()
  std::unique_ptr<MacroNode> caller;
  ExprPtr call;
};
struct BreakStmt {};
struct ContinueStmt {};

struct Stmt {
  std::variant<TextStmt, OutputStmt, IfStmt, ForStmt, SetStmt, SetBlockStmt, FilterBlockStmt, WithStmt, BlockStmt,
               MacroStmt, CallStmt, BreakStmt, ContinueStmt>
      node;
  std::uint32_t line = 0;
};

/// Numbers the names of one template.
class Symbols {
 public:
  [[nodiscard]] Symbol of(const std::string& name) {
    const auto [it, added] = ids_.emplace(name, static_cast<std::uint32_t>(ids_.size()));
    return {name, it->second};
  }
  [[nodiscard]] const std::uint32_t* find(const std::string& name) const {
    const auto it = ids_.find(name);
    return it == ids_.end() ? nullptr : &it->second;
  }
  [[nodiscard]] std::size_t size() const noexcept { return ids_.size(); }

 private:
  std::unordered_map<std::string, std::uint32_t> ids_;
};

struct Template {
  Body body;
  Symbols symbols;
  Symbol loop;  // `loop`, which for statements set
};

}  // namespace sluice::text::jinja
