#pragma once
// Internal to the HTTP server: the Date field of answers (RFC 9110, section 6.6.1), written anew once a second.
// Threading: one of these per server, on its thread.
#include <ctime>
#include <string>
#include <string_view>

namespace sluice::coordinator {

class HttpDate {
 public:
  /// "Sun, 06 Nov 1994 08:49:37 GMT"; valid until the next call.
  [[nodiscard]] std::string_view at(std::time_t now);
  [[nodiscard]] std::string_view now() { return at(std::time(nullptr)); }

 private:
  std::time_t second_ = -1;
  std::string text_;
};

}  // namespace sluice::coordinator
