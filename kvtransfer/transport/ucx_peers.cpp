#include "kvtransfer/transport/ucx_peers.h"

namespace sluice::kv::ucx {

Result<std::shared_ptr<Peer>> Peers::at(const Worker& worker, const std::vector<std::byte>& fabric) {
  auto& known = by_address_[fabric];
  if (known) return known;
  auto ep = Endpoint::connect(worker, fabric, on_error, this);
  if (!ep) {
    by_address_.erase(fabric);
    return std::unexpected(std::move(ep).error());
  }
  known = std::make_shared<Peer>();
  known->ep = std::move(*ep);
  return known;
}

void Peers::condemn(Peer& peer) {
  if (std::exchange(peer.dead, true)) return;
  std::erase_if(by_address_, [&](const auto& p) { return p.second.get() == &peer; });
  lost_(peer, {Errc::unavailable, "the peer is gone", {}});
  closing_.push_back(peer.ep.close());
}

void Peers::condemn_all() {
  while (!by_address_.empty()) condemn(*std::shared_ptr(by_address_.begin()->second));
}

void Peers::settle() {
  for (const auto& peer : std::exchange(failed_, {})) condemn(*peer);
  std::erase_if(closing_, [](const Request& r) { return r.done(); });
}

void Peers::on_error(void* arg, ucp_ep_h ep, ucs_status_t status) {
  auto& self = *static_cast<Peers*>(arg);
  for (const auto& [address, peer] : self.by_address_)
    if (peer->ep.get() == ep) {
      self.lost_(*peer, to_error(status, "the peer is gone"));
      self.failed_.push_back(peer);
    }
}

}  // namespace sluice::kv::ucx
