#include "coordinator/registry/shared_settings.h"

#include "common/etcd/registry.h"
#include "common/json/parse.h"
#include "common/log.h"
#include "common/random_id.h"

namespace sluice::coordinator {

using nlohmann::json;

namespace {

constexpr std::size_t kMostClass = std::size_t{16} << 10;

json read(const etcd::KeyValue& kv) {
  auto j = parse_json_object(kv.value, {.what = "a setting", .max_bytes = kMostClass});
  if (j) return std::move(*j);
  log::warn("a setting in the registry is damaged", {{"key", kv.key}, {"why", j.error().message}});
  return nullptr;
}

}  // namespace

SharedSettings::SharedSettings(boost::asio::io_context& io, etcd::Client& client, const std::string& cluster,
                               std::string me, Uses uses)
    : client_(client),
      mark_key_(etcd::shared_prefix(cluster) + "settings"),
      prefix_(etcd::shared_prefix(cluster) + "slo/"),
      me_(std::move(me)),
      use_(std::move(uses)),
      timer_(io),
      known_(json::object()) {}

void SharedSettings::stop() { timer_.cancel(); }

void SharedSettings::on_keys(const etcd::Watch::Keys& keys) {
  const auto mark = keys.find(mark_key_);
  if (mark == keys.end()) {
    if (!mark_.empty()) return seed(true);
    if (std::exchange(waits_, true)) return;
    timer_.expires_after(kNewcomerWaits);
    timer_.async_wait([this, alive = std::weak_ptr(alive_)](boost::system::error_code ec) {
      if (ec || alive.expired()) return;
      waits_ = false;
      if (mark_.empty()) seed(false);
    });
    return;
  }
  const json m = read(mark->second);
  const std::string id = etcd::text_at(m, "id");
  const bool by_heir = m.is_object() && m.value("heir", json()) == true;
  if (!mark_.empty() && id != mark_ && !by_heir) return overrule(keys, mark->second);
  mark_ = id;
  apply(keys);
}

etcd::Write SharedSettings::mark(bool heir) const {
  const json m{{"id", fmt::format("{:016x}", random_incarnation())}, {"heir", heir}, {"by", me_}};
  return {mark_key_, m.dump()};
}

/// The transaction fails when somebody was faster; then the watch brings what he put there.
void SharedSettings::seed(bool heir) {
  if (std::exchange(seeding_, true)) return;
  etcd::Txn t{{{etcd::Compare::Of::created, mark_key_, 0}}, {mark(heir)}};
  const json classes = use_.classes();
  for (const auto& [name, slo] : classes.items()) t.then.push_back({prefix_ + name, slo.dump()});
  log::info(
      heir ? "the registry has lost the settings; giving it ours" : "the registry has no settings; giving it ours",
      {{"classes", t.then.size() - 1}});
  client_.commit(t, [this](const Result<etcd::TxnAnswer>& r) {
    seeding_ = false;
    if (!r) log::warn("settings not given to the registry", {{"why", r.error().message}});
  });
}

void SharedSettings::overrule(const etcd::Watch::Keys& keys, const etcd::KeyValue& mark_there) {
  if (std::exchange(seeding_, true)) return;
  etcd::Txn t{{{etcd::Compare::Of::modified, mark_key_, mark_there.mod_revision}}, {mark(true)}};
  const json classes = use_.classes();
  for (const auto& [name, slo] : classes.items()) {
    const auto there = keys.find(prefix_ + name);
    const bool changed_since = there != keys.end() && there->second.mod_revision > mark_there.mod_revision;
    if (!changed_since) t.then.push_back({prefix_ + name, slo.dump()});
  }
  log::info("the registry lost the settings and was given a newcomer's; giving it ours",
            {{"classes", t.then.size() - 1}});
  client_.commit(t, [this](const Result<etcd::TxnAnswer>& r) {
    seeding_ = false;
    if (!r) log::warn("settings not given to the registry", {{"why", r.error().message}});
  });
}

void SharedSettings::apply(const etcd::Watch::Keys& keys) {
  revisions_.clear();
  known_ = json::object();
  for (auto it = keys.lower_bound(prefix_); it != keys.end() && it->first.starts_with(prefix_); ++it) {
    const std::string name = it->first.substr(prefix_.size());
    revisions_[name] = it->second.mod_revision;
    if (json slo = read(it->second); slo.is_object()) known_[name] = std::move(slo);
  }
  use_.take_over(known_);
}

void SharedSettings::put(const std::string& name, const json& slo, Done done) { write(name, slo, std::move(done)); }

void SharedSettings::remove(const std::string& name, Done done) { write(name, std::nullopt, std::move(done)); }

void SharedSettings::write(const std::string& name, std::optional<json> slo, Done done) {
  if (!use_.in_touch() || mark_.empty())
    return done(fail(Errc::unavailable,
                     "the registry cannot be reached, and the other coordinators would not hear of it; nothing was "
                     "changed, try again later"));
  const auto known = revisions_.find(name);
  const std::int64_t revision = known == revisions_.end() ? 0 : known->second;
  std::optional<std::string> value;
  if (slo) value = slo->dump();
  const etcd::Txn t{{{etcd::Compare::Of::modified, prefix_ + name, revision}}, {{prefix_ + name, std::move(value)}}};
  client_.commit(t, [this, name, slo = std::move(slo), done = std::move(done)](const Result<etcd::TxnAnswer>& r) {
    if (!r)
      return done(fail(Errc::unavailable,
                       "the registry did not confirm the change, which may have been kept or not; see `sluicectl slo "
                       "get`, and try again ({})",
                       r.error().message));
    if (!r->succeeded)
      return refresh(name,
                     [done] { done(fail(Errc::stale, "another coordinator changed the class meanwhile; try again")); });
    if (slo) {
      revisions_[name] = r->revision;
      known_[name] = *slo;
    } else {
      revisions_.erase(name);
      known_.erase(name);
    }
    done({});
  });
}

/// Takes over what somebody else made of a class, without waiting for the watch.
void SharedSettings::refresh(const std::string& name, std::function<void()> then) {
  client_.range(etcd::KeyRange::one(prefix_ + name),
                [this, name, then = std::move(then)](const Result<etcd::RangeAnswer>& r) {
                  if (r && r->keys.empty()) {
                    revisions_.erase(name);
                    known_.erase(name);
                  } else if (r) {
                    revisions_[name] = r->keys.front().mod_revision;
                    if (json slo = read(r->keys.front()); slo.is_object()) known_[name] = std::move(slo);
                  }
                  if (r) use_.take_over(known_);
                  then();
                });
}

}  // namespace sluice::coordinator
