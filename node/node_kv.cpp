#include "node/node_kv.h"

#include "kvtransfer/codec/library.h"
#include "kvtransfer/wire/handshake.h"
#include "node/kv/pool_layout.h"

namespace sluice::node {

Result<NodeKv> NodeKv::load(const NodeOptions& o, const NodeModel& m) {
  NodeKv k;
  SLUICE_ASSIGN(k.codecs_, kv::load_library(o.model_dir, o.kv_profiles, m.identity.hash));
  const engine::KvPoolShape& shape = m.pool->shape();
  k.layout_ = layout_of(shape);
  k.block_size_ = shape.block_size;
  k.total_blocks_ = shape.num_blocks;
  k.model_ = m.identity;
  k.model_.codec_hash = k.codecs_->format_hash();
  k.model_hash_ = m.hash_prefix;
  k.speeds_ = kv::measure_speeds(*k.codecs_, k.layout_);
  return k;
}

std::vector<std::byte> NodeKv::hello(const NodeId& node, Incarnation incarnation) const {
  return kv::write_hello({node, incarnation, model_hash_, layout_, codecs_->format_hash()});
}

control::RegisterRequest NodeKv::introduction(control::Role role) const {
  control::RegisterRequest r;
  r.model = model_;
  r.block_size = block_size_;
  r.total_blocks = total_blocks_;
  for (const auto& s : speeds_) {
    control::ProfileInfo p{.name = s.profile, .stated_kl = s.stated_kl, .ratio = s.ratio};
    (role == control::Role::prefill ? p.encode_bps : p.decode_bps) =
        role == control::Role::prefill ? s.encode_bps : s.decode_bps;
    r.profiles.push_back(std::move(p));
  }
  return r;
}

}  // namespace sluice::node
