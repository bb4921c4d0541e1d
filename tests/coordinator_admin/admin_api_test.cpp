// The operator's routes over a service that says what a test wants.
#include "coordinator/admin/admin_api.h"

#include <catch2/catch.hpp>
#include <map>

#include "coordinator/openapi/openapi.h"

using namespace sluice;
using namespace sluice::coordinator;
using nlohmann::json;
namespace ctl = sluice::control;

namespace {

struct FakeService final : StatusView, NodesView, RolesView, SloView, DecisionsView, CoordinatorsView {
  ServiceStatus now{.ready = true, .model = "fake", .control_address = "127.0.0.1:7", .waiting = 2, .active = 5};
  ClusterView view{std::chrono::minutes(1)};
  QualityWatch watch{{}};
  SloBook book{Slo{.quality_kl = 0.01}};
  std::vector<std::string> asked;  // what was changed, by whom
  bool forced = false;             // as the last drain was asked

  [[nodiscard]] ServiceStatus status() const override { return now; }
  [[nodiscard]] const ClusterView& cluster() const override { return view; }
  [[nodiscard]] const QualityWatch& quality() const override { return watch; }
  [[nodiscard]] Result<> drain(const NodeId& node, bool force) override {
    forced = force;
    if (!view.set_draining(node, true)) return fail(Errc::not_found, "node '{}' is not registered", node);
    return {};
  }
  void change_role(const NodeId& node, ctl::Role to, bool force, RolesView::Done done) override {
    forced = force;
    if (view.find(node) == nullptr) return done(fail(Errc::not_found, "node '{}' is not registered", node));
    changing[node] = to;
    done({});
  }
  [[nodiscard]] std::optional<ctl::Role> becomes(const NodeId& node) const override {
    return changing.contains(node) ? std::optional(changing.at(node)) : std::nullopt;
  }
  [[nodiscard]] json roles() const override { return {{"automatic", false}}; }
  std::map<NodeId, ctl::Role> changing;
  void migrate(const std::string& request, const NodeId& node, std::function<void(Result<json>)> done) override {
    if (node != NodeId("d1")) return done(fail(Errc::not_found, "node '{}' is not registered", node));
    done(json{{"request_id", request}, {"node", node.value()}, {"legs", json::array()}});
  }
  [[nodiscard]] const SloBook& slos() const override { return book; }
  void change_slo(const std::string& name, const json& settings, const std::string& who, SloView::Done done) override {
    asked.push_back(name + " by " + who);
    const auto changed = book.change(name, settings);
    done(changed ? Result<>() : Result<>(std::unexpected(changed.error())));
  }
  void remove_slo(const std::string& name, const std::string& who, SloView::Done done) override {
    asked.push_back("no " + name + " by " + who);
    done(book.remove(name));
  }
  [[nodiscard]] json coordinators() const override { return {{"registry", "memory"}}; }
  [[nodiscard]] Result<json> explain_slo(const std::string& name) override {
    SLUICE_TRY(book.find(name));
    return json{{"class", name}};
  }
  [[nodiscard]] json decisions(std::uint64_t after, std::size_t limit) const override {
    return json::array({{{"after", after}, {"limit", limit}}});
  }
  [[nodiscard]] json totals() const override { return {{"started", 7}}; }

  void join(ctl::Role role, const std::string& name) {
    ctl::RegisterRequest r;
    r.role = role;
    r.node = NodeId(name);
    r.incarnation = Incarnation(1);
    r.data_address = role == ctl::Role::decode ? "127.0.0.1:9" : "";
    r.block_size = 16;
    r.total_blocks = 100;
    r.max_seqs = 8;
    r.profiles = {{"raw", 0.0, 1.0, 1e9, 2e9}, {"q4", 0.02, 4.0, 3e9, 1e9}};
    REQUIRE(view.add(std::move(r), TimePoint{}));
  }
};

struct Answer final : Responder {
  HttpResponse got;
  void respond(HttpResponse r) override { got = std::move(r); }
  [[nodiscard]] std::shared_ptr<StreamWriter> begin_stream(int, HttpHeaders) override { return nullptr; }
  void on_disconnect(std::function<void(Disconnect)>) override {}
  [[nodiscard]] bool closed() const override { return false; }
};

struct Surface {
  FakeService service;
  HttpRoutes routes;

  Surface() { add_admin_routes(routes, {service, service, service, service, service, service}); }
  /// The body of a 200, or {"status": ...} and the error.
  json ask(const std::string& method, const std::string& path, const std::string& query = "",
           const std::string& body = "") {
    const auto match = routes.find(method, path);
    if (match.handler == nullptr) return {{"status", match.allow.empty() ? 404 : 405}};
    HttpRequest q{.method = method, .path = path, .query = query, .rest = match.rest, .body = body, .peer = "me"};
    const auto out = std::make_shared<Answer>();
    (*match.handler)(std::move(q), out);
    json j = json::parse(out->got.body);
    if (out->got.status != 200) j["status"] = out->got.status;
    return j;
  }
};

}  // namespace

TEST_CASE("every route of the operator is in /openapi.json") {
  const Surface s;
  CHECK(undescribed(s.routes).empty());
  CHECK(openapi_of(s.routes)["paths"].size() == 12);
}

TEST_CASE("status is the service's, with the default objectives") {
  Surface s;
  s.service.now.nodes = {{"prefill_nodes", 1}};
  const json j = s.ask("GET", "/sluice/v1/status");
  CHECK(j["ready"] == true);
  CHECK(j["model"] == "fake");
  CHECK(j["waiting"] == 2);
  CHECK(j["active"] == 5);
  CHECK(j["nodes"]["prefill_nodes"] == 1);
  CHECK(j["slo"]["quality_kl"] == 0.01);
}

TEST_CASE("nodes are told by role, and a drained one as draining") {
  Surface s;
  s.service.join(ctl::Role::prefill, "p0");
  s.service.join(ctl::Role::decode, "d0");
  json nodes = s.ask("GET", "/sluice/v1/nodes")["nodes"];
  REQUIRE(nodes.size() == 2);
  CHECK(nodes[0]["node"] == "d0");
  CHECK(nodes[0]["total_blocks"] == 100);
  CHECK(nodes[0].contains("step_ms"));
  CHECK(nodes[0]["moves"] == false);
  CHECK(nodes[1]["role"] == "prefill");
  CHECK(nodes[1].contains("prefill_tokens_per_s"));
  CHECK(nodes[1]["state"] == "ready");
  CHECK(s.ask("POST", "/sluice/v1/drain/p0")["state"] == "draining");
  CHECK(s.ask("GET", "/sluice/v1/nodes")["nodes"][1]["state"] == "draining");
  CHECK(s.ask("POST", "/sluice/v1/drain/p7")["status"] == 404);
  CHECK_FALSE(s.service.forced);
  (void)s.ask("POST", "/sluice/v1/drain/p0", "force=1");
  CHECK(s.service.forced);
}

TEST_CASE("a node is told to change its role, and is told as one that does") {
  Surface s;
  s.service.join(ctl::Role::prefill, "p0");
  const json said = s.ask("POST", "/sluice/v1/role/p0", "force=1", R"({"to": "decode"})");
  CHECK(said["becomes"] == "decode");
  CHECK(s.service.forced);
  CHECK(s.ask("GET", "/sluice/v1/nodes")["nodes"][0]["becomes"] == "decode");
  CHECK(s.ask("GET", "/sluice/v1/status")["roles"]["automatic"] == false);
  CHECK(s.ask("POST", "/sluice/v1/role/p7", "", R"({"to": "decode"})")["status"] == 404);
  for (const char* body : {"", "[]", "{}", R"({"to": "both"})", R"({"to": 1})", R"({"to": "decode", "now": true})"})
    CHECK(s.ask("POST", "/sluice/v1/role/p0", "", body)["status"] == 400);
  CHECK(s.ask("POST", "/sluice/v1/role/p0", "force=yes", R"({"to": "decode"})")["error"]["param"] == "force");
}

TEST_CASE("a request is told to move, and hears what came of it") {
  Surface s;
  const auto ask = [&](const json& body) { return s.ask("POST", "/sluice/v1/migrate", "", body.dump()); };
  CHECK(ask({{"request", "r"}, {"node", "d1"}})["request_id"] == "r");
  CHECK(ask({{"request", "r"}, {"node", "d7"}})["status"] == 404);
  CHECK(ask({{"request", "r"}})["error"]["param"] == "node");
  CHECK(ask({{"request", ""}, {"node", "d1"}})["error"]["param"] == "request");
  CHECK(ask({{"request", "r"}, {"node", "d1"}, {"now", true}})["error"]["param"] == "now");
}

TEST_CASE("nodes say their version and model, and those that were refused are told beside them") {
  Surface s;
  s.service.join(ctl::Role::decode, "d0");
  s.service.view.refused(NodeId("d9"), "another model", SteadyClock().now());
  const json answer = s.ask("GET", "/sluice/v1/nodes");
  CHECK(answer["nodes"][0].contains("version"));
  CHECK(answer["nodes"][0].contains("model_hash"));
  REQUIRE(answer["refused"].size() == 1);
  CHECK(answer["refused"][0]["node"] == "d9");
  CHECK(answer["refused"][0]["why"] == "another model");
  CHECK(answer["refused"][0]["age_ms"].get<double>() < 60e3);
  CHECK(s.ask("GET", "/sluice/v1/status")["wall_time_ns"].get<std::int64_t>() > 1'600'000'000'000'000'000);
}

TEST_CASE("profiles carry the best speed of any node, and whether the default budget allows them") {
  Surface s;
  s.service.join(ctl::Role::prefill, "p0");
  s.service.watch.bind("model", s.service.view.profiles());
  (void)s.service.watch.observe("q4", 0.03, false, TimePoint{});
  const json profiles = s.ask("GET", "/sluice/v1/profiles")["profiles"];
  REQUIRE(profiles.size() == 2);
  CHECK(profiles[0]["allowed"] == true);
  CHECK(profiles[0]["probed_kl"].is_null());
  CHECK(profiles[1]["name"] == "q4");
  CHECK(profiles[1]["allowed"] == false);
  CHECK(profiles[1]["encode_bps"] == 3e9);
  CHECK(profiles[1]["ratio"] == 4.0);
  CHECK(profiles[1]["probes"] == 1);
  CHECK(profiles[1]["probed_kl"] == 0.03);
}

TEST_CASE("SLO classes are read, changed, explained and removed, with who did it") {
  Surface s;
  json j = s.ask("PUT", "/sluice/v1/slo", "", R"({"class": "batch", "ttft_ms": 9000})");
  CHECK(j["classes"]["batch"]["ttft_ms"] == 9000.0);
  j = s.ask("PUT", "/sluice/v1/slo", "", R"({"tpot_ms": 50})");
  CHECK(j["tpot_ms"] == 50.0);
  CHECK(s.ask("GET", "/sluice/v1/slo/explain/batch")["class"] == "batch");
  CHECK(s.ask("GET", "/sluice/v1/slo/explain/none")["status"] == 404);
  CHECK(s.ask("PUT", "/sluice/v1/slo", "", "{")["status"] == 400);
  CHECK(s.ask("PUT", "/sluice/v1/slo", "", R"({"class": 7})")["status"] == 400);
  CHECK(s.ask("PUT", "/sluice/v1/slo", "", R"({"speed": 7})")["status"] == 400);
  CHECK_FALSE(s.ask("DELETE", "/sluice/v1/slo/batch")["classes"].contains("batch"));
  CHECK(s.ask("DELETE", "/sluice/v1/slo/default")["status"] == 400);
  CHECK(s.service.asked == std::vector<std::string>{"batch by me", "default by me", "default by me", "no batch by me",
                                                    "no default by me"});
}

TEST_CASE("decisions take where to begin and how many from the query, and nonsense is refused by name") {
  Surface s;
  auto first = [&](const std::string& query) { return s.ask("GET", "/sluice/v1/decisions", query)["decisions"][0]; };
  CHECK(first("") == json{{"after", 0}, {"limit", 100}});
  CHECK(first("after=7&limit=3") == json{{"after", 7}, {"limit", 3}});
  for (const char* query : {"limit=-3", "limit=", "limit=null&limit=3", "limit=3x"}) {
    const json a = s.ask("GET", "/sluice/v1/decisions", query);
    CHECK(a["status"] == 400);
    CHECK(a["error"]["param"] == "limit");
  }
  CHECK(s.ask("GET", "/sluice/v1/decisions", "after=x")["error"]["param"] == "after");
  CHECK(s.ask("POST", "/sluice/v1/drain/p0", "force=yes")["error"]["param"] == "force");
}

TEST_CASE("totals are the service's") {
  Surface s;
  CHECK(s.ask("GET", "/sluice/v1/totals") == json{{"started", 7}});
  CHECK(s.ask("PUT", "/sluice/v1/totals")["status"] == 405);
}
