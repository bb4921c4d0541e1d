#include "coordinator/api/leg_values.h"

namespace sluice::coordinator {
namespace {

template <class Token>
std::size_t bytes_of_all(const std::vector<Token>& tokens) {
  std::size_t bytes = tokens.size() * sizeof(Token);
  for (const auto& t : tokens) bytes += t.top.size() * sizeof(TokenLogprob);
  return bytes;
}

}  // namespace

std::size_t bytes_of(const LegEvent& event) {
  std::size_t bytes = sizeof event;
  if (const auto* one = std::get_if<TokenEvent>(&event.what)) bytes += one->top.size() * sizeof(TokenLogprob);
  if (const auto* some = std::get_if<std::vector<TokenEvent>>(&event.what)) bytes += bytes_of_all(*some);
  if (const auto* rated = std::get_if<LegRated>(&event.what)) bytes += bytes_of_all(rated->tokens);
  return bytes;
}

}  // namespace sluice::coordinator
