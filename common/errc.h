#pragma once
// The error codes of the house. One set for every room, because each code has exactly one meaning at the
// outer edges (an HTTP status, a retry decision, a metric label) wherever it was raised.
#include <string_view>

namespace sluice {

enum class Errc {
  invalid_argument,    // the caller's input is wrong; retrying the same input cannot help
  not_found,           // a named thing does not exist (model, node, profile, request)
  already_exists,      // a name or single-use token was taken before (replayed ticket, double registration)
  unsupported,         // well-formed, but this build or model cannot do it
  resource_exhausted,  // no room now (blocks, queue, memory); retrying later can help
  deadline_exceeded,   // the request's deadline passed
  cancelled,           // the caller went away or asked to stop
  unavailable,         // a peer or node cannot be reached or is draining
  data_corrupt,        // bytes failed a check: digest, length, shape, magic
  stale,               // an incarnation, ticket or version that was superseded
  permission_denied,   // authentication or authorisation failed
  internal,            // a broken invariant of ours
};

/// Stable lower-case name of a code, used in logs, metric labels and error bodies.
[[nodiscard]] constexpr std::string_view name(Errc c) noexcept {
  switch (c) {
    case Errc::invalid_argument:
      return "invalid_argument";
    case Errc::not_found:
      return "not_found";
    case Errc::already_exists:
      return "already_exists";
    case Errc::unsupported:
      return "unsupported";
    case Errc::resource_exhausted:
      return "resource_exhausted";
    case Errc::deadline_exceeded:
      return "deadline_exceeded";
    case Errc::cancelled:
      return "cancelled";
    case Errc::unavailable:
      return "unavailable";
    case Errc::data_corrupt:
      return "data_corrupt";
    case Errc::stale:
      return "stale";
    case Errc::permission_denied:
      return "permission_denied";
    case Errc::internal:
      return "internal";
  }
  return "internal";
}

/// Inverse of name(); an unknown name (a newer peer's code) reads as internal.
[[nodiscard]] constexpr Errc errc_from_name(std::string_view n) noexcept {
  for (int i = 0; i <= static_cast<int>(Errc::internal); ++i)
    if (name(static_cast<Errc>(i)) == n) return static_cast<Errc>(i);
  return Errc::internal;
}

}  // namespace sluice
