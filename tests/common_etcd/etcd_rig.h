#pragma once
// A client of a real etcd on an io_context that the test runs.
#include <catch2/catch.hpp>
#include <optional>

#include "common/etcd/client.h"
#include "tests/support/real_etcd.h"

namespace sluice::test {

struct EtcdRig {
  boost::asio::io_context io;
  etcd::Client client;

  explicit EtcdRig(const etcd::Options& o) : client(io, o, or_throw(etcd::open_tls(o))) {}
  ~EtcdRig() {
    client.stop();
    io.run_for(std::chrono::milliseconds(50));
  }
  template <class Pred>
  bool until(Pred p, std::chrono::milliseconds limit = std::chrono::seconds(15)) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!p() && std::chrono::steady_clock::now() < end) {
      io.restart();
      io.run_one_for(std::chrono::milliseconds(20));
    }
    return p();
  }
  /// Runs a call of the client to its end.
  template <class T, class F>
  Result<T> wait(F start) {
    std::optional<Result<T>> got;
    start([&](Result<T> r) { got = std::move(r); });
    REQUIRE(until([&] { return got.has_value(); }));
    return *got;
  }
  Result<etcd::TxnAnswer> commit(const etcd::Txn& t) {
    return wait<etcd::TxnAnswer>([&](auto done) { client.commit(t, done); });
  }
  Result<etcd::TxnAnswer> put(const std::string& key, const std::string& value, etcd::LeaseId lease = 0) {
    return commit({{}, {{key, value, lease}}});
  }
  Result<etcd::RangeAnswer> range(const etcd::KeyRange& r, std::int64_t page = 256) {
    return wait<etcd::RangeAnswer>([&](auto done) { client.range(r, done, page); });
  }
};

}  // namespace sluice::test
