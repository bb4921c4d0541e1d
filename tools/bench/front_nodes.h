#pragma once
// The nodes' side of the front suite: those of a coordinator, who speak the real control protocol and compute nothing,
// and those of the relay. A prompt is computed as soon as it is asked for; tokens come when the suite says so.
// Threading: the io_context's thread.
#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/result.h"

namespace sluice::bench {

/// Bytes of what goes between front and nodes, so that a relay can carry the same.
struct NodeBytes {
  std::size_t reserve = 0, prefill = 0;  // a call each
  std::size_t token = 0;                 // a token's share of its message
};

class FrontNodes {
 public:
  virtual ~FrontNodes() = default;
  [[nodiscard]] virtual bool ready() const = 0;
  /// Prompts of clients that have been computed: (client, the node that decodes it).
  void on_placed(std::function<void(std::size_t client, std::size_t node)> placed) { placed_ = std::move(placed); }
  /// A token for each of these clients, in one message; `index` counts each answer's tokens from 0 on.
  virtual void step(std::size_t node, const std::vector<std::size_t>& clients, std::uint32_t index) = 0;
  /// The client's answer has ended.
  virtual void finish(std::size_t node, std::size_t client) = 0;

 protected:
  std::function<void(std::size_t client, std::size_t node)> placed_;
};

class CoordinatorNodes : public FrontNodes {
 public:
  /// `decodes` decode nodes and a prefill node.
  [[nodiscard]] static std::unique_ptr<CoordinatorNodes> join(boost::asio::io_context& io, const std::string& control,
                                                              std::size_t decodes);
  /// Of what has gone by.
  [[nodiscard]] virtual NodeBytes bytes() const = 0;
};

/// `decodes` connections to a relay.
[[nodiscard]] Result<std::unique_ptr<FrontNodes>> join_relay(boost::asio::io_context& io, const std::string& control,
                                                             std::size_t decodes, const NodeBytes& bytes);

}  // namespace sluice::bench
