#pragma once
// The engine's KV pool, said in KV transfer's words: the two rooms never see each other. Pure.
#include "engine/kv_pool.h"
#include "kvtransfer/kv_layout.h"

namespace sluice::node {

[[nodiscard]] inline kv::KvLayout layout_of(const engine::KvPoolShape& s) {
  return {s.layers, s.kv_heads, s.head_dim, s.dtype == engine::DType::f32 ? kv::KvDType::f32 : kv::KvDType::bf16};
}

}  // namespace sluice::node
