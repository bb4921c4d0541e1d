#pragma once
// Columns of text for a terminal. Pure; widths count characters, not bytes.
#include <string>
#include <string_view>
#include <vector>

namespace sluice::ctl {

class Table {
 public:
  /// A heading that begins with '>' makes its column flush right (numbers).
  explicit Table(std::vector<std::string> headings);
  /// Missing cells are empty; cells past the headings are ignored.
  void row(std::vector<std::string> cells);
  [[nodiscard]] bool empty() const { return rows_.empty(); }
  [[nodiscard]] std::string text() const;

 private:
  std::vector<std::string> headings_;
  std::vector<bool> right_;
  std::vector<std::vector<std::string>> rows_;
};

/// Terminal columns of UTF-8 text, taking each character for one.
[[nodiscard]] std::size_t columns(std::string_view utf8);
/// Control characters become '?': a name must not steer the terminal.
[[nodiscard]] std::string printable(std::string_view s);

/// "1.5 KiB", "12 MiB"
[[nodiscard]] std::string bytes_text(double bytes);
/// "0.17 ms", "12.3 ms", "12.5 s"
[[nodiscard]] std::string millis_text(double ms);

}  // namespace sluice::ctl
