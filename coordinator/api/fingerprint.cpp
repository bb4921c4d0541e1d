#include "coordinator/api/fingerprint.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>

namespace sluice::coordinator {

std::string fingerprint_of(std::string_view what) {
  return fmt::format("fp_{:016x}", XXH64(what.data(), what.size(), 0));
}

std::string fingerprint_of(std::span<const std::string> choices) {
  if (choices.empty() || std::ranges::all_of(choices, [&](const auto& c) { return c == choices.front(); }))
    return choices.empty() ? std::string() : choices.front();
  std::string all;
  for (const auto& c : choices) all += c + '\n';
  return fingerprint_of(std::string_view(all));
}

}  // namespace sluice::coordinator
