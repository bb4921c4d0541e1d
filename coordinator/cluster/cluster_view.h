#pragma once
// What the coordinator knows of its nodes: identity, lease, measured rates, and its own account of assigned work.
//
// Work that this coordinator hands out is accounted here, not read from heartbeats, which are always a little old.
// Heartbeats bring measured speeds, and what other coordinators' legs hold on a node: that is added to our own account.
// Pure state with the time given; not thread-safe.
#include <map>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/control/messages.h"
#include "coordinator/policy/prefix_index.h"
#include "coordinator/policy/room.h"

namespace sluice::coordinator {

/// What decides a node's bits. Nodes that agree in it compute the same values, so that one can continue the other's
/// answer token for token. Nodes of older versions do not say all of it, and agree where they say the same.
struct NodeBits {
  std::string backend, precision;
  std::uint32_t chunk_tokens = 0;  // prefill: the longest run of a prompt computed, and so encoded, at once
  std::uint32_t frame_kib = 0;     // prefill: what is encoded at once, at most
  std::string version;             // of the program
  friend bool operator==(const NodeBits&, const NodeBits&) = default;
};
[[nodiscard]] NodeBits bits_of(const control::RegisterRequest& info);
/// The settings in which b differs from a, named by their flags; empty when the nodes agree.
[[nodiscard]] std::string difference(const NodeBits& a, const NodeBits& b);

struct NodeRecord {
  control::RegisterRequest info;
  control::Heartbeat last;
  bool told = false;  // `last` is of a heartbeat
  TimePoint seen{};
  bool draining = false;
  // This coordinator's account.
  std::uint64_t queued_tokens = 0;    // of prompts: assigned, not yet computed
  std::uint32_t reserved_blocks = 0;  // decode
  std::uint32_t seqs = 0;             // decode
  std::uint64_t requests = 0;         // ever assigned
  // What is expected of its memory, where its sequences grow; others' legs are a part of it.
  MemoryForecast memory;
  MemoryPart others_part;
  std::uint32_t others_counted = 0;
  bool full = false;                 // it had no room for one that it should have had room for; until it speaks again
  std::vector<ProfileSpeed> speeds;  // by profile index
  std::size_t index = 0;             // in the snapshot's nodes of its role
  /// It takes requests: it neither drains nor says that its engine stands still.
  [[nodiscard]] bool usable() const noexcept { return !draining && !last.stalled; }
};

/// The last time a node of this name was refused.
struct RefusedNode {
  std::string why;
  TimePoint when{};
};

class ClusterView {
 public:
  explicit ClusterView(Duration lease) : lease_(lease) {}

  /// Admits a node, or refuses one that cannot work with the others (invalid_argument) or whose name is taken by a live
  /// node (already_exists). A new incarnation of a known name replaces the old one.
  [[nodiscard]] Result<> add(control::RegisterRequest info, TimePoint now);
  void heartbeat(const NodeId& node, control::Heartbeat h, TimePoint now);
  void remove(const NodeId& node);
  /// For whoever looks for a node that is not here. The oldest of many are forgotten, and those of a node that joined.
  void refused(const NodeId& node, const std::string& why, TimePoint now);
  [[nodiscard]] const std::map<NodeId, RefusedNode>& refusals() const noexcept { return refusals_; }
  [[nodiscard]] bool set_draining(const NodeId& node, bool draining);
  /// Nodes whose lease ran out; the caller removes them.
  [[nodiscard]] std::vector<NodeId> expired(TimePoint now) const;

  /// Accounts for a placed request and for its end.
  /// local_tokens: of the prompt, that the decode node computes in chunks.
  void assign(const NodeId& prefill, std::uint64_t tokens, const NodeId& decode, const DecodePlace& place,
              std::uint64_t local_tokens = 0);
  void prefill_finished(const NodeId& prefill, std::uint64_t tokens);
  void local_finished(const NodeId& decode, std::uint64_t tokens);
  void release(const NodeId& decode, const DecodePlace& place);
  /// A leg's place on a node whose sequences grow is another one now.
  void grow(const NodeId& decode, const DecodePlace& before, const DecodePlace& after);
  /// Legs of other coordinators on such a node: so many, each with this part.
  void expect_others(const NodeId& decode, std::uint32_t seqs, const MemoryPart& each);
  /// It refused a leg for want of room. One whose sequences grow gets nobody new until its next heartbeat.
  void was_full(const NodeId& decode);

  /// What quality budgets are compared with from now on.
  void set_kl(std::string_view profile, double kl);

  /// Kept up to date by every call above; built anew only when a node came or went.
  [[nodiscard]] const ClusterSnapshot& snapshot();
  /// As snapshot(), with only those nodes usable that continue what nodes with these bits began. With lossless KV it
  /// does not matter where the prefill node cuts. bound: as in snapshot_bound().
  [[nodiscard]] const ClusterSnapshot& snapshot_like(const NodeBits& prefill, const NodeBits& decode, bool lossless,
                                                     bool bound = false);
  /// As snapshot(), with only those decode nodes usable that keep answers to a grammar.
  [[nodiscard]] const ClusterSnapshot& snapshot_bound();
  /// There are decode nodes, and none of them keeps answers to a grammar.
  [[nodiscard]] bool without_grammars() const;
  /// A node of the same role whose answers `node` cannot continue, if there is one.
  [[nodiscard]] const NodeRecord* unlike(const NodeRecord& node) const;
  [[nodiscard]] const NodeRecord* find(const NodeId& node) const;
  [[nodiscard]] const std::map<NodeId, NodeRecord>& nodes() const noexcept { return nodes_; }
  /// Times that sequences were parked on nodes while this coordinator heard of it.
  [[nodiscard]] std::uint64_t preemptions() const noexcept { return preemptions_; }
  /// What nodes keep of prompts, as they told last.
  [[nodiscard]] const PrefixIndex& prefixes() const noexcept { return prefixes_; }
  [[nodiscard]] const std::vector<ProfileEntry>& profiles() const noexcept { return profiles_; }
  [[nodiscard]] const control::ModelIdentity* model() const noexcept { return nodes_.empty() ? nullptr : &model_; }

 private:
  [[nodiscard]] Result<> check_model(const control::RegisterRequest& info) const;
  void learn_prefixes(const NodeId& node, const control::PrefixReport& r);
  void update_speeds(NodeRecord& n, const std::vector<control::ProfileInfo>& seen) const;

  Duration lease_;
  std::map<NodeId, NodeRecord> nodes_;
  std::map<NodeId, RefusedNode> refusals_;
  control::ModelIdentity model_;  // pinned by the first node while any is here
  std::vector<ProfileEntry> profiles_;
  void rebuild();
  void keep_bound(ClusterSnapshot& s) const;
  void sync_load(const NodeRecord& n);
  void sync_speeds(const NodeRecord& n);
  std::uint64_t preemptions_ = 0;
  PrefixIndex prefixes_;
  ClusterSnapshot snapshot_, like_;
  bool stale_ = true;
};

}  // namespace sluice::coordinator
