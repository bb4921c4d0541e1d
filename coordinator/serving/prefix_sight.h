#pragma once
// What a leg's prompt is called by prefill nodes, and what they have of it: for the decision where it is computed.
//
// Names are made only as far as any node knows them, so that a prompt that nobody has costs one. A node's root depends
// on what decides its bits: nodes that compute otherwise share nothing.
// Threading: the coordinator's io_context thread.
#include "common/prefix/namer.h"
#include "coordinator/serving/session.h"

namespace sluice::coordinator {

class PrefixSight {
 public:
  /// key: what prompts are named with.
  explicit PrefixSight(const prefix::PrefixKey& key) : namer_(key) {}

  /// Who may share KV that this node computes for the leg.
  [[nodiscard]] prefix::PrefixName root(const Session& s, const control::ModelIdentity& m) const;
  /// Positions of the prompt that each prefill node of the snapshot has, as it told last.
  void look(const Session& s, const ClusterView& view, const ClusterSnapshot& c, PrefixHits& out) const;

 private:
  prefix::PrefixNamer namer_;
};

}  // namespace sluice::coordinator
