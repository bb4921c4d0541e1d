#include "coordinator/admin/admin_api.h"

#include <charconv>
#include <cmath>

#include "common/log.h"

namespace sluice::coordinator {

using nlohmann::json;

namespace {

/// The value of a numeric query parameter, or `fallback` when absent or not a number.
std::uint64_t query_number(std::string_view query, std::string_view key, std::uint64_t fallback) {
  while (!query.empty()) {
    const auto amp = query.find('&');
    const std::string_view pair = query.substr(0, amp);
    if (pair.size() > key.size() && pair.starts_with(key) && pair[key.size()] == '=') {
      const std::string_view v = pair.substr(key.size() + 1);
      std::uint64_t n = 0;
      const auto r = std::from_chars(v.data(), v.data() + v.size(), n);
      return r.ec == std::errc() && r.ptr == v.data() + v.size() ? n : fallback;
    }
    query = amp == std::string_view::npos ? std::string_view() : query.substr(amp + 1);
  }
  return fallback;
}

json node_json(const NodeRecord& n, const ClusterView& view, TimePoint now) {
  json links = json::array();
  for (const auto& l : n.last.links) links.push_back(control::to_json(l));
  json speeds = json::object();
  for (std::size_t i = 0; i < n.speeds.size(); ++i)
    speeds[view.profiles()[i].name] = {
        {"encode_bps", n.speeds[i].encode_bps}, {"decode_bps", n.speeds[i].decode_bps}, {"ratio", n.speeds[i].ratio}};
  json j{{"node", n.info.node.value()},
         {"role", control::name(n.info.role)},
         {"state", n.draining ? "draining" : "ready"},
         {"incarnation", fmt::format("{:016x}", n.info.incarnation.value())},
         {"admin_address", n.info.admin_address},
         {"data_address", n.info.data_address},
         {"backend", n.info.model.backend},
         {"precision", n.info.model.precision},
         {"requests", n.requests},
         {"heartbeat_age_ms", millis(now - n.seen)},
         {"running", n.last.running},
         {"waiting", n.last.waiting},
         {"free_blocks", n.last.free_blocks},
         {"total_blocks", n.last.total_blocks},
         {"links", std::move(links)},
         {"profiles", std::move(speeds)}};
  if (n.info.role == control::Role::prefill) {
    j["prefill_tokens_per_s"] = n.last.prefill_tokens_per_s;
    j["queued_tokens"] = n.queued_tokens;
    j["prefill_chunk"] = n.info.prefill_chunk;
    j["max_batch_tokens"] = n.info.max_batch_tokens;
    j["frame_kib"] = n.info.frame_kib;
  } else {
    j["step_ms"] = n.last.step_s * 1e3;
    j["step_batch"] = n.last.step_batch;
    j["seqs"] = n.seqs;
  }
  return j;
}

json nodes_json(const Serving& s) {
  json out = json::array();
  const TimePoint now = SteadyClock().now();
  for (const auto& [id, n] : s.view().nodes()) out.push_back(node_json(n, s.view(), now));
  return out;
}

json profiles_json(const Serving& s) {
  json out = json::array();
  for (std::size_t i = 0; i < s.view().profiles().size(); ++i) {
    const ProfileEntry& p = s.view().profiles()[i];
    double encode = 0;
    double decode = 0;
    double ratio = 0;
    for (const auto& [id, n] : s.view().nodes()) {
      encode = std::max(encode, n.speeds[i].encode_bps);
      decode = std::max(decode, n.speeds[i].decode_bps);
      if (n.info.role == control::Role::prefill) ratio = std::max(ratio, n.speeds[i].ratio);
    }
    json j{{"name", p.name},
           {"kl", p.kl},
           {"stated_kl", p.stated_kl},
           {"ratio", ratio},
           {"encode_bps", encode},
           {"decode_bps", decode},
           {"allowed", p.kl <= s.slos().book().defaults().quality_kl}};
    if (const auto* q = s.quality().find(p.name)) {
      j["probes"] = q->probes;
      j["drift"] = q->left;
      j["probed_kl"] = q->probes > 0 ? json(q->recent.mean()) : json();
      j["probed_top1"] =
          q->probes > 0 ? json(static_cast<double>(q->same_top1) / static_cast<double>(q->probes)) : json();
    }
    out.push_back(std::move(j));
  }
  return out;
}

json status_json(const Serving& s) {
  const Health h = s.health();
  return {{"ready", h.ready},
          {"reason", h.reason},
          {"model", s.model().id},
          {"version", SLUICE_VERSION},
          {"control_address", s.control_address()},
          {"waiting", s.waiting()},
          {"active", s.active()},
          {"nodes", h.detail},
          {"slo", slo_json(s.slos().book().defaults())}};
}

json slo_document(const Serving& s) {
  json out = slo_json(s.slos().book().defaults());
  out["classes"] = s.slos().book().to_json();
  return out;
}

/// The class a body names, taken out of it; "default" when it names none.
Result<std::string> take_class(json& body) {
  if (!body.is_object() || !body.contains("class")) return std::string(kDefaultClass);
  if (!body["class"].is_string()) return fail_param("class", "'class' must be a string");
  auto name = body["class"].get<std::string>();
  body.erase("class");
  return name;
}

void put_slo(Serving& s, const HttpRequest& q, Responder& r) {
  json body = json::parse(q.body, nullptr, false);
  if (body.is_discarded()) return r.respond(error_response(ApiError::invalid("the body is not valid JSON")));
  auto name = take_class(body);
  if (!name) return r.respond(error_response(ApiError::from(name.error())));
  if (auto slo = s.slos().change(*name, body, q.peer); !slo) return r.respond(error_response(ApiError::from(slo.error())));
  r.respond(json_response(slo_document(s)));
}

void delete_slo(Serving& s, const HttpRequest& q, Responder& r) {
  if (auto done = s.slos().remove(std::string(q.rest), q.peer); !done)
    return r.respond(error_response(ApiError::from(done.error())));
  r.respond(json_response(slo_document(s)));
}

void explain_slo(Serving& s, const HttpRequest& q, Responder& r) {
  auto said = s.slos().explain(std::string(q.rest));
  if (!said) return r.respond(error_response(ApiError::from(said.error())));
  r.respond(json_response(*said));
}

}  // namespace

void add_admin_routes(HttpRoutes& routes, Serving& serving) {
  using ResponderPtr = std::shared_ptr<Responder>;
  auto get = [&](const char* path, auto make) {
    routes.add("GET", path, [&serving, make](const HttpRequest& q, const ResponderPtr& r) {
      r->respond(json_response(make(serving, q)));
    });
  };
  get("/sluice/v1/status", [](const Serving& s, const HttpRequest&) { return status_json(s); });
  get("/sluice/v1/nodes", [](const Serving& s, const HttpRequest&) { return json{{"nodes", nodes_json(s)}}; });
  get("/sluice/v1/profiles", [](const Serving& s, const HttpRequest&) { return json{{"profiles", profiles_json(s)}}; });
  get("/sluice/v1/slo", [](const Serving& s, const HttpRequest&) { return slo_document(s); });
  get("/sluice/v1/decisions", [](const Serving& s, const HttpRequest& q) {
    return json{
        {"decisions", s.decisions().since(query_number(q.query, "after", 0), query_number(q.query, "limit", 100))}};
  });
  routes.add("PUT", "/sluice/v1/slo",
             [&serving](const HttpRequest& q, const ResponderPtr& r) { put_slo(serving, q, *r); });
  routes.add_prefix("DELETE", "/sluice/v1/slo/",
                    [&serving](const HttpRequest& q, const ResponderPtr& r) { delete_slo(serving, q, *r); });
  routes.add_prefix("GET", "/sluice/v1/slo/explain/",
                    [&serving](const HttpRequest& q, const ResponderPtr& r) { explain_slo(serving, q, *r); });
  routes.add_prefix("POST", "/sluice/v1/drain/", [&serving](const HttpRequest& q, const ResponderPtr& r) {
    if (auto drained = serving.drain_node(NodeId(q.rest)); !drained)
      return r->respond(error_response(ApiError::from(drained.error())));
    r->respond(json_response({{"node", q.rest}, {"state", "draining"}}));
  });
}

}  // namespace sluice::coordinator
