#include "prefill_node/request_table.h"

#include <catch2/catch.hpp>

#include "prefill_node/prefill_report.h"
#include "tests/prefill_node/prompt.h"

using namespace sluice;
using namespace sluice::prefill;

namespace {

struct Rig {
  std::unique_ptr<kv::CodecRegistry> codecs = kv::make_registry();
  RequestTable table;

  OpenRequest request(std::uint64_t id) const {
    OpenRequest r;
    r.prompt.ticket = prefill::test::ticket(*codecs, id, 20);
    r.prompt.call = prefill::test::call(r.prompt.ticket);
    return r;
  }
};

}  // namespace

TEST_CASE("a request is open once") {
  Rig r;
  REQUIRE(r.table.add(RequestId(1), r.request(1)));
  CHECK_FALSE(r.table.add(RequestId(1), r.request(1)));
  CHECK(r.table.size() == 1);
  CHECK(r.table.erase(RequestId(1)));
  CHECK_FALSE(r.table.erase(RequestId(1)));
  CHECK(r.table.add(RequestId(1), r.request(1)));
}

TEST_CASE("what is learnt of a request is kept, and nothing of one that is gone") {
  Rig r;
  const auto one = r.request(1);
  REQUIRE(r.table.add(RequestId(1), one));
  CHECK(r.table.with(RequestId(1), [](OpenRequest& o) { o.times.compute_s = 3; }));
  CHECK_FALSE(r.table.with(RequestId(2), [](OpenRequest&) { FAIL("nobody is there"); }));
  const auto taken = r.table.take(RequestId(1), one.prompt.ticket.id);
  REQUIRE(taken);
  CHECK(taken->times.compute_s == 3);
  CHECK(r.table.size() == 0);
}

TEST_CASE("the end of an earlier export does not take the request that came again") {
  Rig r;
  const auto old = r.request(1);
  REQUIRE(r.table.add(RequestId(1), r.request(1)));
  CHECK_FALSE(r.table.take(RequestId(1), old.prompt.ticket.id));
  CHECK(r.table.size() == 1);
}

TEST_CASE("all are named when all go") {
  Rig r;
  for (const std::uint64_t id : {3, 1}) REQUIRE(r.table.add(RequestId(id), r.request(id)));
  CHECK(r.table.clear({}) == std::vector{RequestId(1), RequestId(3)});
  CHECK(r.table.clear({}).empty());
}

TEST_CASE("a report says what a request took, of the link only what was measured on one connection") {
  Rig r;
  OpenRequest o = r.request(1);
  const TimePoint begin{std::chrono::seconds(100)};
  o.received = begin;
  o.times = {0.5, 2};
  o.link.busy_bytes = 1000;
  o.link.busy_s = 3;
  const kv::Profile other{.name = "other"};
  node::ExportEnd end{.request = RequestId(1),
                      .ticket = o.prompt.ticket.id,
                      .encode_s = 1,
                      .wire_s = 4,
                      .exposed_s = 0.25,
                      .raw_bytes = 10,
                      .wire_bytes = 5,
                      .changed_to = &other};
  kv::LinkStats now;
  now.busy_bytes = 1600;
  now.busy_s = 3.5;
  const auto d = report_of(o, end, now, begin + std::chrono::seconds(7));
  CHECK(d.request == RequestId(1));
  CHECK(d.attempt == 2);
  CHECK_FALSE(d.error);
  CHECK(d.queue_s == 0.5);
  CHECK(d.compute_s == 2);
  CHECK(d.wall_s == Approx(7));
  CHECK(d.link_bytes == 600);
  CHECK(d.link_busy_s == Approx(0.5));
  CHECK(d.tokens == 20);
  CHECK(d.changed_to == "other");

  now.busy_bytes = 10;  // it connected anew
  end.outcome = fail(Errc::unavailable, "gone");
  end.changed_to = nullptr;
  const auto failed = report_of(o, end, now, begin);
  CHECK(failed.link_bytes == 0);
  CHECK(failed.link_busy_s == 0);
  CHECK(failed.error->code == Errc::unavailable);
  CHECK(failed.changed_to.empty());
}
