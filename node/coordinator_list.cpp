#include "node/coordinator_list.h"

#include "common/flags/program.h"
#include "common/json/parse.h"
#include "common/log.h"

namespace sluice::node {
namespace {

std::set<std::string> named(const std::vector<std::string>& flags) {
  std::set<std::string> out;
  for (const std::string& a : flags) {
    const auto at = net::parse_address(a);
    if (!at) throw UsageError("--coordinator", at.error().message);
    out.insert(at->str());
  }
  return out;
}

/// The control address in a coordinator's entry; empty when there is none that could be one.
std::string control_address(const etcd::KeyValue& kv) {
  const auto j = parse_json_object(kv.value, {.what = "a coordinator's entry", .max_bytes = std::size_t{64} << 10});
  const std::string text = j ? etcd::text_at(*j, "control") : std::string();
  const auto at = net::parse_address(text);
  if (at) return at->str();
  log::warn("a coordinator's entry in the registry is damaged", {{"key", kv.key}});
  return {};
}

}  // namespace

CoordinatorList::CoordinatorList(boost::asio::io_context& io, const NodeOptions& o, Metrics& metrics)
    : named_(named(o.coordinators)) {
  const auto up =
      metrics.gauges("sluice_registry_up", "1 while the registry that coordinators share answers; none without one.");
  if (o.registry.url.empty()) {
    if (named_.empty())
      throw UsageError("--coordinator", "say where the coordinator is, or --registry etcd://host:port");
    return;
  }
  const auto options = o.registry.options();
  if (!options)
    throw UsageError(options.error().param.empty() ? "--registry" : options.error().param, options.error().message);
  auto tls = etcd::open_tls(*options);
  if (!tls) throw UsageError(tls.error().param, tls.error().message);
  certificates_ = std::move(*tls);
  up_ = up.with({});
  client_ = std::make_unique<etcd::Client>(io, *options, certificates_);
  watch_ =
      std::make_unique<etcd::Watch>(io, *client_, etcd::KeyRange::prefix(etcd::coordinators_prefix(o.registry.cluster)),
                                    etcd::Watch::Handlers{.on_keys = [this](const etcd::Watch::Keys& k) { changed(k); },
                                                          .on_reach = [this](const Result<>& r) { reached(r); }});
}

CoordinatorList::~CoordinatorList() { stop(); }

void CoordinatorList::start(OnList on_list) {
  on_list_ = std::move(on_list);
  on_list_(named_);
  if (watch_) watch_->start();
}

void CoordinatorList::stop() {
  if (watch_) watch_->stop();
  if (client_) client_->stop();
}

void CoordinatorList::changed(const etcd::Watch::Keys& keys) {
  std::set<std::string> all = named_;
  for (const auto& [key, kv] : keys)
    if (std::string a = control_address(kv); !a.empty()) all.insert(std::move(a));
  on_list_(all);
}

void CoordinatorList::reached(const Result<>& r) {
  up_->set(r ? 1 : 0);
  if (r)
    log::info("registry reached", {});
  else
    log::warn("registry out of reach; the coordinators known last stay in force", {{"why", r.error().message}});
}

}  // namespace sluice::node
