// libFuzzer: what a model directory may hold. First byte: which parser; the rest: its input. Run with
//   build-fuzz/bin/fuzz_engine_files -max_len=4096 CORPUS_DIR
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "engine/model/model_config.h"
#include "engine/model/safetensors.h"

using namespace sluice::engine;

namespace {

void fuzz_safetensors(std::span<const std::byte> file) {
  const auto tensors = parse_safetensors(file);
  if (!tensors) return;
  std::uint64_t sum = 0;  // touch every byte the parser vouches for
  for (const auto& [name, t] : *tensors)
    for (const std::byte b : t.data) sum += static_cast<std::uint64_t>(b);
  volatile std::uint64_t sink = sum;
  (void)sink;
}

void fuzz_config(const std::string& text) {
  const auto split = text.find('\0');
  const auto config =
      parse_model_config(text.substr(0, split), split == std::string::npos ? "" : text.substr(split + 1));
  if (!config) return;
  const bool sound = config->head_dim % 2 == 0 && config->heads % config->kv_heads == 0 &&
                     config->window.size() == config->layers && config->inv_freq.size() == config->head_dim / 2 &&
                     config->parameters() > 0 && !config->canonical().empty() &&
                     std::isfinite(config->rope.attention_factor) && config->rope.attention_factor > 0 &&
                     std::ranges::all_of(config->inv_freq, [](float f) { return std::isfinite(f); });
  if (!sound) __builtin_trap();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::span<const std::uint8_t> input(data + 1, size - 1);
  if (data[0] % 2 == 0)
    fuzz_safetensors(std::as_bytes(input));
  else
    fuzz_config(std::string(input.begin(), input.end()));
  return 0;
}
