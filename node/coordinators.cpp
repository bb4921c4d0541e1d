#include "node/coordinators.h"

#include <algorithm>

#include "common/log.h"

namespace sluice::node {
namespace {

/// No resolver takes longer over a name.
constexpr std::chrono::minutes kRetirement{2};

}  // namespace

void Coordinators::list(const std::set<std::string>& addresses) {
  if (stopped_) return;
  for (auto& [address, s] : links_) s.listed = addresses.contains(address);
  for (const std::string& a : addresses)
    if (!links_.contains(a)) open(a);
  sweep();
}

void Coordinators::open(const std::string& address) {
  Served& s = links_[address];
  NodeLink::Handlers h;
  h.on_call = [this](const std::string& t, nlohmann::json b, control::Connection::Reply r) {
    handlers_.on_call(t, std::move(b), std::move(r));
  };
  h.heartbeat = [this, &s] { return handlers_.heartbeat(s.link->leg_space()); };
  h.on_lost = [this, &s] { handlers_.on_lost(s.link->leg_space()); };
  h.on_refused = [this, address](const Error& e) { refused(address, e); };
  s.link = std::make_unique<NodeLink>(io_, address, me_, std::move(h), tls_);
  s.link->start();
}

void Coordinators::refused(const std::string& address, const Error& why) {
  const auto it = links_.find(address);
  if (it == links_.end()) return;
  it->second.refused = why;
  const auto serves = [](const auto& l) { return l.second.listed && !l.second.refused; };
  if (std::ranges::none_of(links_, serves)) return handlers_.on_refused(why);
  log::error("a coordinator refuses this node; the others go on",
             {{"coordinator", address}, {"code", sluice::name(why.code)}, {"why", why.message}});
}

void Coordinators::sweep() {
  const auto now = std::chrono::steady_clock::now();
  for (auto it = links_.begin(); it != links_.end();) {
    Served& s = it->second;
    if (s.listed || s.link->up()) {
      ++it;
      continue;
    }
    log::info("coordinator is gone", {{"coordinator", it->first}});
    s.link->stop();
    retired_.push_back({std::move(s.link), now});
    it = links_.erase(it);
  }
  std::erase_if(retired_, [now](const Retired& r) { return now - r.since > kRetirement; });
}

void Coordinators::stop() {
  stopped_ = true;
  for (auto& [address, s] : links_) s.link->stop();
}

void Coordinators::notify(RequestId leg, const char* type, nlohmann::json body) {
  const control::LegSpace of = control::space_of(leg);
  for (auto& [address, s] : links_)
    if (s.link->up() && s.link->leg_space() == of) return s.link->notify(type, std::move(body));
}

void Coordinators::beat_now() {
  for (auto& [address, s] : links_) s.link->beat_now();
}

std::size_t Coordinators::links_up() const {
  return static_cast<std::size_t>(std::ranges::count_if(links_, [](const auto& l) { return l.second.link->up(); }));
}

bool Coordinators::up() const { return links_up() > 0; }

}  // namespace sluice::node
