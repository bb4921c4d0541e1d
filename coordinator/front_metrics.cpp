#include "coordinator/front_metrics.h"

namespace sluice::coordinator {
namespace {

void export_server(Metrics& metrics, const HttpServer& server) {
  const Gauge open = metrics.gauge("sluice_http_connections", "Open HTTP connections.");
  const Gauge active = metrics.gauge("sluice_http_requests_active", "HTTP requests being answered.");
  const Counter accepted = metrics.counter("sluice_http_connections_accepted_total", "HTTP connections accepted.");
  const Counters closed = metrics.counters(
      "sluice_http_connections_closed_total",
      "HTTP connections that the server ended: evicted to make room, turned away with nobody to evict, slow readers "
      "cut off, requests that did not arrive in time, failed TLS handshakes; and answers that their clients cut.");
  const Counters bytes = metrics.counters("sluice_http_bytes_total", "Bytes over HTTP connections.");
  metrics.before_text([=, &server, evicted = closed.with({{"why", "evicted"}}),
                       refused = closed.with({{"why", "full"}}), slow = closed.with({{"why", "slow_reader"}}),
                       late = closed.with({{"why", "read_timeout"}}), handshake = closed.with({{"why", "handshake"}}),
                       cut = closed.with({{"why", "client_closed"}}), in = bytes.with({{"direction", "in"}}),
                       out = bytes.with({{"direction", "out"}})] {
    const HttpServerStats& s = server.stats();
    open.set(static_cast<double>(s.open));
    active.set(static_cast<double>(s.active));
    accepted.raise_to(static_cast<double>(s.accepted));
    evicted.raise_to(static_cast<double>(s.evicted));
    refused.raise_to(static_cast<double>(s.refused));
    slow.raise_to(static_cast<double>(s.slow_readers));
    late.raise_to(static_cast<double>(s.read_timeouts));
    handshake.raise_to(static_cast<double>(s.handshake_failures));
    cut.raise_to(static_cast<double>(s.client_closed));
    in.raise_to(static_cast<double>(s.bytes_in));
    out.raise_to(static_cast<double>(s.bytes_out));
  });
}

/// One lane's series.
struct LaneSeries {
  LaneSeries(Metrics& m, const std::string& lane)
      : threads(m.gauge("sluice_prompt_threads", "Threads that read requests, by lane.", {{"lane", lane}})),
        waiting(m.gauge("sluice_prompt_jobs_waiting", "Requests that wait to be read.", {{"lane", lane}})),
        waiting_bytes(
            m.gauge("sluice_prompt_waiting_bytes", "Bytes of requests that wait to be read.", {{"lane", lane}})),
        running(m.gauge("sluice_prompt_jobs_running", "Requests that are being read.", {{"lane", lane}})),
        done(m.counter("sluice_prompt_jobs_total", kJobs, {{"lane", lane}, {"outcome", "done"}})),
        dropped(m.counter("sluice_prompt_jobs_total", kJobs, {{"lane", lane}, {"outcome", "client_gone"}})),
        refused(m.counter("sluice_prompt_jobs_total", kJobs, {{"lane", lane}, {"outcome", "refused"}})),
        bytes(m.counter("sluice_prompt_bytes_total", "Bytes of requests read.", {{"lane", lane}})),
        waited(
            m.counter("sluice_prompt_wait_seconds_total", "Time that requests waited to be read.", {{"lane", lane}})),
        worked(m.counter("sluice_prompt_work_seconds_total", "Time that threads spent reading requests.",
                         {{"lane", lane}})) {}

  void tell(const PromptPoolStats::Lane& s) const {
    threads.set(s.threads);
    waiting.set(static_cast<double>(s.waiting));
    waiting_bytes.set(static_cast<double>(s.waiting_bytes));
    running.set(static_cast<double>(s.running));
    done.raise_to(static_cast<double>(s.done));
    dropped.raise_to(static_cast<double>(s.dropped));
    refused.raise_to(static_cast<double>(s.refused));
    bytes.raise_to(static_cast<double>(s.done_bytes));
    waited.raise_to(s.waited_seconds);
    worked.raise_to(s.worked_seconds);
  }

 private:
  static constexpr const char* kJobs = "Requests parsed, rendered and tokenized, by lane and outcome.";
  Gauge threads, waiting, waiting_bytes, running;
  Counter done, dropped, refused, bytes, waited, worked;
};

}  // namespace

void export_front(Metrics& metrics, const HttpServer& server, const PromptPool& prompts) {
  export_server(metrics, server);
  metrics.before_text([&prompts, brief = LaneSeries(metrics, "short"), lengthy = LaneSeries(metrics, "long")] {
    const PromptPoolStats s = prompts.stats();
    brief.tell(s.lanes[0]);
    lengthy.tell(s.lanes[1]);
  });
}

}  // namespace sluice::coordinator
