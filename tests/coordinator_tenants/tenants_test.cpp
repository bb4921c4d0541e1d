#include "coordinator/tenants/tenants.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "tests/support/manual_clock.h"
#include "tests/support/temp_dir.h"

using namespace sluice;
using namespace sluice::coordinator;
using namespace std::chrono_literals;
using Catch::Contains;

namespace {

class KeyFile {
 public:
  explicit KeyFile(const std::vector<ApiKey>& keys) { write(keys); }
  void write(const std::vector<ApiKey>& keys) {
    std::string text;
    for (const auto& k : keys) text += key_line(k, "secret of " + k.key_id) + "\n";
    write_text(text);
  }
  void write_text(const std::string& text) {
    dir_.write("new", text);
    ::chmod((dir_ / "new").c_str(), 0600);
    std::filesystem::rename(dir_ / "new", dir_ / "keys");
  }
  std::string path() const { return (dir_ / "keys").string(); }

 private:
  test::TempDir dir_;
};

ApiKey key(const std::string& id, KeyLimits limits = {}) {
  ApiKey k;
  k.key_id = id;
  k.tenant = id.substr(0, id.find('-'));
  k.admin = false;
  k.limits = limits;
  return k;
}

struct Room {
  explicit Room(const KeyOptions& o) : tenants(o, clock, metrics) {}
  std::shared_ptr<const Caller> caller(const std::string& id) { return *tenants.identify("secret of " + id); }
  auto begin(const std::string& id) { return tenants.begin(caller(id), {"m"}); }
  test::ManualClock clock;
  Metrics metrics;
  Tenants tenants;
};

}  // namespace

TEST_CASE("without keys everybody is the default tenant, an administrator") {
  Room r({});
  CHECK_FALSE(r.tenants.guarded());
  const auto lease = r.tenants.begin(std::make_shared<Caller>(), {"m"});
  REQUIRE(lease);
  CHECK((*lease)->tenant() == "default");
  CHECK_FALSE((*lease)->charge(1'000'000'000, false));
  CHECK_THAT(r.metrics.text(), Contains(R"(sluice_tenant_requests_total{outcome="admitted",tenant="default"} 1)"));
}

TEST_CASE("a key says whose it is; another, an empty and an expired one are refused") {
  ApiKey old = key("acme-old");
  old.expires = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()) - 1h;
  KeyFile file({key("acme-1"), old});
  Room r({.keys = {"operator's"}, .file = file.path()});
  CHECK(r.tenants.guarded());
  CHECK(r.caller("acme-1")->tenant == "acme");
  CHECK_FALSE(r.caller("acme-1")->admin);
  CHECK((*r.tenants.identify("operator's"))->admin);
  for (const char* no : {"", "secret of acme", "secret of acme-2"}) {
    const auto found = r.tenants.identify(no);
    REQUIRE_FALSE(found);
    CHECK(found.error().status == 401);
    CHECK(found.error().code == "invalid_api_key");
  }
  CHECK(r.tenants.identify("secret of acme-old").error().code == "expired_api_key");
}

TEST_CASE("budgets are each key's own, and what is not used comes back") {
  KeyFile file({key("acme-1", {.tokens_per_minute = 100, .concurrent = 1}), key("bolt-1")});
  Room r({.file = file.path()});
  {
    const auto lease = r.begin("acme-1");
    REQUIRE(lease);
    const auto second = r.begin("acme-1");
    REQUIRE_FALSE(second);
    CHECK(second.error().first.status == 429);
    CHECK(r.begin("bolt-1"));
    CHECK_FALSE((*lease)->charge(80, false));
    CHECK((*lease)->headers().find("x-ratelimit-remaining-tokens") == "20");
    (*lease)->settle(10, 5);
    CHECK((*lease)->headers().find("x-ratelimit-remaining-tokens") == "85");
  }
  const auto again = r.begin("acme-1");
  REQUIRE(again);
  CHECK((*again)->charge(86, false)->code == "rate_limit_exceeded");
  CHECK_FALSE((*again)->charge(1'000'000, true) == std::nullopt);  // an open end is charged a minute's, and 85 are left
  const std::string text = r.metrics.text();
  CHECK_THAT(text, Contains(R"(sluice_tenant_tokens_total{kind="prompt",tenant="acme"} 10)"));
  CHECK_THAT(text, Contains(R"(sluice_tenant_rate_limited_total{limit="concurrent",tenant="acme"} 1)"));
  CHECK_THAT(text, Contains(R"(sluice_tenant_requests_running{tenant="acme"} 1)"));
}

TEST_CASE("models and classes that a key does not name are not allowed") {
  ApiKey k = key("acme-1");
  k.models = {"other"};
  ApiKey classes = key("acme-2");
  classes.slo_classes = {"batch"};
  KeyFile file({k, classes});
  Room r({.file = file.path()});
  const auto refused = r.begin("acme-1");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().first.status == 403);
  CHECK(refused.error().first.code == "model_not_allowed");
  CHECK(r.tenants.begin(r.caller("acme-1"), {"m", "other"}));
  const auto lease = r.begin("acme-2");
  REQUIRE(lease);
  CHECK_FALSE((*lease)->may_use_class("batch"));
  CHECK((*lease)->may_use_class("")->code == "slo_class_not_allowed");
  CHECK((*lease)->may_use_class("gold")->status == 403);
}

TEST_CASE("keys are read anew; a bad file leaves the old ones, and quotas outlive a reload") {
  KeyFile file({key("acme-1", {.requests_per_minute = 2})});
  Room r({.file = file.path()});
  CHECK(r.begin("acme-1"));
  CHECK(r.begin("acme-1"));
  CHECK_FALSE(r.begin("acme-1"));
  file.write({key("acme-1", {.requests_per_minute = 2}), key("bolt-1")});
  r.tenants.refresh();
  CHECK(r.tenants.identify("secret of bolt-1"));
  CHECK_FALSE(r.begin("acme-1"));  // no fresh budget by a reload
  file.write_text("broken\n");
  r.tenants.refresh();
  CHECK(r.tenants.identify("secret of bolt-1"));
  CHECK_THAT(r.metrics.text(), Contains("sluice_api_key_reload_failures_total 1"));
  file.write({key("bolt-1")});
  r.tenants.refresh();
  CHECK_FALSE(r.tenants.identify("secret of acme-1"));
  CHECK_THAT(r.metrics.text(), Contains("sluice_api_keys 1"));
}

TEST_CASE("metrics tell a bounded number of tenants apart") {
  std::vector<ApiKey> keys;
  for (int i = 0; i < 150; ++i) keys.push_back(key("t" + std::to_string(i) + "-1"));
  KeyFile file(keys);
  Room r({.file = file.path()});
  const auto lease = r.begin("t149-1");
  REQUIRE(lease);
  const std::string text = r.metrics.text();
  CHECK_THAT(text, Contains(R"(sluice_tenant_requests_total{outcome="admitted",tenant="other"} 1)"));
  CHECK_THAT(text, !Contains("tenant=\"t149\""));
}

TEST_CASE("a start with a file that cannot be used fails, with the line") {
  KeyFile file({});
  file.write_text("{}\n");
  CHECK_THROWS_WITH(Room({.file = file.path()}), Contains("line 1"));
  CHECK_THROWS_WITH(Room({.file = "/nowhere/keys"}), Contains("/nowhere/keys"));
}
