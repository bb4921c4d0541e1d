#include "common/tls/certificate_metrics.h"

#include <chrono>

namespace sluice::tls {
namespace {

double unix_seconds(std::chrono::system_clock::time_point t) {
  return std::chrono::duration<double>(t.time_since_epoch()).count();
}

}  // namespace

CertificateMetrics::CertificateMetrics(Metrics& metrics)
    : metrics_(metrics),
      begins_(metrics.gauges("sluice_tls_certificate_start_seconds",
                             "When the certificate that ends first began, in Unix seconds.")),
      ends_(
          metrics.gauges("sluice_tls_certificate_expiry_seconds",
                         "When the first of the certificates in use ends, in Unix seconds, by plane and kind: own (up "
                         "to its authority), authority (whom the daemon believes), revocations (their lists).")),
      failures_(metrics.counters("sluice_tls_reload_failures_total",
                                 "Times that changed certificate files could not be used.")) {}

void CertificateMetrics::follow(const std::shared_ptr<Source>& source, const std::string& plane) {
  if (!source) return;
  metrics_.before_text([source, plane, begins = begins_, ends = ends_, failed = failures_.with({{"plane", plane}})] {
    const auto tell = [&](const std::optional<Lifetime>& life, const char* kind) {
      if (!life) return;
      const Labels labels{{"plane", plane}, {"kind", kind}};
      begins.with(labels).set(unix_seconds(life->begins));
      ends.with(labels).set(unix_seconds(life->ends));
    };
    const Context& now = *source->current();
    tell(now.own(), "own");
    tell(now.authority(), "authority");
    tell(now.revocations(), "revocations");
    failed.raise_to(static_cast<double>(source->failures()));
  });
}

}  // namespace sluice::tls
