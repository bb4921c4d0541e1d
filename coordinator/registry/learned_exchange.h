#pragma once
// What coordinators learned, exchanged through the registry every kEvery: each writes its own, reads the others', and
// takes over what is not known here or clearly better known there (learned_merge.h). A newcomer so begins with all of
// it. What a coordinator wrote outlives it by a day. Texts of more than kPart bytes are written in parts; a reader
// believes a text whose parts are all there and of one writing. Threading: one io_context thread. Failure: logged once;
// the next turn tries again. Nothing waits for this.
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/etcd/client.h"
#include "coordinator/registry/learned_merge.h"

namespace sluice::coordinator {

class LearnedExchange {
 public:
  struct Uses {
    /// LastingState::save(): what was learned here, and taken over.
    std::function<nlohmann::json()> state;
    /// Takes over the entries, as state_of() makes them.
    std::function<void(const nlohmann::json& state)> take;
    /// Output lengths of the others, all that there are: [OutputLengths::save(), ...].
    std::function<void(const std::vector<nlohmann::json>& outputs)> borrow;
  };
  static constexpr std::chrono::seconds kEvery{10};
  static constexpr std::chrono::hours kOutlives{24};
  static constexpr std::size_t kPart = std::size_t{512} << 10;
  static constexpr std::size_t kMostParts = 32;

  LearnedExchange(boost::asio::io_context& io, etcd::Client& client, const std::string& cluster, std::string me,
                  Uses uses);
  ~LearnedExchange() { stop(); }
  void start() { turn(); }
  void stop();
  /// Turns that went well.
  [[nodiscard]] std::uint64_t turns() const noexcept { return turns_; }

 private:
  using Texts = std::map<std::string, std::string>;  // by coordinator
  void turn();
  void next_turn(const Result<>& r);
  [[nodiscard]] Texts texts_of(const std::vector<etcd::KeyValue>& keys) const;
  void take(const Texts& texts, double now);
  void write();
  void write_part(std::shared_ptr<std::vector<etcd::Write>> parts, std::size_t i);

  etcd::Client& client_;
  const std::string prefix_, me_;
  Uses use_;
  boost::asio::steady_timer timer_;
  std::shared_ptr<char> alive_ = std::make_shared<char>();
  LearnedEntries mine_;  // as of the last turn
  nlohmann::json version_, outputs_;
  etcd::LeaseId lease_ = 0;
  std::size_t written_ = 0;  // parts, last time
  std::uint64_t turns_ = 0;
  bool in_trouble_ = false, stopped_ = false;
};

}  // namespace sluice::coordinator
