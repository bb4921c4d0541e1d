#pragma once
// What a daemon knows of its KV before it has a peer: the layout, the codecs, how fast they are on this machine. With
// these it introduces itself, to the coordinator and to other nodes.
// Threading: start-up; constant afterwards.
#include <memory>
#include <vector>

#include "common/control/messages.h"
#include "kvtransfer/codec/codec.h"
#include "kvtransfer/codec/profile_speed.h"
#include "node/kv/kv_identity.h"
#include "node/node_model.h"

namespace sluice::node {

class NodeKv {
 public:
  /// Loads the model's profiles and times them, a few milliseconds. Fails as kv::load_library does.
  [[nodiscard]] static Result<NodeKv> load(const NodeOptions& o, const NodeModel& m);

  [[nodiscard]] const kv::KvLayout& layout() const noexcept { return layout_; }
  [[nodiscard]] const kv::CodecRegistry& codecs() const noexcept { return *codecs_; }
  [[nodiscard]] KvIdentity identity(const NodeId& node, Incarnation incarnation) const {
    return {node, incarnation, model_hash_, layout_};
  }
  /// What goes first on a connection to another node.
  [[nodiscard]] std::vector<std::byte> hello(const NodeId& node, Incarnation incarnation) const;
  /// What every node tells the coordinator of itself: model, blocks, and profiles with the speed that its role has need
  /// of.
  [[nodiscard]] control::RegisterRequest introduction(control::Role role) const;

 private:
  NodeKv() = default;

  control::ModelIdentity model_;
  std::uint64_t model_hash_ = 0;
  std::uint32_t block_size_ = 0, total_blocks_ = 0;
  kv::KvLayout layout_;
  std::unique_ptr<kv::CodecRegistry> codecs_;
  std::vector<kv::ProfileSpeedFigure> speeds_;
};

}  // namespace sluice::node
