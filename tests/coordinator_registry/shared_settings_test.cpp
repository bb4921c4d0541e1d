#include "coordinator/registry/shared_settings.h"

#include "coordinator/policy/slo_book.h"
#include "tests/coordinator_registry/registry_rig.h"

using namespace sluice;
using namespace sluice::coordinator;
using namespace std::chrono_literals;
using nlohmann::json;
using test::EtcdRig;
using test::RealEtcd;

namespace {

struct Coordinator {
  test::WatchedPart part;
  json classes;
  SharedSettings settings;
  Coordinator(boost::asio::io_context& io, const etcd::Options& o, const std::string& id, json of_flags)
      : part(io, o),
        classes(std::move(of_flags)),
        settings(io, part.client, "c", id,
                 {.classes = [this] { return classes; },
                  .take_over = [this](const json& c) { classes = c; },
                  .in_touch = [this] { return part.watch.in_touch(); }}) {
    part.on_keys = [this](const etcd::Watch::Keys& k) { settings.on_keys(k); };
    part.watch.start();
  }
};

json flagged(int ttft) { return {{"default", {{"ttft_ms", ttft}}}}; }

struct Rig {
  RealEtcd etcd;
  EtcdRig r{etcd.options()};
  Coordinator a{r.io, etcd.options(), "a", flagged(1)};
  Rig() {
    REQUIRE(r.until([&] { return put(a, "gold", 5).has_value(); }));
  }
  Result<> put(Coordinator& c, const std::string& name, int ttft) {
    return r.wait<void>([&](auto done) { c.settings.put(name, {{"ttft_ms", ttft}}, done); });
  }
  bool sees(const Coordinator& c, const std::string& name, int ttft, std::chrono::milliseconds limit = 10s) {
    return r.until([&] { return c.classes.contains(name) && c.classes[name]["ttft_ms"] == ttft; }, limit);
  }
};

}  // namespace

TEST_CASE("a class set at one coordinator is in force at all, and the first one's flags fill an empty registry") {
  if (!RealEtcd::installed()) SLUICE_SKIP("etcd is not installed");
  Rig x;
  Coordinator b(x.r.io, x.etcd.options(), "b", flagged(99));
  REQUIRE(x.sees(b, "gold", 5));
  CHECK(b.classes["default"]["ttft_ms"] == 1);  // not its own flags
  REQUIRE(x.put(b, "gold", 6));
  REQUIRE(x.sees(x.a, "gold", 6, 1s));
  REQUIRE(x.r.wait<void>([&](auto done) { x.a.settings.remove("gold", done); }));
  REQUIRE(x.r.until([&] { return !b.classes.contains("gold"); }, 1s));
}

TEST_CASE("of two changes at once one is told that the other was faster, and has it by then") {
  if (!RealEtcd::installed()) SLUICE_SKIP("etcd is not installed");
  Rig x;
  Coordinator b(x.r.io, x.etcd.options(), "b", flagged(99));
  REQUIRE(x.sees(b, "gold", 5));
  std::optional<Result<>> one, two;
  x.a.settings.put("gold", {{"ttft_ms", 7}}, [&](Result<> r) { one = std::move(r); });
  b.settings.put("gold", {{"ttft_ms", 8}}, [&](Result<> r) {
    two = std::move(r);
    if (!*two) CHECK(b.classes["gold"]["ttft_ms"] == 7);
  });
  REQUIRE(x.r.until([&] { return one && two; }));
  REQUIRE(one->has_value() != two->has_value());
  CHECK((*one ? *two : *one).error().code == Errc::stale);
}

TEST_CASE("while etcd is away nothing is set, and what was set stays in force") {
  if (!RealEtcd::installed()) SLUICE_SKIP("etcd is not installed");
  Rig x;
  x.etcd.kill();
  const auto first = x.put(x.a, "gold", 9);  // nobody has noticed yet
  REQUIRE_FALSE(first);
  CHECK(first.error().code == Errc::unavailable);
  REQUIRE(x.r.until([&] { return !x.a.part.watch.in_touch(); }));
  CHECK(x.put(x.a, "gold", 9).error().message.find("nothing was changed") != std::string::npos);
  CHECK(x.a.classes["gold"]["ttft_ms"] == 5);
  x.etcd.start();
  REQUIRE(x.r.until([&] { return x.a.part.watch.in_touch(); }));
  CHECK(x.put(x.a, "gold", 9));
}

TEST_CASE("an etcd that comes back empty is given the settings, also over a newcomer who was faster") {
  if (!RealEtcd::installed()) SLUICE_SKIP("etcd is not installed");
  Rig x;
  x.etcd.kill();
  x.etcd.lose_data();
  x.etcd.start();
  SECTION("by the one who has them") {}
  SECTION("a newcomer was faster, and a person set something meanwhile") {
    REQUIRE(x.r.commit({{},
                        {{etcd::shared_prefix("c") + "settings", json{{"id", "x"}, {"heir", false}}.dump()},
                         {etcd::shared_prefix("c") + "slo/default", json{{"ttft_ms", 99}}.dump()}}}));
    REQUIRE(x.r.put(etcd::shared_prefix("c") + "slo/silver", json{{"ttft_ms", 77}}.dump()));
    REQUIRE(x.sees(x.a, "silver", 77));
  }
  Coordinator b(x.r.io, x.etcd.options(), "b", flagged(99));
  REQUIRE(x.sees(b, "gold", 5));
  CHECK(b.classes["default"]["ttft_ms"] == 1);
  CHECK(x.a.classes["gold"]["ttft_ms"] == 5);
}
