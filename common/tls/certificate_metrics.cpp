#include "common/tls/certificate_metrics.h"

#include <chrono>

namespace sluice::tls {
namespace {

/// The two gauges of a certificate.
struct Life {
  Gauge begins, ends;
  void tell(const Lifetime& l) const {
    begins.set(std::chrono::duration<double>(l.begins.time_since_epoch()).count());
    ends.set(std::chrono::duration<double>(l.ends.time_since_epoch()).count());
  }
};

}  // namespace

CertificateMetrics::CertificateMetrics(Metrics& metrics)
    : metrics_(metrics),
      begins_(metrics.gauges("sluice_tls_certificate_start_seconds",
                             "When the certificate that ends first began, in Unix seconds.")),
      ends_(
          metrics.gauges("sluice_tls_certificate_expiry_seconds",
                         "When the first of the certificates in use ends, in Unix seconds, by plane and kind: own (up "
                         "to its authority) or authority (whom the daemon believes).")),
      failures_(metrics.counters("sluice_tls_reload_failures_total",
                                 "Times that changed certificate files could not be used.")) {}

void CertificateMetrics::follow(const std::shared_ptr<Source>& source, const std::string& plane) {
  if (!source) return;
  const auto life = [&](const std::optional<Lifetime>& there, const std::string& kind) -> std::optional<Life> {
    if (!there) return std::nullopt;
    const Labels labels{{"plane", plane}, {"kind", kind}};
    return Life{begins_.with(labels), ends_.with(labels)};
  };
  metrics_.before_text([source, failed = failures_.with({{"plane", plane}}),
                        own = life(source->current()->own(), "own"),
                        authority = life(source->current()->authority(), "authority")] {
    const Context& now = *source->current();
    if (own && now.own()) own->tell(*now.own());
    if (authority && now.authority()) authority->tell(*now.authority());
    failed.raise_to(static_cast<double>(source->failures()));
  });
}

}  // namespace sluice::tls
