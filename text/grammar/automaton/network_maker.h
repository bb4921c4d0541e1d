#pragma once
// A grammar's network, within bounds. Failure: invalid_argument that names the bound.
#include "common/result.h"
#include "text/grammar/automaton/network.h"
#include "text/grammar/grammar.h"

namespace sluice::text::grammar {

[[nodiscard]] Result<Network> make_network(const Grammar& grammar, const GrammarLimits& limits);
/// The same failures, at less cost.
[[nodiscard]] Result<> check_network(const Grammar& grammar, const GrammarLimits& limits);

}  // namespace sluice::text::grammar
