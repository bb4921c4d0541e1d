#pragma once
// The process's Prometheus metrics: families of counters, gauges and histograms, and handles of their series. A house
// of our own over prometheus-cpp's values and text format, for what its registry lacks: a family's name, help and
// buckets are said once, its series are found without a search of all others, and those of a label's value that is no
// more (a node that is gone) can be dropped.
//
// Names (tests/support/metrics_lint.h holds every daemon to them): prefix `sluice_`, base units (seconds, bytes) at
// the end; counters end in `_total`, nothing else does. Label values come from small sets that are known, or from
// nodes' names, and then somebody calls forget().
// Threading: thread-safe. Handles are small, may be copied, and stay valid after their series was dropped: it just is
// not told any more. Failure: a name that is taken by another type gives a family that is never told, and an error in
// the log.
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace prometheus {
class Counter;
class Gauge;
}  // namespace prometheus

namespace sluice {

using Labels = std::map<std::string, std::string>;
using Buckets = std::vector<double>;

class Counter {
 public:
  explicit Counter(std::shared_ptr<prometheus::Counter> series) : series_(std::move(series)) {}
  void add(double by = 1) const;
  /// For what is counted elsewhere: the count is `total` from now on, unless it is more already. One caller at a time.
  void raise_to(double total) const;
  [[nodiscard]] double value() const;

 private:
  std::shared_ptr<prometheus::Counter> series_;
};

class Gauge {
 public:
  explicit Gauge(std::shared_ptr<prometheus::Gauge> series) : series_(std::move(series)) {}
  void set(double to) const;
  [[nodiscard]] double value() const;

 private:
  std::shared_ptr<prometheus::Gauge> series_;
};

/// Names one that was observed, such as the request: {"trace_id", "4bf9..."}. Where the two are longer than OpenMetrics
/// allows (128 characters), or empty, nothing is named.
struct Exemplar {
  std::string_view label, value;
};

namespace detail {
class HistogramSeries;
class FamilyState;
}  // namespace detail

class Histogram {
 public:
  explicit Histogram(std::shared_ptr<detail::HistogramSeries> series) : series_(std::move(series)) {}
  void observe(double sample) const;
  /// Each bucket remembers the last one named, for openmetrics().
  void observe(double sample, const Exemplar& named) const;
  [[nodiscard]] std::uint64_t count() const;
  [[nodiscard]] double sum() const;

 private:
  std::shared_ptr<detail::HistogramSeries> series_;
};

/// The series of one name, by their labels. Handle is Counter, Gauge or Histogram.
template <class Handle>
class Family {
 public:
  explicit Family(std::shared_ptr<detail::FamilyState> state) : state_(std::move(state)) {}
  /// The series with these labels; made when there is none.
  [[nodiscard]] Handle with(const Labels& labels) const;
  /// Drops all series. For gauges that are written anew before each exposition.
  void clear() const;

 private:
  std::shared_ptr<detail::FamilyState> state_;
};

template <>
Counter Family<Counter>::with(const Labels& labels) const;
template <>
Gauge Family<Gauge>::with(const Labels& labels) const;
template <>
Histogram Family<Histogram>::with(const Labels& labels) const;

using Counters = Family<Counter>;
using Gauges = Family<Gauge>;
using Histograms = Family<Histogram>;

class Metrics {
 public:
  Metrics() = default;
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  /// The family of this name; made when there is none. It stands in the text before it has a series, so that whoever
  /// reads it learns what there will be.
  [[nodiscard]] Counters counters(const std::string& name, const std::string& help);
  [[nodiscard]] Gauges gauges(const std::string& name, const std::string& help);
  [[nodiscard]] Histograms histograms(const std::string& name, const std::string& help, const Buckets& buckets);
  /// Of a family of one series, or the one with these labels.
  [[nodiscard]] Counter counter(const std::string& name, const std::string& help, const Labels& labels = {});
  [[nodiscard]] Gauge gauge(const std::string& name, const std::string& help, const Labels& labels = {});
  [[nodiscard]] Histogram histogram(const std::string& name, const std::string& help, const Buckets& buckets,
                                    const Labels& labels = {});

  /// Drops every series that has this value of this label, in all families. One that is used again starts anew.
  void forget(const std::string& label, const std::string& value);
  /// Called before each exposition, by whoever asks for it.
  void before_text(std::function<void()> refresh);
  /// The exposition text of everything there is, in Prometheus' format 0.0.4.
  [[nodiscard]] std::string text() const;
  /// The same in OpenMetrics 1.0.0, with exemplars.
  [[nodiscard]] std::string openmetrics() const;

 private:
  enum class Type { counter, gauge, histogram };
  friend class detail::FamilyState;
  void refresh() const;
  std::shared_ptr<detail::FamilyState> family(const std::string& name, const std::string& help, Type type,
                                              const Buckets& buckets);

  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<detail::FamilyState>> families_;
  std::vector<std::function<void()>> refreshers_;
};

/// Bucket bounds in seconds, vLLM's for TTFT, so that dashboards made for it line up.
[[nodiscard]] const Buckets& ttft_buckets();
/// Bucket bounds in seconds for times between tokens; vLLM's, and finer ones below 10 ms for small models.
[[nodiscard]] const Buckets& tpot_buckets();
/// Bucket bounds in seconds for whole requests and their phases; vLLM's, and finer ones below 300 ms.
[[nodiscard]] const Buckets& request_buckets();
/// Bucket bounds in seconds for the stages of a P/D request (100 us to 60 s).
[[nodiscard]] const Buckets& stage_buckets();
/// 1, 2, 5, 10, ... up to `most`: of counts, such as a request's tokens.
[[nodiscard]] Buckets count_buckets(double most);

}  // namespace sluice
