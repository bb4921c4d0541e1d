#include "prefill_node/reference_out.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "kvtransfer/wire/reference.h"
#include "tests/prefill_node/prompt.h"

using namespace sluice;
using namespace sluice::prefill;

namespace {

const std::vector<float> kLogits{3, 1, 0, -2};

struct Rig {
  std::unique_ptr<kv::CodecRegistry> codecs = kv::make_registry();
  Metrics metrics;
  Result<> answer;
  std::vector<std::pair<std::string, std::vector<std::byte>>> sent;
  ReferenceOut out{metrics, [this](const std::string& address, std::span<const std::byte> note) {
                     sent.emplace_back(address, std::vector(note.begin(), note.end()));
                     return answer;
                   }};
  kv::Ticket ticket = prefill::test::ticket(*codecs, 1, 20);

  double outcome(const std::string& o) {
    return metrics
        .counter("sluice_quality_references_total", "References of quality probes by outcome.", {{"outcome", o}})
        .value();
  }
};

}  // namespace

TEST_CASE("a reference goes to the request's decode node, sealed under its ticket, once") {
  Rig r;
  r.out.keep(RequestId(1), r.ticket, "here");
  r.out.on_probed(RequestId(1), std::span(kLogits));
  REQUIRE(r.sent.size() == 1);
  CHECK(r.sent[0].first == "here");
  const auto head = kv::open_reference(r.ticket, r.sent[0].second);
  REQUIRE(head);
  CHECK(head->top.size() == kLogits.size());
  CHECK(r.outcome("sent") == 1);
  CHECK(r.out.kept() == 0);
  r.out.on_probed(RequestId(1), std::span(kLogits));
  CHECK(r.sent.size() == 1);
}

TEST_CASE("nothing is sent of a request that was forgotten") {
  Rig r;
  for (const std::uint64_t id : {1, 2}) r.out.keep(RequestId(id), r.ticket, "here");
  r.out.forget(RequestId(1));
  r.out.on_probed(RequestId(1), std::span(kLogits));
  CHECK(r.out.kept() == 1);
  r.out.clear({});
  r.out.on_probed(RequestId(2), std::span(kLogits));
  CHECK(r.sent.empty());
  CHECK(r.outcome("sent") == 0);
}

TEST_CASE("a probe that fails is counted by its reason") {
  Rig r;
  r.out.keep(RequestId(1), r.ticket, "here");
  SECTION("the pass") {
    r.out.on_probed(RequestId(1), fail(Errc::internal, "made to fail"));
    CHECK(r.outcome("internal") == 1);
  }
  SECTION("the logits") {
    const std::vector<float> none{NAN, 1};
    r.out.on_probed(RequestId(1), std::span(none));
    CHECK(r.outcome("data_corrupt") == 1);
  }
  SECTION("the connection") {
    r.answer = fail(Errc::unavailable, "gone");
    r.out.on_probed(RequestId(1), std::span(kLogits));
    CHECK(r.outcome("unavailable") == 1);
  }
  CHECK(r.out.kept() == 0);
}
