#pragma once

namespace sluice::text {

/// Lambdas as one visitor for std::visit.
template <class... F>
struct Overload : F... {
  using F::operator()...;
};

}  // namespace sluice::text
