#pragma once
// The page's files, which are part of the program.
#include <span>
#include <string_view>

namespace sluice::coordinator {

struct UiFile {
  std::string_view name;  // "app.js"
  std::string_view text;
};

/// In order of their names.
[[nodiscard]] std::span<const UiFile> ui_files();

}  // namespace sluice::coordinator
