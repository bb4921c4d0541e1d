#include "text/output/pythonic_parser.h"

#include <string_view>
#include <utility>

namespace sluice::text::output {
namespace {

constexpr std::string_view kStart = "<|python_start|>";
constexpr std::string_view kEnd = "<|python_end|>";
constexpr std::size_t kMaxKeyword = 256;

bool is_keyword(char c) { return is_name_byte(c) && c != '.' && c != '-'; }

}  // namespace

void PythonicParser::refuse(char c) {
  give_up();
  at_ = At::text;
  content({&c, 1});
}

void PythonicParser::step(char c) {
  switch (at_) {
    case At::begin:
    case At::tag:
    case At::list:
    case At::text:
      return step_outside(c);
    case At::call:
    case At::next:
    case At::name:
    case At::separator:
      return step_call(c);
    case At::value:
    case At::object:
      return step_value(c);
    case At::end:
    case At::end_tag:
      return step_end(c);
    default:
      return step_argument(c);
  }
}

void PythonicParser::step_outside(char c) {
  if (at_ == At::text) return content({&c, 1});
  if (at_ == At::tag) {
    if (c != kStart[tag_.size()]) return refuse(c);
    tag_ += c;
    attempt(c);
    if (tag_ == kStart) at_ = At::list;
    return;
  }
  if (is_space(c)) return at_ == At::begin ? content({&c, 1}) : attempt(c);
  if (c == '[') {
    attempt(c);
    at_ = At::call;
  } else if (c == '<' && at_ == At::begin) {
    attempt(c);
    tag_ = c;
    at_ = At::tag;
  } else {
    refuse(c);
  }
}

void PythonicParser::step_call(char c) {
  if (at_ == At::separator) {
    if (!is_space(c) && c != ',' && c != ']') return refuse(c);
    if (c == ']') {
      drop();
      tag_.clear();
      at_ = At::end;
      return;
    }
    attempt(c);
    if (c == ',') at_ = At::next;
    return;
  }
  if (at_ == At::next && c == ']') {  // a comma may come last
    at_ = At::separator;
    return step_call(c);
  }
  if (at_ == At::call || at_ == At::next) {
    if (is_space(c)) return attempt(c);
    name_.clear();
    at_ = At::name;
  }
  if (is_name_byte(c) && name_.size() < kMaxNameBytes) {
    name_ += c;
    return attempt(c);
  }
  if (c != '(' || name_.empty()) return refuse(c);
  attempt(c);
  any_ = false;
  at_ = At::arguments;
}

void PythonicParser::step_argument(char c) {
  if (is_space(c) && at_ != At::star) {
    if (at_ == At::keyword) at_ = At::equals;
    return attempt(c);
  }
  switch (at_) {
    case At::arguments:
      if (c == ')') break;
      if (c == '*' && !any_) {
        at_ = At::star;
        return attempt(c);
      }
      keyword_.clear();
      at_ = At::keyword;
      [[fallthrough]];
    case At::keyword:
      if (is_keyword(c) && keyword_.size() < kMaxKeyword) {
        keyword_ += c;
        return attempt(c);
      }
      [[fallthrough]];
    case At::equals:
      if (c != '=' || keyword_.empty()) return refuse(c);
      attempt(c);
      return begin_value();
    case At::comma:
      if (c == ')') break;
      if (c != ',') return refuse(c);
      attempt(c);
      at_ = At::arguments;
      return;
    case At::star:
      if (c != '*') return refuse(c);
      attempt(c);
      at_ = At::brace;
      return;
    case At::brace:
      if (c != '{') return refuse(c);
      scanner_ = {};
      any_ = true;
      at_ = At::object;
      return step_value(c);
    default:  // closing
      if (c != ')') return refuse(c);
      attempt(c);
      call_done();
      at_ = At::separator;
      return;
  }
  attempt(c);
  call(name_, any_ ? "}" : "{}");
  call_done();
  at_ = At::separator;
}

void PythonicParser::begin_value() {
  call(name_, (any_ ? ", \"" : "{\"") + keyword_ + "\": ");
  any_ = true;
  literal_ = {};
  at_ = At::value;
}

void PythonicParser::step_value(char c) {
  if (at_ == At::object) {
    const auto s = scanner_.push(c);
    if (s == JsonScanner::Step::bad) return refuse(c);
    attempt(c);
    call(name_, {&c, 1});
    if (s == JsonScanner::Step::done) at_ = At::closing;
    return;
  }
  const auto s = literal_.push(c);
  if (s == PythonLiteral::Step::bad) return refuse(c);
  if (s != PythonLiteral::Step::before) attempt(c);
  if (const std::string json = literal_.take(); !json.empty()) call(name_, json);
  if (s == PythonLiteral::Step::more) return;
  at_ = At::comma;
  if (s == PythonLiteral::Step::before) step_argument(c);
}

void PythonicParser::step_end(char c) {
  if (at_ == At::end && is_space(c)) return attempt(c);
  if (c != kEnd[tag_.size()]) return refuse(c);
  tag_ += c;
  attempt(c);
  at_ = At::end_tag;
  if (tag_ != kEnd) return;
  drop();
  at_ = At::text;
}

void PythonicParser::stop() { give_up(); }

}  // namespace sluice::text::output
