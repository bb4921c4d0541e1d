#include "common/random_id.h"

#include <fmt/format.h>

#include <random>

namespace sluice {
namespace {

std::uint64_t random_u64() {
  std::random_device rd;
  return static_cast<std::uint64_t>(rd()) << 32 | rd();
}

}  // namespace

std::string random_name(const std::string& role) {
  return fmt::format("{}-{:08x}", role, static_cast<std::uint32_t>(random_u64()));
}

std::uint64_t random_incarnation() {
  const std::uint64_t v = random_u64();
  return v == 0 ? 1 : v;
}

}  // namespace sluice
