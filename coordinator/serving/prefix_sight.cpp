#include "coordinator/serving/prefix_sight.h"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::coordinator {
namespace {

using prefix::PrefixName;

/// The names of a prompt's blocks under one root, as far as some of these nodes knows them.
std::vector<PrefixName> known_chain(const PrefixName& root, std::span<const TokenId> prompt, std::size_t block,
                                    const PrefixIndex& index, std::span<const NodeId> nodes) {
  const prefix::PrefixNamer namer{prefix::PrefixKey::of(root.bytes)};
  std::vector<PrefixName> chain;
  PrefixName last;
  const std::size_t all = prompt.size() / block;
  for (std::size_t to = 1; chain.size() < all; to *= 2) {
    const std::size_t n = std::min(to, all);
    namer.append_names(last, prompt.subspan(chain.size() * block, (n - chain.size()) * block), block, chain);
    last = chain.back();
    if (!index.known(last, nodes)) break;
  }
  return chain;
}

}  // namespace

PrefixName PrefixSight::root(const Session& s, const control::ModelIdentity& m) const {
  const std::string identity = fmt::format("{}\n{}\n{}\n{}\n{}", m.hash, m.kv_dtype, m.backend, m.precision, m.version);
  return namer_.root({.tenant = s.asked.spec.tenant,
                      .cache_salt = s.asked.spec.cache_salt,
                      .identity = std::as_bytes(std::span(identity))});
}

void PrefixSight::look(const Session& s, const ClusterView& view, const ClusterSnapshot& c, PrefixHits& out) const {
  out.prefill.assign(c.prefills.size(), 0);
  if (view.prefixes().empty() || s.asked.spec.prompt_logprobs) return;  // a rated prompt takes no hit
  // The last token's KV is the decode node's.
  const std::span<const TokenId> prompt(s.asked.spec.prompt->data(), s.asked.features.split_cut());
  std::vector<bool> seen(c.prefills.size());
  std::vector<NodeId> alike;
  std::vector<std::size_t> where;
  std::vector<std::uint32_t> blocks;
  for (std::size_t first = 0; first < seen.size(); ++first) {
    const control::RegisterRequest* info = nullptr;
    PrefixName root;
    alike.clear();
    where.clear();
    for (std::size_t p = first; p < seen.size(); ++p) {
      const NodeRecord* n = seen[p] ? nullptr : view.find(c.prefills[p].id);
      if (n == nullptr || n->info.block_size == 0) continue;
      const PrefixName own = this->root(s, n->info.model);
      if (info != nullptr && (own != root || n->info.block_size != info->block_size)) continue;
      if (info == nullptr) {
        info = &n->info;
        root = own;
      }
      seen[p] = true;
      alike.push_back(c.prefills[p].id);
      where.push_back(p);
    }
    if (info == nullptr) continue;
    const auto chain = known_chain(root, prompt, info->block_size, view.prefixes(), alike);
    view.prefixes().match(chain, alike, blocks);
    for (std::size_t i = 0; i < where.size(); ++i) out.prefill[where[i]] = blocks[i] * info->block_size;
  }
}

}  // namespace sluice::coordinator
