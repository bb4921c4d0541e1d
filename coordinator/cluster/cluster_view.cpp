#include "coordinator/cluster/cluster_view.h"

#include <algorithm>
#include <utility>

#include "common/log.h"
#include "common/utf8.h"

namespace sluice::coordinator {

using control::RegisterRequest;
using control::Role;

NodeBits bits_of(const RegisterRequest& info) {
  // A chunk longer than the pass is cut where the pass ends.
  return {info.model.backend, info.model.precision, std::min(info.prefill_chunk, info.max_batch_tokens), info.frame_kib,
          info.model.version};
}

std::string difference(const NodeBits& a, const NodeBits& b) {
  std::string out;
  auto add = [&](std::string_view flag, const auto& x, const auto& y) {
    if (x == y) return;
    if (!out.empty()) out += ", ";
    out += fmt::format("{} {} against {}", flag, x, y);
  };
  add("--isa (backend)", a.backend, b.backend);
  add("--precision", a.precision, b.precision);
  add("--prefill-chunk or --max-batch-tokens", a.chunk_tokens, b.chunk_tokens);
  add("--frame-kib", a.frame_kib, b.frame_kib);
  add("Sluice version", a.version, b.version);
  return out;
}

Result<> ClusterView::check_model(const RegisterRequest& info) const {
  const control::ModelIdentity& m = info.model;
  if (m.hash != model_.hash)
    return fail(Errc::invalid_argument,
                "node '{}' serves model hash {}, this cluster serves {} ({}); start it with the same model directory",
                info.node, m.hash, model_.hash, model_.name);
  if (m.kv_dtype != model_.kv_dtype || m.layers != model_.layers || m.kv_heads != model_.kv_heads ||
      m.head_dim != model_.head_dim)
    return fail(Errc::invalid_argument, "node '{}' keeps KV as {}, this cluster as {}; use one --kv-dtype", info.node,
                m.kv_dtype, model_.kv_dtype);
  if (m.codec_hash != model_.codec_hash)
    return fail(Errc::invalid_argument,
                "node '{}' was built with other KV codec formats; run one Sluice version in a cluster", info.node);
  if (info.profiles.size() != profiles_.size() ||
      !std::ranges::equal(info.profiles, profiles_, {}, &control::ProfileInfo::name, &ProfileEntry::name))
    return fail(Errc::invalid_argument, "node '{}' offers other KV profiles than the cluster", info.node);
  return {};
}

Result<> ClusterView::add(RegisterRequest info, TimePoint now) {
  if (info.profiles.empty()) return fail_param("profiles", "node '{}' offers no KV profile", info.node);
  if (info.role == Role::decode &&
      (info.block_size == 0 || info.total_blocks == 0 || info.max_seqs == 0 || info.data_address.empty()))
    return fail(Errc::invalid_argument,
                "decode node '{}' must state data_address, block_size, total_blocks and max_seqs", info.node);
  if (const auto it = nodes_.find(info.node); it != nodes_.end()) {
    if (it->second.info.incarnation == info.incarnation && it->second.seen + lease_ > now)
      return fail(Errc::already_exists, "node '{}' is already registered", info.node);
    if (it->second.info.incarnation != info.incarnation && it->second.seen + lease_ > now)
      return fail(Errc::already_exists, "another live node is named '{}'; give each node its own --name", info.node);
    nodes_.erase(it);
    prefixes_.forget(info.node);
    stale_ = true;  // also if its successor is refused below
  }
  if (nodes_.empty()) {
    model_ = info.model;
    profiles_.clear();
    for (const auto& p : info.profiles) profiles_.push_back({p.name, p.stated_kl, p.stated_kl});
  } else {
    SLUICE_TRY(check_model(info));
  }
  NodeRecord n;
  n.seen = now;
  n.last.total_blocks = n.last.free_blocks = info.total_blocks;
  n.speeds.resize(profiles_.size());
  update_speeds(n, info.profiles);
  n.info = std::move(info);
  const NodeId id = n.info.node;
  refusals_.erase(id);
  nodes_.emplace(id, std::move(n));
  stale_ = true;
  return {};
}

void ClusterView::update_speeds(NodeRecord& n, const std::vector<control::ProfileInfo>& seen) const {
  for (const auto& p : seen) {
    const auto it = std::ranges::find(profiles_, p.name, &ProfileEntry::name);
    if (it == profiles_.end()) continue;
    ProfileSpeed& s = n.speeds[static_cast<std::size_t>(it - profiles_.begin())];
    if (p.encode_bps > 0) s.encode_bps = p.encode_bps;
    if (p.decode_bps > 0) s.decode_bps = p.decode_bps;
    if (p.ratio > 0) s.ratio = p.ratio;
  }
}

void ClusterView::heartbeat(const NodeId& node, control::Heartbeat h, TimePoint now) {
  const auto it = nodes_.find(node);
  if (it == nodes_.end()) return;
  update_speeds(it->second, h.profiles);
  it->second.draining |= h.draining;
  if (std::exchange(it->second.told, true) && h.preemptions > it->second.last.preemptions) {
    const std::uint64_t more = h.preemptions - it->second.last.preemptions;
    preemptions_ += more;
    it->second.memory.preempted(more);
  }
  it->second.full = false;
  if (h.prefixes) learn_prefixes(node, *std::exchange(h.prefixes, std::nullopt));
  it->second.last = std::move(h);
  it->second.seen = now;
  sync_load(it->second);
  sync_speeds(it->second);
}

/// Names that nobody could have made are nobody's: the node has nothing, until it begins anew.
void ClusterView::learn_prefixes(const NodeId& node, const control::PrefixReport& r) {
  const auto stored = prefix::names_from_hex(r.stored);
  const auto removed = prefix::names_from_hex(r.removed);
  if (r.anew || !stored || !removed) prefixes_.begin(node, nodes_.at(node).info.total_blocks);
  if (!stored || !removed) {
    log::warn("bad names of prefixes", {{"node", node}, {"why", (stored ? removed : stored).error().message}});
    return;
  }
  prefixes_.removed(node, *removed);
  prefixes_.stored(node, *stored);
}

void ClusterView::remove(const NodeId& node) {
  nodes_.erase(node);
  prefixes_.forget(node);
  stale_ = true;
}

void ClusterView::refused(const NodeId& node, const std::string& why, TimePoint now) {
  constexpr std::size_t kKept = 32, kMaxName = 256, kMaxWords = 1024;  // names are the peers' to choose
  const std::string& name = node.value();
  if (name.size() > kMaxName || utf8_valid_prefix(name) != name.size()) return;
  const std::string_view words = std::string_view(why).substr(0, kMaxWords);
  refusals_[node] = {std::string(words.substr(0, utf8_valid_prefix(words))), now};
  if (refusals_.size() <= kKept) return;
  refusals_.erase(std::ranges::min_element(refusals_, {}, [](const auto& r) { return r.second.when; }));
}

bool ClusterView::set_draining(const NodeId& node, bool draining) {
  const auto it = nodes_.find(node);
  if (it == nodes_.end()) return false;
  it->second.draining = draining;
  sync_load(it->second);
  return true;
}

std::vector<NodeId> ClusterView::expired(TimePoint now) const {
  std::vector<NodeId> out;
  for (const auto& [id, n] : nodes_)
    if (n.seen + lease_ <= now) out.push_back(id);
  return out;
}

void ClusterView::assign(const NodeId& prefill, std::uint64_t tokens, const NodeId& decode, const DecodePlace& place,
                         std::uint64_t local_tokens) {
  if (const auto p = nodes_.find(prefill); p != nodes_.end()) {
    p->second.queued_tokens += tokens;
    ++p->second.requests;
    sync_load(p->second);
  }
  if (const auto d = nodes_.find(decode); d != nodes_.end()) {
    d->second.reserved_blocks += place.blocks;
    if (place.grows_at > 0) d->second.memory.add(place.part);
    d->second.queued_tokens += local_tokens;
    ++d->second.seqs;
    ++d->second.requests;
    sync_load(d->second);
  }
}

void ClusterView::prefill_finished(const NodeId& prefill, std::uint64_t tokens) {
  const auto p = nodes_.find(prefill);
  if (p == nodes_.end()) return;
  p->second.queued_tokens -= std::min(tokens, p->second.queued_tokens);
  sync_load(p->second);
}

void ClusterView::local_finished(const NodeId& decode, std::uint64_t tokens) { prefill_finished(decode, tokens); }

void ClusterView::release(const NodeId& decode, const DecodePlace& place) {
  const auto d = nodes_.find(decode);
  if (d == nodes_.end()) return;
  d->second.reserved_blocks -= std::min(place.blocks, d->second.reserved_blocks);
  d->second.seqs -= std::min(1U, d->second.seqs);
  if (place.grows_at > 0) {
    d->second.memory.remove(place.part);
    d->second.memory.ended();
  }
  sync_load(d->second);
}

void ClusterView::grow(const NodeId& decode, const DecodePlace& before, const DecodePlace& after) {
  const auto d = nodes_.find(decode);
  if (d == nodes_.end()) return;
  d->second.reserved_blocks += after.blocks - std::min(before.blocks, d->second.reserved_blocks);
  d->second.memory.replace(before.part, after.part);
  sync_load(d->second);
}

void ClusterView::expect_others(const NodeId& decode, std::uint32_t seqs, const MemoryPart& each) {
  const auto d = nodes_.find(decode);
  if (d == nodes_.end()) return;
  NodeRecord& n = d->second;
  n.memory.add(each, seqs);
  n.memory.remove(n.others_part, n.others_counted);
  n.others_part = each;
  n.others_counted = seqs;
  sync_load(n);
}

void ClusterView::was_full(const NodeId& decode) {
  const auto d = nodes_.find(decode);
  if (d == nodes_.end()) return;
  d->second.full = true;
  sync_load(d->second);
}

void ClusterView::set_kl(std::string_view profile, double kl) {
  const auto it = std::ranges::find(profiles_, profile, &ProfileEntry::name);
  if (it == profiles_.end()) return;
  it->kl = kl;
  if (!stale_) snapshot_.profiles[static_cast<std::size_t>(it - profiles_.begin())].kl = kl;
}

const NodeRecord* ClusterView::find(const NodeId& node) const {
  const auto it = nodes_.find(node);
  return it == nodes_.end() ? nullptr : &it->second;
}

const ClusterSnapshot& ClusterView::snapshot() {
  if (stale_) rebuild();
  return snapshot_;
}

void ClusterView::rebuild() {
  ClusterSnapshot& s = snapshot_;
  s.profiles = profiles_;
  s.layers = std::max(model_.layers, 1U);
  const std::uint64_t width = model_.kv_dtype == "f32" ? 4 : 2;
  s.kv_bytes_per_token = 2ULL * model_.layers * model_.kv_heads * model_.head_dim * width;
  s.prefills.clear();
  s.decodes.clear();
  s.hosts.clear();
  ++s.topology;
  stale_ = false;
  const auto host = [&s](const control::RegisterRequest& info) {
    if (info.host.empty()) return kNoHost;
    const auto it = std::ranges::find(s.hosts, info.host, &HostView::name);
    const auto at = static_cast<std::uint32_t>(it - s.hosts.begin());
    if (it == s.hosts.end()) s.hosts.push_back({info.host, static_cast<double>(info.cores)});
    return at;
  };
  for (auto& [id, n] : nodes_) {
    if (n.info.role == Role::prefill) {
      n.index = s.prefills.size();
      s.prefills.push_back({.id = id,
                            .incarnation = n.info.incarnation,
                            .pass_tokens = n.info.max_batch_tokens,
                            .chunk_tokens = n.info.prefill_chunk,
                            .frame_kib = n.info.frame_kib,
                            .total_tokens = std::uint64_t{n.info.total_blocks} * n.info.block_size,
                            .host = host(n.info),
                            .threads = static_cast<double>(n.info.threads)});
    } else {
      n.index = s.decodes.size();
      s.decodes.push_back({.id = id,
                           .incarnation = n.info.incarnation,
                           .block_size = n.info.block_size,
                           .total_blocks = n.info.total_blocks,
                           .max_seqs = n.info.max_seqs,
                           .host = host(n.info),
                           .threads = static_cast<double>(n.info.threads),
                           .chunk_tokens = n.info.prefill_chunk});
    }
  }
  s.links.assign(s.prefills.size() * s.decodes.size(), {});
  for (const auto& [id, n] : nodes_) {
    sync_load(n);
    sync_speeds(n);
  }
}

void ClusterView::sync_load(const NodeRecord& n) {
  if (stale_) return;
  if (n.info.role == Role::prefill) {
    snapshot_.prefills[n.index].usable = n.usable();
    snapshot_.prefills[n.index].queued_tokens = n.queued_tokens;
    snapshot_.prefills[n.index].others_tokens = n.last.others_tokens;
    return;
  }
  DecodeView& d = snapshot_.decodes[n.index];
  d.usable = n.usable();
  const std::uint64_t held = std::uint64_t{n.reserved_blocks} + n.last.others_blocks;
  d.free_blocks = n.info.total_blocks - static_cast<std::uint32_t>(std::min<std::uint64_t>(held, n.info.total_blocks));
  d.seqs = n.seqs + std::min(n.last.others_seqs, n.info.max_seqs);
  d.local_tokens = n.queued_tokens;
  d.others_tokens = n.last.others_tokens;
  d.grows = n.info.grows;
  d.closed = n.full || n.last.parked > 0;
  d.memory = n.memory;
}

void ClusterView::sync_speeds(const NodeRecord& n) {
  if (stale_) return;
  if (n.info.role == Role::decode) {
    DecodeView& d = snapshot_.decodes[n.index];
    d.step_s = n.last.step_s;
    d.step_batch = n.last.step_batch;
    d.prompt_tokens_per_s = n.last.prefill_tokens_per_s;
    d.profiles = n.speeds;
    return;
  }
  PrefillView& p = snapshot_.prefills[n.index];
  p.tokens_per_s = n.last.prefill_tokens_per_s;
  p.profiles = n.speeds;
  for (const DecodeView& d : snapshot_.decodes) {
    const NodeRecord& to = nodes_.at(d.id);
    const auto it = std::ranges::find(n.last.links, to.info.data_address, &control::LinkReport::address);
    if (it != n.last.links.end())
      snapshot_.links[n.index * snapshot_.decodes.size() + to.index] = {it->bandwidth_bps, it->rtt_s,
                                                                        it->bytes_in_flight + it->queue_bytes};
  }
}

void ClusterView::keep_bound(ClusterSnapshot& s) const {
  for (DecodeView& d : s.decodes) d.usable &= nodes_.at(d.id).info.grammars;
}

bool ClusterView::without_grammars() const {
  bool some = false;
  for (const auto& [id, n] : nodes_) {
    if (n.info.role != Role::decode) continue;
    if (n.info.grammars) return false;
    some = true;
  }
  return some;
}

const ClusterSnapshot& ClusterView::snapshot_bound() {
  const ClusterSnapshot& all = snapshot();
  const auto keeps = [this](const DecodeView& d) { return nodes_.at(d.id).info.grammars; };
  if (std::ranges::all_of(all.decodes, keeps)) return all;
  like_ = all;
  keep_bound(like_);
  return like_;
}

const ClusterSnapshot& ClusterView::snapshot_like(const NodeBits& prefill, const NodeBits& decode, bool lossless,
                                                  bool bound) {
  like_ = snapshot();  // a copy: the snapshot itself is kept up to date, not built for every asker
  for (PrefillView& p : like_.prefills) {
    NodeBits b = bits_of(nodes_.at(p.id).info);
    if (lossless) {
      b.chunk_tokens = prefill.chunk_tokens;
      b.frame_kib = prefill.frame_kib;
    }
    p.usable &= b == prefill;
  }
  for (DecodeView& d : like_.decodes) d.usable &= bits_of(nodes_.at(d.id).info) == decode;
  if (bound) keep_bound(like_);
  return like_;
}

const NodeRecord* ClusterView::unlike(const NodeRecord& node) const {
  for (const auto& [id, n] : nodes_)
    if (n.info.role == node.info.role && bits_of(n.info) != bits_of(node.info)) return &n;
  return nullptr;
}

}  // namespace sluice::coordinator
