#pragma once
// Who may talk to a transport, and whom it believes: keys of its own listeners, keys of addresses it connects to, and
// the proofs in greetings. Nothing of a greeting goes to the fabric before it was looked at here.
//
// Pure but for hashing; one thread at a time. Without a key of its own a transport admits everybody.
#include <string>
#include <unordered_map>
#include <utility>

#include "kvtransfer/transport/greeting.h"
#include "kvtransfer/transport/transport.h"

namespace sluice::kv {

class Admission {
 public:
  /// own_key: what those who connect here have to prove; empty: nothing.
  explicit Admission(std::string own_key) : own_key_(std::move(own_key)) {}

  // Of those who connect here.
  [[nodiscard]] bool admits(const Greeting& theirs) const { return own_key_.empty() || proves(own_key_, theirs, 0); }
  /// Puts our proof into the answer, for who proved something.
  void answer(Greeting& ours, const Greeting& theirs) const;

  // Of those we connect to.
  void introduce(const std::string& address, const std::string& key) { keys_[address] = key; }
  /// Puts the proof that `address` demands into our greeting; what answers on this connection has to prove it, too.
  void approach(ConnId conn, const std::string& address, Greeting& ours);
  /// ours: the key of our greeting that they answered.
  [[nodiscard]] bool believes(ConnId conn, const Greeting& theirs, std::uint64_t ours) const;
  void forget(ConnId conn) { demanded_.erase(conn); }

 private:
  std::string own_key_;
  std::unordered_map<std::string, std::string> keys_;  // by address
  std::unordered_map<ConnId, std::string> demanded_;   // of connections opened here
};

}  // namespace sluice::kv
