#pragma once
// A process as tickets and hellos name it: who it is, and what KV it can share. Values.
#include <cstdint>

#include "common/ids.h"
#include "kvtransfer/kv_layout.h"

namespace sluice::node {

struct KvIdentity {
  NodeId node;
  Incarnation incarnation;
  std::uint64_t model_hash = 0;  // first 64 bits of the model's digest
  kv::KvLayout layout;
};

}  // namespace sluice::node
