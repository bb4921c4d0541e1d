#pragma once
// Calls as a Python list, from the text's start on: [f(a=1, b="x"), g()], as Llama 3.2 and 4 write them; perhaps within
// <|python_start|> and <|python_end|>. Arguments are literals by keyword, or one JSON object: f(**{"a": 1}).
// Pure logic; one thread at a time.
#include <string>

#include "text/output/call_parser.h"
#include "text/output/python_literal.h"
#include "text/output/tag_search.h"

namespace sluice::text::output {

class PythonicParser final : public CallParser {
 public:
  explicit PythonicParser(bool eager) : CallParser(eager) {}

 private:
  enum class At : std::uint8_t {
    begin,
    tag,
    list,
    text,  // around the list
    call,
    next,
    name,
    separator,  // within it
    arguments,
    keyword,
    equals,
    value,
    comma,  // within a call
    star,
    brace,
    object,
    closing,  // f(**{...})
    end,
    end_tag,
  };
  void step(char c) override;
  void stop() override;
  void step_outside(char c);
  void step_call(char c);
  void step_argument(char c);
  void step_value(char c);
  void step_end(char c);
  void refuse(char c);
  void begin_value();

  At at_ = At::begin;
  std::string name_, keyword_;
  bool any_ = false;  // an argument was read
  PythonLiteral literal_;
  JsonScanner scanner_;
  std::string tag_;  // as much of it as was read
};

}  // namespace sluice::text::output
