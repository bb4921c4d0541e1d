#include "coordinator/registry/membership.h"

#include "common/etcd/registry.h"
#include "common/json/parse.h"
#include "common/log.h"

namespace sluice::coordinator {

using nlohmann::json;

namespace {

constexpr std::chrono::milliseconds kRenew{1500}, kTryAgain{500};
constexpr std::size_t kMostEntry = std::size_t{64} << 10;

json entry(const Member& m) {
  return {{"control", m.control},
          {"http", m.http},
          {"incarnation", fmt::format("{:016x}", m.incarnation)},
          {"version", m.version},
          {"since", m.since}};
}

std::optional<Member> read_entry(const std::string& id, const std::string& value) {
  const auto j = parse_json_object(value, {.what = "a coordinator's entry", .max_bytes = kMostEntry});
  if (!j) return std::nullopt;
  const json since = j->value("since", json(0.0));
  return Member{.id = id,
                .control = etcd::text_at(*j, "control"),
                .http = etcd::text_at(*j, "http"),
                .version = etcd::text_at(*j, "version"),
                .since = since.is_number() ? since.get<double>() : 0};
}

}  // namespace

Membership::Membership(boost::asio::io_context& io, const Clock& clock, etcd::Client& client, std::string cluster,
                       Member me)
    : clock_(clock), client_(client), cluster_(std::move(cluster)), me_(std::move(me)), timer_(io), members_{me_} {
  members_.front().me = true;
}

void Membership::stop() {
  stopped_ = true;
  timer_.cancel();
}

void Membership::leave() {
  stop();
  if (lease_ != 0) client_.revoke(std::exchange(lease_, 0), [](const Result<>&) {});
}

void Membership::after(Duration wait, void (Membership::*next)()) {
  timer_.expires_after(wait);
  timer_.async_wait([this, next, alive = std::weak_ptr(alive_)](boost::system::error_code ec) {
    if (!ec && !alive.expired() && !stopped_) (this->*next)();
  });
}

void Membership::again(const Error& why) {
  if (!std::exchange(in_trouble_, true))
    log::warn("not entered in the registry; will go on trying", {{"why", why.message}});
  after(kTryAgain, lease_ == 0 ? &Membership::enter : &Membership::renew);
}

void Membership::enter() {
  const TimePoint asked = clock_.now();
  client_.grant(kLease, [this, asked](const Result<etcd::LeaseId>& lease) {
    if (stopped_) return;
    if (!lease) return again(lease.error());
    client_.commit({{}, {{etcd::coordinators_prefix(cluster_) + me_.id, entry(me_).dump(), *lease}}},
                   [this, lease = *lease, asked](const Result<etcd::TxnAnswer>& r) { entered(lease, asked, r); });
  });
}

void Membership::entered(etcd::LeaseId lease, TimePoint asked, const Result<etcd::TxnAnswer>& r) {
  if (stopped_) return;
  if (!r) return again(r.error());
  lease_ = lease;
  good_until_ = asked + kLease;
  in_trouble_ = false;
  log::info("entered in the registry", {{"cluster", cluster_}, {"coordinator", me_.id}});
  campaign();
  after(kRenew, &Membership::renew);
}

void Membership::renew() {
  const TimePoint asked = clock_.now();
  client_.keep_alive(lease_, [this, asked, lease = lease_](const Result<>& r) {
    if (stopped_ || lease != lease_) return;
    if (r) {
      good_until_ = asked + kLease;
      in_trouble_ = false;
      campaign();
      return after(kRenew, &Membership::renew);
    }
    if (r.error().code == Errc::not_found) {
      log::warn("our lease in the registry ran out; entering anew", {{"coordinator", me_.id}});
      lease_ = 0;
      return enter();
    }
    again(r.error());
  });
}

void Membership::on_keys(const etcd::Watch::Keys& keys) {
  if (stopped_) return;
  const auto leader = keys.find(etcd::shared_prefix(cluster_) + "leader");
  const etcd::LeaseId before = std::exchange(leader_, leader == keys.end() ? 0 : leader->second.lease);
  if (leader_ != before && leader_ != 0)
    log::info("coordinators have a leader", {{"leader", leader->second.value}, {"me", leader_ == lease_}});
  const std::string prefix = etcd::coordinators_prefix(cluster_);
  members_.clear();
  for (auto it = keys.lower_bound(prefix); it != keys.end() && it->first.starts_with(prefix); ++it) {
    auto m = read_entry(it->first.substr(prefix.size()), it->second.value);
    if (!m) continue;
    m->leader = leader_ != 0 && it->second.lease == leader_;
    m->me = m->id == me_.id;
    members_.push_back(std::move(*m));
  }
  campaign();
}

void Membership::campaign() {
  if (lease_ == 0 || leader_ != 0 || campaigns_) return;
  campaigns_ = true;
  const std::string key = etcd::shared_prefix(cluster_) + "leader";
  client_.commit({{{etcd::Compare::Of::created, key, 0}}, {{key, me_.id, lease_}}},
                 [this](const Result<etcd::TxnAnswer>&) { campaigns_ = false; });  // the watch tells who it is
}

bool Membership::leads() const { return lease_ != 0 && leader_ == lease_ && clock_.now() < good_until_; }

}  // namespace sluice::coordinator
