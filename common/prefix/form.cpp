#include "common/prefix/form.h"

#include <fmt/format.h>

namespace sluice::prefix {

std::string to_string(const PrefixForm& form) {
  if (form.exact()) return "exact";
  return fmt::format("{:x}-{:016x}-{}", form.codec(), form.canonical(), form.chunk());
}

}  // namespace sluice::prefix
