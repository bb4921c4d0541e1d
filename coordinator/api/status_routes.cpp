#include "coordinator/api/status_routes.h"

#include "common/openmetrics.h"

namespace sluice::coordinator {
namespace {

HttpResponse metrics(const HttpRequest& q, const StatusBackend& backend) {
  const bool open = prefers_openmetrics(q.headers.find("accept").value_or(""));
  const std::string_view type = open ? kOpenMetricsMediaType : "text/plain; version=0.0.4; charset=utf-8";
  return {200,
          {{"content-type", std::string(type)}, {"vary", "accept"}},
          open ? backend.openmetrics_text() : backend.metrics_text()};
}

HttpResponse health(const StatusBackend& backend) {
  const Health h = backend.health();
  nlohmann::json body = {{"status", h.ready ? "ok" : "unavailable"}};
  if (!h.ready) body["reason"] = h.reason;
  if (h.detail.is_object()) body.update(h.detail);
  return json_response(body, h.ready ? 200 : 503);
}

}  // namespace

void add_status_routes(HttpRoutes& routes, const StatusBackend& backend, bool with_metrics) {
  using Out = std::shared_ptr<Responder>;
  routes.add("GET", "/health", [&backend](const HttpRequest&, const Out& out) { out->respond(health(backend)); },
             {.open = true});
  if (!with_metrics) return;
  routes.add("GET", "/metrics", [&backend](const HttpRequest& q, const Out& out) { out->respond(metrics(q, backend)); },
             {.open = true});
}

}  // namespace sluice::coordinator
