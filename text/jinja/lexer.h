#pragma once
// Template text to tokens, with Jinja's whitespace rules as transformers sets them: trim_blocks and lstrip_blocks
// on, one trailing newline of the source dropped. Throws Fault on text that is no template.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/budget.h"

namespace sluice::text::jinja {

enum class TokenKind : std::uint8_t {
  data,            // text to copy
  block_begin,     // {%
  block_end,       // %}
  variable_begin,  // {{
  variable_end,    // }}
  name,
  string,   // decoded
  integer,  // digits as written, without underscores
  real,
  op,
  end,
};

struct Token {
  TokenKind kind = TokenKind::end;
  std::string text;
  std::uint32_t line = 1;

  [[nodiscard]] bool is(TokenKind k, std::string_view t) const { return kind == k && text == t; }
  [[nodiscard]] bool op(std::string_view t) const { return is(TokenKind::op, t); }
  [[nodiscard]] bool name(std::string_view t) const { return is(TokenKind::name, t); }
};

[[nodiscard]] std::vector<Token> tokenize(std::string_view source);

}  // namespace sluice::text::jinja
