#pragma once
// Which nodes compute at the same time on one machine, and what that costs a computation there.
//
// Nodes that share a machine slow each other down in two ways: they share caches, memory bandwidth and the two threads
// of a core while there are cores for all, and they take turns beyond that. So the time of a computation is taken to be
// its time alone times exp(w . x), with
//     x[0]  cores that others use, over the machine's, as far as there are cores for them and this one
//     x[1]  log of the cores that all want over those that there are, where that is more than 1
// and w learned per machine, from what computations took beside what they were expected to take alone. Turns alone mean
// w[1] = 1. Where no machine is told, or a node has one to itself, nothing is slower.
//
// Who computes when is the coordinator's own account: a prefill node while it has prompts, a decode node while it has
// sequences whose KV is there. Pure, time given; not thread-safe. Allocates only when nodes come or go.
#include <array>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/clock.h"
#include "coordinator/policy/bayes_linear.h"
#include "coordinator/policy/types.h"

namespace sluice::coordinator {

class HostLoad {
 public:
  using Features = std::array<double, 2>;
  using Id = std::uint32_t;  // of a node; given out by add()

  /// A node that this account has not seen yet. It has no machine before place().
  [[nodiscard]] Id add();
  /// Nobody has a machine any more.
  void clear_seats();
  /// Where a node computes, and on how many threads.
  void place(Id node, const HostView& host, double threads);
  /// It computes from now on, or does not.
  void busy(Id node, bool yes, TimePoint now);
  /// Of one that computes: until when as far as is known.
  void until(Id node, TimePoint end) { nodes_[node].until = end; }

  /// Others compute on its machine at times.
  [[nodiscard]] bool shares(Id node) const noexcept { return nodes_[node].neighbours > 0; }
  /// What a computation that begins in `after_s` and takes `len_s` alone will meet; by present work, and for the rest
  /// of its time by how busy others are on average.
  [[nodiscard]] Features ahead(Id node, TimePoint now, double after_s, double len_s) const;
  [[nodiscard]] double slowdown(Id node, const Features& x) const;
  /// Begins what met() tells.
  void mark(Id node, TimePoint now);
  /// What was met on average since the last mark.
  [[nodiscard]] Features met(Id node, TimePoint now);
  /// A computation took exp(log_ratio) times what it takes alone; noise_var is that of log_ratio.
  void observe(Id node, const Features& x, double log_ratio, double noise_var);

  [[nodiscard]] nlohmann::json save() const;
  void load(const nlohmann::json& j);

 private:
  static constexpr std::uint32_t kNowhere = UINT32_MAX;
  struct Node {
    std::uint32_t host = kNowhere;
    std::uint32_t neighbours = 0;  // other nodes of its machine
    double threads = 1;
    bool computes = false;
    TimePoint until{};
    double share = 0;     // of the time that it computes, lately
    double period_s = 0;  // that it computes at a stretch, on average; 0: not known
    TimePoint since{};    // when it began to compute
    TimePoint shared{};
    Features sum{}, marked{};  // of what it met, over time
    TimePoint marked_at{};
  };
  struct Host {
    std::string name;
    double cores = 1;
    BayesLinear<2> weights;
    std::vector<Id> nodes;
    TimePoint advanced{};
  };
  [[nodiscard]] std::uint32_t slot(const std::string& name);
  void advance(std::uint32_t host, TimePoint now);
  static void settle_share(Node& n, TimePoint now);
  [[nodiscard]] static double share_at(const Node& n, TimePoint now);
  [[nodiscard]] static Features features(double cores, double own, double others);

  std::vector<Node> nodes_;
  std::vector<Host> hosts_;
  std::unordered_map<std::string, std::uint32_t> index_;
};

}  // namespace sluice::coordinator
