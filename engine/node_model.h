#pragma once
// A model and its KV memory as a daemon loads them, and how it introduces them to the control plane.
// Threading: start-up; the parts keep their own rules.
#include <memory>
#include <string>

#include "common/control/messages.h"
#include "common/control/node_options.h"
#include "engine/kv_pool.h"
#include "engine/model.h"
#include "engine/policy/scheduler.h"

namespace sluice::engine {

struct NodeModel {
  std::unique_ptr<Model> model;
  std::unique_ptr<KvPool> pool;
  control::ModelIdentity identity;  // codec_hash is left to the caller, who knows the codecs
  std::uint64_t hash_prefix = 0;    // first 64 bits of the model's digest, as tickets carry it
  PlanLimits limits;
};

/// Loads the model and maps --kv-memory-mib of blocks. Logs progress. invalid_argument when the memory holds no block.
[[nodiscard]] Result<NodeModel> load_node_model(const control::NodeOptions& o);

}  // namespace sluice::engine
