#pragma once
// Result<T>: a value or an Error that says what went wrong and what to do about it.
// Exceptions are for start-up and configuration only; every data path returns Result.
#include <fmt/format.h>

#include <expected>
#include <stdexcept>
#include <string>
#include <utility>

#include "common/errc.h"

namespace sluice {

struct Error {
  Errc code = Errc::internal;
  std::string message;  // in words a user can act on
  std::string param;    // the request or config field at fault, if one is; empty otherwise
};

template <class T = void>
using Result = std::expected<T, Error>;

/// fail(Errc::not_found, "model '{}' is not served here", name) -> an error for any Result<T>.
template <class... A>
[[nodiscard]] std::unexpected<Error> fail(Errc code, fmt::format_string<A...> f, A&&... args) {
  return std::unexpected(Error{code, fmt::format(f, std::forward<A>(args)...), {}});
}

/// As fail(), naming the field at fault (`param` of the OpenAI error shape).
template <class... A>
[[nodiscard]] std::unexpected<Error> fail_param(std::string param, fmt::format_string<A...> f, A&&... args) {
  return std::unexpected(Error{Errc::invalid_argument, fmt::format(f, std::forward<A>(args)...), std::move(param)});
}

/// The value, or std::runtime_error with the error's words: start-up only, where run_main() prints them.
template <class T>
[[nodiscard]] T or_throw(Result<T> r) {
  if (!r) throw std::runtime_error(r.error().message);
  return std::move(*r);
}

}  // namespace sluice

#define SLUICE_CONCAT_(a, b) a##b
#define SLUICE_CONCAT(a, b) SLUICE_CONCAT_(a, b)

/// SLUICE_TRY(expr): return the error of a Result<> expression to the caller.
#define SLUICE_TRY(expr)                                                                           \
  do {                                                                                             \
    if (auto sluice_r_ = (expr); !sluice_r_) return std::unexpected(std::move(sluice_r_).error()); \
  } while (0)

/// SLUICE_ASSIGN(auto x, expr): bind the value of a Result<T> expression or return its error.
#define SLUICE_ASSIGN(decl, expr) SLUICE_ASSIGN_(SLUICE_CONCAT(sluice_v_, __LINE__), decl, expr)
#define SLUICE_ASSIGN_(tmp, decl, expr)                     \
  auto tmp = (expr);                                        \
  if (!tmp) return std::unexpected(std::move(tmp).error()); \
  decl = std::move(*tmp)
