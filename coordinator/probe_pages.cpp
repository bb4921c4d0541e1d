#include "coordinator/probe_pages.h"

#include <chrono>

#include "coordinator/serving/health.h"

namespace sluice::coordinator {
namespace {

constexpr std::chrono::milliseconds kLook{500};

HttpResponse page(const nlohmann::json& body, bool good) {
  return {good ? 200 : 503, {{"content-type", "application/json"}}, body.dump() + "\n"};
}

}  // namespace

ProbePages::ProbePages(boost::asio::io_context& io, const Clock& clock, std::function<Health()> health,
                       const PromptPool& prompts, Duration wedge)
    : clock_(clock), health_(std::move(health)), prompts_(prompts), wedge_(wedge), timer_(io) {
  look();
}

void ProbePages::look() {
  std::uint64_t ended = 0;
  std::size_t running = 0;  // not those that wait: a client that must rest has work waiting, and nothing is wrong
  for (const PromptPoolStats::Lane& l : prompts_.stats().lanes) {
    ended += l.done + l.dropped;
    running += l.running;
  }
  readers_.see(ended, running > 0, clock_.now());
  timer_.expires_after(kLook);
  timer_.async_wait([this](boost::system::error_code ec) {
    if (!ec) look();
  });
}

void ProbePages::add_routes(HttpRoutes& routes) {
  routes.add(
      "GET", "/livez",
      [](const HttpRequest&, const std::shared_ptr<Responder>& out) { out->respond(page({{"live", true}}, true)); },
      {.open = true});
  routes.add("GET", "/readyz", [this](const HttpRequest&, const std::shared_ptr<Responder>& out) { ready(*out); },
             {.open = true});
}

void ProbePages::ready(Responder& out) const {
  const Health h = with_readers(health_(), readers_.still(), wedge_);
  nlohmann::json body{{"ready", h.ready}};
  if (!h.ready) body["why"] = h.reason;
  if (h.detail.is_object()) body.update(h.detail);
  out.respond(page(body, h.ready));
}

}  // namespace sluice::coordinator
