#include "coordinator/admin/admin_api.h"

#include <algorithm>
#include <charconv>

#include "common/json/parse.h"
#include "common/json/reader.h"

namespace sluice::coordinator {

using nlohmann::json;

namespace {

/// The value of a numeric query parameter, or `fallback` when absent.
Result<std::uint64_t> query_number(std::string_view query, const std::string& key, std::uint64_t fallback) {
  while (!query.empty()) {
    const auto amp = query.find('&');
    const std::string_view pair = query.substr(0, amp);
    if (pair.size() > key.size() && pair.starts_with(key) && pair[key.size()] == '=') {
      const std::string_view v = pair.substr(key.size() + 1);
      std::uint64_t n = 0;
      const auto r = std::from_chars(v.data(), v.data() + v.size(), n);
      if (r.ec != std::errc() || r.ptr != v.data() + v.size())
        return fail_param(key, "'{}' must be a whole number", key);
      return n;
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
         {"state", n.draining       ? "draining"
                   : n.last.stalled ? "stalled"
                                    : "ready"},
         {"changes_role", n.info.changes_role},
         {"incarnation", fmt::format("{:016x}", n.info.incarnation.value())},
         {"admin_address", n.info.admin_address},
         {"admin_scheme", n.info.admin_tls ? "https" : "http"},
         {"data_address", n.info.data_address},
         {"backend", n.info.model.backend},
         {"precision", n.info.model.precision},
         {"version", n.info.model.version},
         {"model_hash", n.info.model.hash},
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
    if (n.info.grows)
      j["memory"] = {{"held_blocks", n.reserved_blocks},
                     {"expected_blocks", n.memory.expected_peak()},
                     {"forecast_ratio", n.memory.peak() / std::max(n.info.total_blocks, 1U)},
                     {"margin_ratio", n.memory.margin()},
                     {"parked", n.last.parked},
                     {"parked_blocks", n.last.parked_blocks},
                     {"preemptions", n.last.preemptions}};
    j["moves"] = n.info.moves;
  }
  return j;
}

json nodes_json(const NodesView& v, const RolesView& roles) {
  json out = json::array();
  const TimePoint now = SteadyClock().now();
  for (const auto& [id, n] : v.cluster().nodes()) {
    out.push_back(node_json(n, v.cluster(), now));
    if (const auto to = roles.becomes(id)) out.back()["becomes"] = control::name(*to);
  }
  return out;
}

/// Nodes that wanted to join and may not.
json refused_json(const NodesView& v) {
  json out = json::array();
  const TimePoint now = SteadyClock().now();
  for (const auto& [id, r] : v.cluster().refusals())
    out.push_back({{"node", id.value()}, {"why", r.why}, {"age_ms", millis(now - r.when)}});
  return out;
}

json profiles_json(const NodesView& v, const Slo& defaults) {
  json out = json::array();
  for (std::size_t i = 0; i < v.cluster().profiles().size(); ++i) {
    const ProfileEntry& p = v.cluster().profiles()[i];
    double encode = 0;
    double decode = 0;
    double ratio = 0;
    for (const auto& [id, n] : v.cluster().nodes()) {
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
           {"allowed", p.kl <= defaults.quality_kl}};
    if (const auto* q = v.quality().find(p.name)) {
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

json status_json(const ServiceStatus& s, const Slo& defaults) {
  return {{"ready", s.ready},
          {"reason", s.reason},
          {"model", s.model},
          {"version", SLUICE_VERSION},
          {"wall_time_ns",
           std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch())
               .count()},
          {"control_address", s.control_address},
          {"waiting", s.waiting},
          {"active", s.active},
          {"nodes", s.nodes},
          {"slo", slo_json(defaults)}};
}

json slo_document(const SloBook& book) {
  json out = slo_json(book.defaults());
  out["classes"] = book.to_json();
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

using ResponderPtr = std::shared_ptr<Responder>;

/// Answers once the change is in force.
SloView::Done answer_with_slos(SloView& v, const ResponderPtr& r) {
  return [&v, r](const Result<>& done) {
    if (!done) return r->respond(error_response(ApiError::from(done.error())));
    r->respond(json_response(slo_document(v.slos())));
  };
}

constexpr std::size_t kMaxName = 256;
constexpr std::size_t kMaxBody = std::size_t{64} << 10;  // it is read on the thread that everything runs on

void put_slo(SloView& v, const HttpRequest& q, const ResponderPtr& r) {
  auto body = parse_json(q.body, {.what = "the body", .max_bytes = kMaxBody});
  if (!body) return r->respond(error_response(ApiError::from(body.error())));
  auto name = take_class(*body);
  if (!name) return r->respond(error_response(ApiError::from(name.error())));
  v.change_slo(*name, *body, q.peer, answer_with_slos(v, r));
}

void recent_decisions(const DecisionsView& v, const HttpRequest& q, Responder& r) {
  const auto after = query_number(q.query, "after", 0);
  if (!after) return r.respond(error_response(ApiError::from(after.error())));
  const auto limit = query_number(q.query, "limit", 100);
  if (!limit) return r.respond(error_response(ApiError::from(limit.error())));
  r.respond(json_response({{"decisions", v.decisions(*after, *limit)}}));
}

void drain(NodesView& v, const HttpRequest& q, Responder& r) {
  const auto force = query_number(q.query, "force", 0);
  if (!force) return r.respond(error_response(ApiError::from(force.error())));
  if (auto drained = v.drain(NodeId(q.rest), *force != 0); !drained)
    return r.respond(error_response(ApiError::from(drained.error())));
  r.respond(json_response({{"node", q.rest}, {"state", "draining"}}));
}

void change_role(RolesView& v, const HttpRequest& q, const ResponderPtr& r) {
  const auto refuse = [&r](const Error& e) { r->respond(error_response(ApiError::from(e))); };
  const auto force = query_number(q.query, "force", 0);
  if (!force) return refuse(force.error());
  constexpr std::size_t kMaxBody = 4096;
  auto body = parse_json_object(q.body, {.what = "the body", .max_bytes = kMaxBody});
  if (!body) return refuse(body.error());
  for (const auto& [key, value] : body->items())
    if (key != "to")
      return refuse(Error{Errc::invalid_argument, "unknown field '" + key + "'; there is only 'to'", key});
  const std::string to = body->contains("to") && (*body)["to"].is_string() ? (*body)["to"].get<std::string>() : "";
  if (to != "prefill" && to != "decode")
    return refuse(Error{Errc::invalid_argument, "'to' must be \"prefill\" or \"decode\"", "to"});
  v.change_role(NodeId(q.rest), to == "prefill" ? control::Role::prefill : control::Role::decode, *force != 0,
                [r, node = std::string(q.rest), to](const Result<>& begun) {
                  if (!begun) return r->respond(error_response(ApiError::from(begun.error())));
                  r->respond(json_response({{"node", node}, {"state", "draining"}, {"becomes", to}}));
                });
}

/// Answers once the move is over.
void migrate(NodesView& v, const HttpRequest& q, const ResponderPtr& r) {
  const auto body = parse_json(q.body, {.what = "the body", .max_bytes = kMaxBody});
  if (!body) return r->respond(error_response(ApiError::from(body.error())));
  JsonReader in(*body, {.what = "the body", .null_is_absent = false});
  JsonObject f = in.object();
  std::string request;
  std::string node;
  f.need("request").into(request, {.least = 1, .most = kMaxName});
  f.need("node").into(node, {.least = 1, .most = kMaxName});
  f.closed();
  if (const auto read = in.done(); !read) return r->respond(error_response(ApiError::from(read.error())));
  v.migrate(request, NodeId(node), [r](const Result<json>& said) {
    if (!said) return r->respond(error_response(ApiError::from(said.error())));
    r->respond(json_response(*said));
  });
}

void explain_slo(SloView& v, const HttpRequest& q, Responder& r) {
  auto said = v.explain_slo(std::string(q.rest));
  if (!said) return r.respond(error_response(ApiError::from(said.error())));
  r.respond(json_response(*said));
}

}  // namespace

void add_admin_routes(HttpRoutes& routes, const AdminViews& views) {
  auto get = [&](const char* path, auto make) {
    routes.add("GET", path, [views, make](const HttpRequest& q, const ResponderPtr& r) {
      r->respond(json_response(make(views, q)));
    });
  };
  get("/sluice/v1/status", [](const AdminViews& v, const HttpRequest& q) {
    json j = status_json(v.status.status(), v.slos.slos().defaults());
    j["roles"] = v.roles.roles();
    j["admin"] = q.caller && q.caller->admin;  // whether this caller may change things
    return j;
  });
  get("/sluice/v1/nodes", [](const AdminViews& v, const HttpRequest&) {
    return json{{"nodes", nodes_json(v.nodes, v.roles)}, {"refused", refused_json(v.nodes)}};
  });
  get("/sluice/v1/profiles", [](const AdminViews& v, const HttpRequest&) {
    return json{{"profiles", profiles_json(v.nodes, v.slos.slos().defaults())}};
  });
  get("/sluice/v1/slo", [](const AdminViews& v, const HttpRequest&) { return slo_document(v.slos.slos()); });
  get("/sluice/v1/coordinators", [](const AdminViews& v, const HttpRequest&) { return v.coordinators.coordinators(); });
  get("/sluice/v1/totals", [](const AdminViews& v, const HttpRequest&) { return v.decisions.totals(); });
  routes.add("GET", "/sluice/v1/decisions",
             [&decisions = views.decisions](const HttpRequest& q, const ResponderPtr& r) {
               recent_decisions(decisions, q, *r);
             });
  routes.add("PUT", "/sluice/v1/slo",
             [&slos = views.slos](const HttpRequest& q, const ResponderPtr& r) { put_slo(slos, q, r); },
             {.admin = true});
  routes.add_prefix("DELETE", "/sluice/v1/slo/",
                    [&slos = views.slos](const HttpRequest& q, const ResponderPtr& r) {
                      slos.remove_slo(std::string(q.rest), q.peer, answer_with_slos(slos, r));
                    },
                    {.admin = true});
  routes.add_prefix("GET", "/sluice/v1/slo/explain/",
                    [&slos = views.slos](const HttpRequest& q, const ResponderPtr& r) { explain_slo(slos, q, *r); });
  routes.add_prefix("POST", "/sluice/v1/drain/",
                    [&nodes = views.nodes](const HttpRequest& q, const ResponderPtr& r) { drain(nodes, q, *r); },
                    {.admin = true});
  routes.add_prefix("POST", "/sluice/v1/role/",
                    [&roles = views.roles](const HttpRequest& q, const ResponderPtr& r) { change_role(roles, q, r); },
                    {.admin = true});
  routes.add("POST", "/sluice/v1/migrate",
             [&nodes = views.nodes](const HttpRequest& q, const ResponderPtr& r) { migrate(nodes, q, r); },
             {.admin = true});
}

}  // namespace sluice::coordinator
