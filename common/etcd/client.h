#pragma once
// A client of etcd over its JSON gateway: leases, ranges, transactions, watches; with several endpoints, and a user's
// password where etcd asks for one.
//
// A call goes to the endpoint that answered last. Where that fails, the next one is asked, each once; then the call
// fails with `unavailable`, and whoever called decides when to try again. A write whose answer was lost may have
// happened: what is written here is written so that trying again is harmless (transactions that compare revisions).
// Threading: one io_context thread. Lifetime: nothing is called after stop() or the destructor.
// Failure: unavailable, permission_denied (user, password, role), not_found (a lease that is gone), stale (a revision
// that was compacted away), data_corrupt, resource_exhausted (larger than we take).
#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "common/etcd/http_call.h"
#include "common/etcd/messages.h"
#include "common/etcd/options.h"
#include "common/net/ticker.h"
#include "common/tls/source.h"

namespace sluice::etcd {

class Client {
 public:
  template <class T>
  using Done = std::function<void(Result<T>)>;

  /// `tls` as open_tls(options) made it; its files are looked at while the client lives, so that renewed certificates
  /// are shown from the next connection on.
  Client(boost::asio::io_context& io, Options o, std::shared_ptr<tls::Source> tls);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  void stop();

  void grant(std::chrono::seconds ttl, const Done<LeaseId>& done);
  /// not_found: the lease has run out.
  void keep_alive(LeaseId lease, const Done<void>& done);
  void revoke(LeaseId lease, const Done<void>& done);
  /// All keys of a range, at one revision, in pages of `page` keys. resource_exhausted beyond kMostBytes.
  void range(const KeyRange& r, const Done<RangeAnswer>& done, std::int64_t page = 256);
  void count(const KeyRange& r, const Done<RangeAnswer>& done);
  void commit(const Txn& t, const Done<TxnAnswer>& done);
  /// Lines of a watch, to parse_watch(); until it ends, breaks or is cancelled.
  [[nodiscard]] std::shared_ptr<HttpCall> watch(const KeyRange& r, std::int64_t from_revision, HttpCall::OnLine on_line,
                                                HttpCall::Done done);
  /// Changes whenever calls go to another endpoint.
  [[nodiscard]] std::size_t endpoint() const noexcept { return endpoint_; }
  /// The token was refused on a watch: the next call asks for another.
  void forget_token() { token_.clear(); }

  static constexpr std::size_t kMostBytes = std::size_t{64} << 20;

 private:
  struct Attempt;
  [[nodiscard]] std::shared_ptr<const tls::Context> context() const { return tls_ ? tls_->current() : nullptr; }
  using AttemptPtr = std::shared_ptr<Attempt>;
  struct Pages;
  void call(const char* path, const nlohmann::json& body, Done<nlohmann::json> done);
  void send(const AttemptPtr& a);
  void answered(const AttemptPtr& a, std::size_t endpoint, const Result<HttpCall::Answer>& r);
  void try_next(const AttemptPtr& a, std::size_t failed, const Error& why);
  void authenticate(const AttemptPtr& first);
  void next_page(const std::shared_ptr<Pages>& p);

  boost::asio::io_context& io_;
  const Options options_;
  std::shared_ptr<tls::Source> tls_;  // null: plain
  std::optional<net::Ticker> renewal_;
  std::size_t endpoint_ = 0;
  std::string token_;
  std::vector<AttemptPtr> wait_for_token_;  // not empty: it has been asked for
  std::set<std::shared_ptr<HttpCall>> open_;
  bool stopped_ = false;
};

}  // namespace sluice::etcd
