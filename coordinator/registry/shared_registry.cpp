#include "coordinator/registry/shared_registry.h"

#include "common/log.h"

namespace sluice::coordinator {

SharedRegistry::SharedRegistry(boost::asio::io_context& io, const etcd::Registry& where, const Member& me,
                               const Uses& uses)
    : certificates_(or_throw(etcd::open_tls(or_throw(where.options())))),
      client_(io, or_throw(where.options()), certificates_),
      membership_(io, uses.clock, client_, where.cluster, me),
      settings_(io, client_, where.cluster, me.id,
                {.classes = uses.slo_classes,
                 .take_over = uses.take_over_slo_classes,
                 .in_touch = [this] { return watch_.in_touch(); }}),
      learned_(io, client_, where.cluster, me.id, uses.learned),
      watch_(io, client_, etcd::KeyRange::prefix(etcd::shared_prefix(where.cluster)),
             {.on_keys =
                  [this](const etcd::Watch::Keys& keys) {
                    membership_.on_keys(keys);
                    settings_.on_keys(keys);
                  },
              .on_reach = [this](const Result<>& r) { on_reach(r); }}),
      up_(uses.metrics.gauge("sluice_registry_up", kRegistryUpHelp)) {}

void SharedRegistry::start() {
  membership_.start();
  watch_.start();
  learned_.start();
}

void SharedRegistry::leave() { membership_.leave(); }

void SharedRegistry::stop() {
  watch_.stop();
  learned_.stop();
  settings_.stop();
  membership_.stop();
  client_.stop();
}

void SharedRegistry::on_reach(const Result<>& r) {
  up_.set(r ? 1 : 0);
  if (r)
    log::info("registry reached");
  else
    log::warn("registry out of reach; requests go on, settings cannot be changed", {{"why", r.error().message}});
}

}  // namespace sluice::coordinator
