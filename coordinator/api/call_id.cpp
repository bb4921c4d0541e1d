#include "coordinator/api/call_id.h"

#include <fmt/format.h>

#include <random>

namespace sluice::coordinator {

namespace {

/// Its templates check ids.
bool is_mistral(text::output::ToolFormat format) {
  return format == text::output::ToolFormat::mistral || format == text::output::ToolFormat::mistral_args;
}

}  // namespace

std::string new_call_id(text::output::ToolFormat format) {
  constexpr std::string_view kSigns = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  thread_local std::mt19937_64 rng{std::random_device{}()};
  std::uniform_int_distribution<std::size_t> any(0, kSigns.size() - 1);
  const bool mistral = is_mistral(format);
  std::string id = mistral ? "" : "call_";
  for (int i = mistral ? 9 : 24; i > 0; --i) id += kSigns[any(rng)];
  return id;
}

std::string call_id_of(text::output::ToolFormat format, std::string_view prefix, std::string_view answer,
                       std::size_t index) {
  if (is_mistral(format)) return new_call_id(format);
  return fmt::format("{}_{}_{}", prefix, answer, index);
}

}  // namespace sluice::coordinator
