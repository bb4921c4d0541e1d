#pragma once
// Text files of load: line by line, and parts of them in an error's words. Pure.
#include <string>
#include <string_view>

#include "common/utf8.h"

namespace sluice::ctl::load {

/// Walks over the lines of a text, without their ends; empty ones are passed over.
class Lines {
 public:
  explicit Lines(std::string_view text) : rest_(text) {}
  /// False at the end.
  bool next(std::string_view& line) {
    while (!rest_.empty()) {
      const auto end = rest_.find('\n');
      line = rest_.substr(0, end);
      rest_ = end == std::string_view::npos ? std::string_view() : rest_.substr(end + 1);
      ++number_;
      if (line.ends_with('\r')) line.remove_suffix(1);
      if (!line.empty()) return true;
    }
    return false;
  }
  [[nodiscard]] std::size_t number() const { return number_; }  // from 1

 private:
  std::string_view rest_;
  std::size_t number_ = 0;
};

/// The beginning of a foreign text for an error: whole characters, none that steers a terminal.
inline std::string shown(std::string_view text, std::size_t bytes = 80) {
  std::string out = utf8_lossy(clip_utf8(text, bytes));
  for (char& c : out)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return out;
}

}  // namespace sluice::ctl::load
