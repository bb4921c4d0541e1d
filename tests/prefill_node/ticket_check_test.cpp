#include "prefill_node/ticket_check.h"

#include <catch2/catch.hpp>
#include <functional>

#include "tests/prefill_node/prompt.h"

using namespace sluice;
using namespace sluice::prefill;

namespace {

struct Rig {
  std::unique_ptr<kv::CodecRegistry> codecs = kv::make_registry();
  TicketCheck check{prefill::test::me(), *codecs};
  kv::Ticket ticket = prefill::test::ticket(*codecs, 1, 20, "raw", {"ll"});

  Result<CheckedPrompt> ask(const std::function<void(control::PrefillRequest&)>& change = {}) const {
    auto call = prefill::test::call(ticket);
    if (change) change(call);
    return check.check(to_json(call));
  }
  Errc refused(const std::function<void(kv::Ticket&)>& change) {
    change(ticket);
    const auto r = ask();
    REQUIRE_FALSE(r);
    return r.error().code;
  }
};

}  // namespace

TEST_CASE("a call whose ticket is of this process is taken with all that it says") {
  const Rig r;
  const auto p = r.ask();
  REQUIRE(p);
  CHECK(p->ticket == r.ticket);
  CHECK(p->profile == r.codecs->profile("raw"));
  CHECK(p->call.tokens.size() == 20);
  CHECK(p->call.attempt == 2);
  CHECK(p->plan.profiles.empty());
}

TEST_CASE("a ticket of another node or of an earlier life of this one is stale") {
  Rig r;
  SECTION("incarnation") {
    CHECK(r.refused([](kv::Ticket& t) { t.prefill_incarnation = Incarnation(5); }) == Errc::stale);
  }
  SECTION("node") {
    CHECK(r.refused([](kv::Ticket& t) { t.prefill_node = NodeId("q"); }) == Errc::stale);
  }
}

TEST_CASE("a ticket of another model, layout or build is refused") {
  Rig r;
  SECTION("model") {
    CHECK(r.refused([](kv::Ticket& t) { t.model_hash ^= 1; }) == Errc::invalid_argument);
  }
  SECTION("layout") {
    CHECK(r.refused([](kv::Ticket& t) { t.layout.head_dim = 32; }) == Errc::invalid_argument);
  }
  SECTION("dtype") {
    CHECK(r.refused([](kv::Ticket& t) { t.layout.dtype = kv::KvDType::f32; }) == Errc::invalid_argument);
  }
  SECTION("formats") {
    CHECK(r.refused([](kv::Ticket& t) { t.format_hash ^= 1; }) == Errc::invalid_argument);
  }
}

TEST_CASE("a ticket covers the prompt's tokens, all of them and no more") {
  const Rig r;
  for (const int more : {-1, 1}) {
    const auto p = r.ask([&](control::PrefillRequest& c) { c.tokens.resize(20 + more); });
    REQUIRE_FALSE(p);
    CHECK(p.error().code == Errc::invalid_argument);
    CHECK_THAT(p.error().message, Catch::Contains("covers 20 tokens"));
  }
}

TEST_CASE("the profile is the ticket's, and one that this node has") {
  Rig r;
  CHECK_FALSE(r.ask([](control::PrefillRequest& c) { c.profile = "ll"; }));  // an alternate is not the chosen one
  r.ticket.profile = "zip";
  const auto unknown = r.ask();
  REQUIRE_FALSE(unknown);
  CHECK_THAT(unknown.error().message, Catch::Contains("'zip'"));
}

TEST_CASE("a change that the ticket does not list is refused with the request") {
  const Rig r;
  CHECK(r.ask([](control::PrefillRequest& c) { c.change = control::ProfileChange{"ll", {{0, 1}}}; }));
  CHECK_FALSE(r.ask([](control::PrefillRequest& c) { c.change = control::ProfileChange{"q8", {{0, 1}}}; }));
}

TEST_CASE("calls and tickets that cannot be read are refused") {
  const Rig r;
  CHECK_FALSE(r.check.check(nlohmann::json::object()));
  CHECK_FALSE(r.check.check(nlohmann::json(7)));
  CHECK_FALSE(r.ask([](control::PrefillRequest& c) { c.ticket = "no ticket"; }));
}
