#include "coordinator/api/whole_answer.h"

namespace sluice::coordinator {
namespace {

/// Log-probabilities of these tokens, and of their alternatives.
template <class Token>
std::size_t entries(const std::vector<Token>& tokens) {
  return tokens.empty() ? 0 : tokens.size() * (tokens.back().top.size() + 1);
}

}  // namespace

std::size_t WholeAnswer::bytes() const {
  constexpr std::size_t kEntry = 100;  // of a token or an alternative, with its name and bytes
  constexpr std::size_t kId = 7;
  std::size_t n = 0;
  for (const auto& c : choices) {
    n += c.echo.size() + c.output.bytes() + entries(c.tokens) * kEntry;
    if (!c.ids.empty()) n += (c.ids.size() + c.prompt->size()) * kId;
    if (c.rated) n += entries(c.rated->tokens) * kEntry;
  }
  return n;
}

}  // namespace sluice::coordinator
