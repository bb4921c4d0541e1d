#include "coordinator/api/call_id.h"

#include <random>
#include <string_view>

namespace sluice::coordinator {

std::string new_call_id(text::output::ToolFormat format) {
  constexpr std::string_view kSigns = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  thread_local std::mt19937_64 rng{std::random_device{}()};
  std::uniform_int_distribution<std::size_t> any(0, kSigns.size() - 1);
  const bool mistral = format == text::output::ToolFormat::mistral || format == text::output::ToolFormat::mistral_args;
  std::string id = mistral ? "" : "call_";
  for (int i = mistral ? 9 : 24; i > 0; --i) id += kSigns[any(rng)];
  return id;
}

}  // namespace sluice::coordinator
