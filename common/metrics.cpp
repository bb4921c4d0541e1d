#include "common/metrics.h"

#include <prometheus/text_serializer.h>

namespace sluice {

const std::vector<double>& ttft_buckets() {
  static const std::vector<double> b{.001, .005, .01, .02, .04, .06, .08, .1, .25, .5,
                                     .75,  1,    2.5, 5,   7.5, 10,  20,  40, 80,  160};
  return b;
}

const std::vector<double>& tpot_buckets() {
  static const std::vector<double> b{.0005, .001, .002, .005, .01, .025, .05, .075, .1, .15, .2,
                                     .3,    .4,   .5,   .75,  1,   2.5,  5,   10,   20, 40,  80};
  return b;
}

const std::vector<double>& stage_buckets() {
  static const std::vector<double> b{.0001, .0002, .0005, .001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10};
  return b;
}

Metrics::Metrics() : registry_(std::make_shared<prometheus::Registry>()) {}

prometheus::Counter& Metrics::counter(const std::string& name, const std::string& help, const Labels& labels) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(*registry_).Add(labels);
}

prometheus::Gauge& Metrics::gauge(const std::string& name, const std::string& help, const Labels& labels) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(*registry_).Add(labels);
}

prometheus::Histogram& Metrics::histogram(const std::string& name, const std::string& help,
                                          const std::vector<double>& buckets, const Labels& labels) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(*registry_).Add(labels, buckets);
}

std::string Metrics::text() const { return prometheus::TextSerializer().Serialize(registry_->Collect()); }

}  // namespace sluice
