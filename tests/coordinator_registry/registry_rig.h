#pragma once
// Coordinators' parts on a real etcd, each with a client and a watch of its own, on one io_context.
#include <memory>

#include "common/etcd/registry.h"
#include "common/etcd/watch.h"
#include "tests/common_etcd/etcd_rig.h"
#include "tests/support/skip.h"

namespace sluice::test {

/// Runs the loop of `rig` until pred holds.
struct WatchedPart {
  etcd::Client client;
  etcd::Watch watch;
  std::function<void(const etcd::Watch::Keys&)> on_keys = [](const etcd::Watch::Keys&) {};
  WatchedPart(boost::asio::io_context& io, const etcd::Options& o)
      : client(io, o, nullptr),
        watch(io, client, etcd::KeyRange::prefix(etcd::shared_prefix("c")),
              {.on_keys = [this](const etcd::Watch::Keys& k) { on_keys(k); }, .on_reach = [](const Result<>&) {}}) {}
  ~WatchedPart() {
    watch.stop();
    client.stop();
  }
};

}  // namespace sluice::test
