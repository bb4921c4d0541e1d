#include "tools/bench/front_load.h"

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cmath>
#include <optional>

namespace sluice::bench {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kWordsBefore = 1;  // events before the first token's: the role

double percentile(std::vector<float>& v, double share) {
  if (v.empty()) return 0;
  const auto at = v.begin() + static_cast<std::ptrdiff_t>(share * static_cast<double>(v.size() - 1));
  std::nth_element(v.begin(), at, v.end());
  return static_cast<double>(*at);
}

double micros(Clock::duration d) { return std::chrono::duration<double, std::micro>(d).count(); }

/// Runs until `over` or until nothing has been handled for ten seconds.
template <class Over>
Result<> run_until(boost::asio::io_context& io, const std::optional<Error>& failed, Over over) {
  while (!over() && !failed)
    if (io.run_one_for(std::chrono::seconds(10)) == 0) return fail(Errc::deadline_exceeded, "the front has stalled");
  if (failed) return std::unexpected(*failed);
  return {};
}

std::optional<Error> broken(std::size_t client, const std::string& why) {
  return Error{Errc::unavailable, fmt::format("client {}: {}", client, why), {}};
}

class Streams {
 public:
  Streams(const FrontUnderLoad& f, const StreamLoad& load)
      : f_(f),
        load_(load),
        steps_(static_cast<std::uint32_t>(std::lround(load.seconds * load.tokens_per_s / double(load.streams)))),
        warm_(steps_ / 4),
        members_(load.nodes),
        node_of_(load.streams),
        sent_(load.nodes) {
    for (std::size_t n = 0; n < load.nodes; ++n) timers_.emplace_back(f.io);
  }

  Result<StreamFigures> run() {
    f_.nodes.on_placed([this](std::size_t client, std::size_t node) {
      members_[node].push_back(client);
      node_of_[client] = node;
      ++placed_;
    });
    f_.clients.listen({.on_event = [this](std::size_t c, std::size_t n, Clock::time_point at) { came(c, n, at); },
                       .on_end = [this](std::size_t) { ++ended_; },
                       .broken = [this](std::size_t c, const std::string& why) { failed_ = broken(c, why); }});
    for (std::size_t c = 0; c < load_.streams; ++c) f_.clients.ask(c, stream_request(c, kMostStreamed));
    SLUICE_TRY(run_until(f_.io, failed_, [&] { return placed_ == load_.streams; }));
    begin_ = Clock::now();
    for (std::size_t n = 0; n < load_.nodes; ++n) next(n);
    SLUICE_TRY(run_until(f_.io, failed_, [&] { return came_ == std::uint64_t{steps_ + warm_} * load_.streams; }));
    const CpuTime used = f_.process.cpu();
    const double wall_s = std::chrono::duration<double>(Clock::now() - measured_from_).count();
    const std::uint64_t bytes = f_.clients.bytes_read() - bytes_before_;
    for (std::size_t c = 0; c < load_.streams; ++c) f_.nodes.finish(node_of_[c], c);
    SLUICE_TRY(run_until(f_.io, failed_, [&] { return ended_ == load_.streams; }));
    const double tokens = static_cast<double>(steps_) * static_cast<double>(load_.streams);
    return StreamFigures{.cpu_us = (used.process - before_.process) * 1e6 / tokens,
                         .main_us = (used.main_thread - before_.main_thread) * 1e6 / tokens,
                         .relay_p50_us = percentile(delays_, 0.5),
                         .relay_p99_us = percentile(delays_, 0.99),
                         .event_bytes = static_cast<double>(bytes) / tokens,
                         .tokens_per_s = tokens / wall_s};
  }

 private:
  /// Nodes take their steps in turn, each at its own pace whatever became of the last one.
  void next(std::size_t node) {
    if (sent_[node].size() == steps_ + warm_) return;
    const double step_s = static_cast<double>(load_.streams) / load_.tokens_per_s;
    const double at = step_s * (static_cast<double>(sent_[node].size()) +
                                static_cast<double>(node) / static_cast<double>(load_.nodes));
    timers_[node].expires_at(begin_ + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(at)));
    timers_[node].async_wait([this, node](boost::system::error_code ec) {
      if (ec) return;
      const auto index = static_cast<std::uint32_t>(sent_[node].size());
      if (node == 0 && index == warm_) measure();
      sent_[node].push_back(Clock::now());
      if (!members_[node].empty()) f_.nodes.step(node, members_[node], index);
      next(node);
    });
  }
  void measure() {
    before_ = f_.process.cpu();
    measured_from_ = Clock::now();
    bytes_before_ = f_.clients.bytes_read();
  }
  void came(std::size_t client, std::size_t count, Clock::time_point at) {
    const auto& sent = sent_[node_of_[client]];
    if (count <= kWordsBefore || count - kWordsBefore > sent.size()) return;
    const std::size_t index = count - kWordsBefore - 1;
    ++came_;
    if (index >= warm_) delays_.push_back(static_cast<float>(micros(at - sent[index])));
  }

  const FrontUnderLoad& f_;
  const StreamLoad& load_;
  std::uint32_t steps_, warm_;
  std::vector<std::vector<std::size_t>> members_;     // clients by node
  std::vector<std::size_t> node_of_;                  // by client
  std::vector<std::vector<Clock::time_point>> sent_;  // steps by node
  std::vector<boost::asio::steady_timer> timers_;
  std::size_t placed_ = 0, ended_ = 0;
  std::uint64_t came_ = 0, bytes_before_ = 0;
  Clock::time_point begin_, measured_from_;
  CpuTime before_;
  std::vector<float> delays_;
  std::optional<Error> failed_;
};

class Requests {
 public:
  Requests(const FrontUnderLoad& f, std::size_t at_once) : f_(f), asked_(at_once) {}

  Result<RequestFigures> run(double seconds) {
    f_.nodes.on_placed([this](std::size_t client, std::size_t node) {
      f_.nodes.step(node, {client}, 0);
      f_.nodes.finish(node, client);
    });
    f_.clients.listen({.on_event =
                           [this](std::size_t c, std::size_t n, Clock::time_point at) {
                             if (n == kWordsBefore + 1) ttft_.push_back(static_cast<float>(micros(at - asked_[c])));
                           },
                       .on_end = [this](std::size_t c) { ended(c); },
                       .broken = [this](std::size_t c, const std::string& why) { failed_ = broken(c, why); }});
    for (std::size_t c = 0; c < asked_.size(); ++c) ask(c);
    const auto warm =
        Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds / 4));
    SLUICE_TRY(run_until(f_.io, failed_, [&] { return Clock::now() > warm; }));
    const CpuTime before = f_.process.cpu();
    const std::size_t answered_before = answered_;
    ttft_.clear();
    const auto from = Clock::now();
    const auto to = from + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
    SLUICE_TRY(run_until(f_.io, failed_, [&] { return Clock::now() > to; }));
    const CpuTime used = f_.process.cpu();
    const double wall_s = std::chrono::duration<double>(Clock::now() - from).count();
    const auto requests = static_cast<double>(answered_ - answered_before);
    closing_ = true;
    SLUICE_TRY(run_until(f_.io, failed_, [&] { return running_ == 0; }));
    return RequestFigures{.cpu_us = (used.process - before.process) * 1e6 / requests,
                          .main_us = (used.main_thread - before.main_thread) * 1e6 / requests,
                          .ttft_p50_us = percentile(ttft_, 0.5),
                          .ttft_p99_us = percentile(ttft_, 0.99),
                          .requests_per_s = requests / wall_s};
  }

 private:
  void ask(std::size_t client) {
    ++running_;
    asked_[client] = Clock::now();
    f_.clients.ask(client, stream_request(client, kShortAnswer));
  }
  void ended(std::size_t client) {
    ++answered_;
    --running_;
    if (!closing_) ask(client);
  }

  const FrontUnderLoad& f_;
  std::vector<Clock::time_point> asked_;
  std::vector<float> ttft_;
  std::size_t answered_ = 0, running_ = 0;
  bool closing_ = false;
  std::optional<Error> failed_;
};

}  // namespace

Result<StreamFigures> load_streams(const FrontUnderLoad& front, const StreamLoad& load) {
  return Streams(front, load).run();
}

Result<RequestFigures> load_requests(const FrontUnderLoad& front, std::size_t at_once, double seconds) {
  return Requests(front, at_once).run(seconds);
}

}  // namespace sluice::bench
