#pragma once
// A model and its KV memory as a daemon loads them, and how it introduces them to the control plane.
// Threading: start-up; the parts keep their own rules.
#include <memory>
#include <string>

#include "common/control/messages.h"
#include "engine/kv_pool.h"
#include "engine/model/model.h"
#include "engine/policy/scheduler.h"
#include "node/node_options.h"

namespace sluice::node {

struct NodeModel {
  std::unique_ptr<engine::Model> model;
  std::unique_ptr<engine::KvPool> pool;
  control::ModelIdentity identity;  // codec_hash is left to the caller, who knows the codecs
  std::uint64_t hash_prefix = 0;    // first 64 bits of the model's digest, as tickets carry it
  engine::PlanLimits limits;
  double prefill_tokens_per_s = 0;  // measured at start, one warm chunk
  double step_s = 0;                // one decode step at batch 1, short context
};

/// Loads the model, maps --kv-memory-mib of blocks and times one chunk and one step, so that the first placement does
/// not guess. Logs progress. invalid_argument when the memory holds no block.
[[nodiscard]] Result<NodeModel> load_node_model(const NodeOptions& o);

}  // namespace sluice::node
