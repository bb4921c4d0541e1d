#pragma once
// This coordinator's place among the others: its entry, which nodes find it by, and the leadership. Both hang on one
// lease, so both are gone soon after this process is.
//
//   no lease -> granted -> entered (entry written) -> kept alive ... -> lease lost -> no lease ...
//
// The leader has the duties that must not be done twice. It knows that it leads for as long as its lease runs by its
// own clock, counted from when the last renewal was sent: etcd's clock, which began later, cannot have given the
// leadership to another one before. While etcd cannot be reached the leader goes on until then, and stops.
// Threading: one io_context thread. Failure: tries again, for ever; on_trouble says so once.
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/etcd/watch.h"

namespace sluice::coordinator {

/// A coordinator as its entry says.
struct Member {
  std::string id, control, http, version;
  std::uint64_t incarnation = 0;
  double since = 0;  // unix time of its start
  bool leader = false, me = false;
};

class Membership {
 public:
  static constexpr std::chrono::seconds kLease{5};

  Membership(boost::asio::io_context& io, const Clock& clock, etcd::Client& client, std::string cluster, Member me);
  ~Membership() { stop(); }
  Membership(const Membership&) = delete;
  Membership& operator=(const Membership&) = delete;

  void start() { enter(); }
  void stop();
  /// Gives lease, entry and leadership back now: a coordinator that drains is no longer for new work.
  void leave();
  /// The shared keys have changed.
  void on_keys(const etcd::Watch::Keys& keys);

  [[nodiscard]] bool leads() const;
  /// Those whose entries are known, this one among them, by id.
  [[nodiscard]] const std::vector<Member>& members() const noexcept { return members_; }
  [[nodiscard]] etcd::LeaseId lease() const noexcept { return lease_; }

 private:
  void enter();
  void entered(etcd::LeaseId lease, TimePoint asked, const Result<etcd::TxnAnswer>& r);
  void renew();
  void campaign();
  void after(Duration wait, void (Membership::*next)());
  void again(const Error& why);

  const Clock& clock_;
  etcd::Client& client_;
  const std::string cluster_;
  const Member me_;
  boost::asio::steady_timer timer_;
  std::shared_ptr<char> alive_ = std::make_shared<char>();
  etcd::LeaseId lease_ = 0;   // 0: none
  TimePoint good_until_{};    // the lease, by our clock
  etcd::LeaseId leader_ = 0;  // the lease that the leadership hangs on; 0: nobody leads
  std::vector<Member> members_;
  bool campaigns_ = false, in_trouble_ = false, stopped_ = false;
};

}  // namespace sluice::coordinator
