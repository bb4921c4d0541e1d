#pragma once
// What a daemon tells of the certificates that it has loaded: when they began, when they end, and how often changed
// files could not be used. The families stand in the text before there is a certificate.
// Threading: that of the sources; the text is made there, too.
#include <memory>
#include <string>

#include "common/metrics.h"
#include "common/tls/source.h"

namespace sluice::tls {

class CertificateMetrics {
 public:
  explicit CertificateMetrics(Metrics& metrics);
  /// From now on `source` is told as `plane`: http, control, registry, pages. Null: that plane has no TLS.
  void follow(const std::shared_ptr<Source>& source, const std::string& plane);

 private:
  Metrics& metrics_;
  Gauges begins_, ends_;
  Counters failures_;
};

}  // namespace sluice::tls
