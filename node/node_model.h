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

/// Loads the model, maps KV blocks (engine/kv_sizing.h says how many; they take memory as they are used) and times one
/// chunk and one step, so that the first placement does not guess. Logs progress, and a warning when a whole context
/// does not fit: then the node states the shorter one. max_seqs: sequences that the node holds at once; 0: not bounded.
/// invalid_argument when --kv-memory-mib holds no block, resource_exhausted when too little memory is there.
[[nodiscard]] Result<NodeModel> load_node_model(const NodeOptions& o, std::uint32_t max_seqs = 0);

}  // namespace sluice::node
