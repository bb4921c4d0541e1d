#include "common/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <chrono>
#include <variant>

#include "common/log.h"
#include "common/openmetrics.h"

namespace sluice {

namespace detail {

/// A histogram, and beside it the last exemplar of each bucket.
class HistogramSeries {
 public:
  explicit HistogramSeries(const Buckets& bounds) : histogram_(bounds), bounds_(bounds) {}

  void observe(double sample) { histogram_.Observe(sample); }
  void observe(double sample, const Exemplar& named) {
    histogram_.Observe(sample);
    constexpr std::size_t kMostCharacters = 128;  // OpenMetrics' bound of a label set
    if (named.value.empty() || named.label.size() + named.value.size() > kMostCharacters) return;
    const auto bucket = static_cast<std::size_t>(std::ranges::lower_bound(bounds_, sample) - bounds_.begin());
    const auto now = std::chrono::system_clock::now();
    const std::lock_guard lock(mutex_);
    if (exemplars_.empty()) exemplars_.resize(bounds_.size() + 1);
    KeptExemplar& kept = exemplars_[bucket];
    kept.label = named.label;
    kept.value = named.value;
    kept.sample = sample;
    kept.at = now;
  }

  [[nodiscard]] prometheus::ClientMetric Collect() const { return histogram_.Collect(); }
  [[nodiscard]] std::vector<KeptExemplar> exemplars() const {
    const std::lock_guard lock(mutex_);
    return exemplars_;
  }

 private:
  prometheus::Histogram histogram_;
  const Buckets bounds_;
  mutable std::mutex mutex_;
  std::vector<KeptExemplar> exemplars_;  // one a bucket, the last of them +Inf's; empty until one is named
};

}  // namespace detail

void Counter::add(double by) const { series_->Increment(by); }
void Counter::raise_to(double total) const {
  if (const double by = total - series_->Value(); by > 0) series_->Increment(by);
}
double Counter::value() const { return series_->Value(); }

void Gauge::set(double to) const { series_->Set(to); }
double Gauge::value() const { return series_->Value(); }

void Histogram::observe(double sample) const { series_->observe(sample); }
void Histogram::observe(double sample, const Exemplar& named) const { series_->observe(sample, named); }
std::uint64_t Histogram::count() const { return series_->Collect().histogram.sample_count; }
double Histogram::sum() const { return series_->Collect().histogram.sample_sum; }

namespace detail {

class FamilyState {
 public:
  using Type = Metrics::Type;
  using Series = std::variant<std::shared_ptr<prometheus::Counter>, std::shared_ptr<prometheus::Gauge>,
                              std::shared_ptr<HistogramSeries>>;

  FamilyState(std::string help, Type type, Buckets buckets)
      : help_(std::move(help)), type_(type), buckets_(std::move(buckets)) {}

  [[nodiscard]] Type type() const noexcept { return type_; }

  /// S is the one of `Series` that the type asks for.
  template <class S>
  S with(const Labels& labels) {
    const std::lock_guard lock(mutex_);
    const auto it = series_.find(labels);
    return std::get<S>(it != series_.end() ? it->second : series_.emplace(labels, fresh()).first->second);
  }

  void clear() {
    const std::lock_guard lock(mutex_);
    series_.clear();
  }

  void forget(const std::string& label, const std::string& value) {
    const std::lock_guard lock(mutex_);
    std::erase_if(series_, [&](const auto& s) {
      const auto it = s.first.find(label);
      return it != s.first.end() && it->second == value;
    });
  }

  [[nodiscard]] prometheus::MetricFamily collect(const std::string& name) const {
    const std::lock_guard lock(mutex_);
    prometheus::MetricFamily out{name, help_, prometheus_type(), {}};
    for (const auto& [labels, series] : series_) {
      out.metric.push_back(std::visit([](const auto& s) { return s->Collect(); }, series));
      for (const auto& [key, value] : labels) out.metric.back().label.push_back({key, value});
    }
    return out;
  }

  [[nodiscard]] OpenMetricsFamily collect_open(const std::string& name) const {
    const std::lock_guard lock(mutex_);
    OpenMetricsFamily out{name, help_, open_type(), {}};
    for (const auto& [labels, series] : series_) {
      OpenMetricsSeries& s = out.series.emplace_back();
      s.labels = labels;
      const prometheus::ClientMetric m = std::visit([](const auto& of) { return of->Collect(); }, series);
      if (type_ == Type::counter) s.value = m.counter.value;
      if (type_ == Type::gauge) s.value = m.gauge.value;
      if (type_ != Type::histogram) continue;
      s.value = m.histogram.sample_sum;
      for (const auto& b : m.histogram.bucket) s.buckets.push_back({b.upper_bound, b.cumulative_count});
      s.exemplars = std::get<std::shared_ptr<HistogramSeries>>(series)->exemplars();
    }
    return out;
  }

 private:
  [[nodiscard]] OpenMetricsType open_type() const noexcept {
    if (type_ == Type::counter) return OpenMetricsType::counter;
    return type_ == Type::gauge ? OpenMetricsType::gauge : OpenMetricsType::histogram;
  }
  [[nodiscard]] Series fresh() const {
    if (type_ == Type::counter) return std::make_shared<prometheus::Counter>();
    if (type_ == Type::gauge) return std::make_shared<prometheus::Gauge>();
    return std::make_shared<HistogramSeries>(buckets_);
  }
  [[nodiscard]] prometheus::MetricType prometheus_type() const noexcept {
    if (type_ == Type::counter) return prometheus::MetricType::Counter;
    return type_ == Type::gauge ? prometheus::MetricType::Gauge : prometheus::MetricType::Histogram;
  }

  const std::string help_;
  const Type type_;
  const Buckets buckets_;
  mutable std::mutex mutex_;
  std::map<Labels, Series> series_;
};

}  // namespace detail

template <>
Counter Counters::with(const Labels& labels) const {
  return Counter(state_->with<std::shared_ptr<prometheus::Counter>>(labels));
}
template <>
Gauge Gauges::with(const Labels& labels) const {
  return Gauge(state_->with<std::shared_ptr<prometheus::Gauge>>(labels));
}
template <>
Histogram Histograms::with(const Labels& labels) const {
  return Histogram(state_->with<std::shared_ptr<detail::HistogramSeries>>(labels));
}
template <class Handle>
void Family<Handle>::clear() const {
  state_->clear();
}
template class Family<Counter>;
template class Family<Gauge>;
template class Family<Histogram>;

std::shared_ptr<detail::FamilyState> Metrics::family(const std::string& name, const std::string& help, Type type,
                                                     const Buckets& buckets) {
  const std::lock_guard lock(mutex_);
  auto& found = families_[name];
  if (found && found->type() != type) {
    log::error("two types of metric under one name; one of them is not told", {{"metric", name}});
    return std::make_shared<detail::FamilyState>(help, type, buckets);
  }
  if (!found) found = std::make_shared<detail::FamilyState>(help, type, buckets);
  return found;
}

Counters Metrics::counters(const std::string& name, const std::string& help) {
  return Counters(family(name, help, Type::counter, {}));
}

Gauges Metrics::gauges(const std::string& name, const std::string& help) {
  return Gauges(family(name, help, Type::gauge, {}));
}

Histograms Metrics::histograms(const std::string& name, const std::string& help, const Buckets& buckets) {
  return Histograms(family(name, help, Type::histogram, buckets));
}

Counter Metrics::counter(const std::string& name, const std::string& help, const Labels& labels) {
  return counters(name, help).with(labels);
}

Gauge Metrics::gauge(const std::string& name, const std::string& help, const Labels& labels) {
  return gauges(name, help).with(labels);
}

Histogram Metrics::histogram(const std::string& name, const std::string& help, const Buckets& buckets,
                             const Labels& labels) {
  return histograms(name, help, buckets).with(labels);
}

void Metrics::forget(const std::string& label, const std::string& value) {
  const std::lock_guard lock(mutex_);
  for (const auto& [name, family] : families_) family->forget(label, value);
}

void Metrics::before_text(std::function<void()> refresh) {
  const std::lock_guard lock(mutex_);
  refreshers_.push_back(std::move(refresh));
}

void Metrics::refresh() const {
  std::vector<std::function<void()>> refreshers;
  {
    const std::lock_guard lock(mutex_);
    refreshers = refreshers_;
  }
  for (const auto& refresh : refreshers) refresh();  // without the mutex: they may ask for families
}

std::string Metrics::openmetrics() const {
  refresh();
  std::vector<OpenMetricsFamily> all;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, family] : families_) all.push_back(family->collect_open(name));
  }
  return to_openmetrics(all);
}

std::string Metrics::text() const {
  refresh();
  std::vector<prometheus::MetricFamily> all;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, family] : families_) all.push_back(family->collect(name));
  }
  return prometheus::TextSerializer().Serialize(all);
}

const Buckets& ttft_buckets() {
  static const Buckets b{.001, .005, .01, .02, .04, .06, .08, .1, .25, .5,  .75,
                         1,    2.5,  5,   7.5, 10,  20,  40,  80, 160, 640, 2560};
  return b;
}

const Buckets& tpot_buckets() {
  static const Buckets b{.0005, .001, .002, .005, .01, .025, .05, .075, .1, .15, .2, .3,
                         .4,    .5,   .75,  1,    2.5, 5,    7.5, 10,   20, 40,  80};
  return b;
}

const Buckets& request_buckets() {
  static const Buckets b{.005, .01, .02, .05, .1, .2, .3, .5,  .8,  1,   1.5, 2,    2.5, 5,
                         10,   15,  20,  30,  40, 50, 60, 120, 240, 480, 960, 1920, 7680};
  return b;
}

const Buckets& stage_buckets() {
  static const Buckets b{.0001, .0002, .0005, .001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 20, 60};
  return b;
}

Buckets count_buckets(double most) {
  Buckets b;
  for (double decade = 1; decade <= most; decade *= 10)
    for (const double step : {1.0, 2.0, 5.0})
      if (decade * step <= most) b.push_back(decade * step);
  return b;
}

}  // namespace sluice
