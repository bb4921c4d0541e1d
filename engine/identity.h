#pragma once
// How a loaded model introduces itself to the control plane. Pure.
#include <string>

#include "common/control/messages.h"
#include "engine/kv_pool.h"
#include "engine/model.h"

namespace sluice::engine {

/// codec_hash is left to the caller, who knows the codecs.
[[nodiscard]] inline control::ModelIdentity identity_of(const Model& m, const std::string& name, DType kv_dtype) {
  const ModelConfig& c = m.config();
  control::ModelIdentity id;
  id.name = name;
  id.hash = m.hash();
  id.layers = c.layers;
  id.kv_heads = c.kv_heads;
  id.head_dim = c.head_dim;
  id.kv_dtype = kv_dtype == DType::f32 ? "f32" : "bf16";
  id.vocab_size = c.vocab_size;
  id.max_context = c.max_position;
  id.backend = m.backend();
  return id;
}

/// The first 64 bits of a model's hex digest, as tickets carry it.
[[nodiscard]] inline std::uint64_t hash_prefix(const std::string& hex) {
  std::uint64_t v = 0;
  for (std::size_t i = 0; i < hex.size() && i < 16; ++i) {
    const char c = hex[i];
    v = v << 4U | static_cast<std::uint64_t>(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
  }
  return v;
}

}  // namespace sluice::engine
