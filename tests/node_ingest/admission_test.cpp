#include "node/ingest/admission.h"

#include <catch2/catch.hpp>

using namespace sluice;
using namespace sluice::node;

namespace {

struct Rig {
  std::unique_ptr<kv::CodecRegistry> codecs = kv::make_registry();
  kv::KvLayout layout{3, 2, 16, kv::KvDType::bf16};
  Admission admission{{NodeId("d"), Incarnation(9), 0xfa4e, layout}, *codecs, 8};
  std::vector<engine::BlockHandle> blocks{{BlockId(4), 1}, {BlockId(2), 1}, {BlockId(7), 1}};

  static control::ReserveRequest request(std::uint32_t tokens) {
    control::ReserveRequest r;
    r.request = RequestId(5);
    r.kv_tokens = tokens;
    r.prefill_node = NodeId("p");
    r.prefill_incarnation = Incarnation(4);
    r.profile = "q8";
    r.timeout_ms = 1500;
    return r;
  }
};

}  // namespace

TEST_CASE("a ticket says who may send what, into which blocks, for how long") {
  Rig r;
  const auto d = r.admission.draw(Rig::request(16), r.blocks, kv::SealMode::digest);
  REQUIRE(d);
  const kv::Ticket& t = d->ticket;
  CHECK(t.request == RequestId(5));
  CHECK(t.prefill_node == NodeId("p"));
  CHECK(t.prefill_incarnation == Incarnation(4));
  CHECK(t.decode_node == NodeId("d"));
  CHECK(t.decode_incarnation == Incarnation(9));
  CHECK(t.model_hash == 0xfa4e);
  CHECK(t.layout == r.layout);
  CHECK(t.format_hash == r.codecs->format_hash());
  CHECK(t.codec == r.codecs->profile("q8")->codec->id());
  CHECK(t.alternates.empty());
  CHECK(t.seal == kv::SealMode::digest);
  CHECK(t.tokens == kv::TokenRange{0, 16});
  CHECK(t.blocks == std::vector{BlockId(4), BlockId(2)});  // the third is for what is generated
  CHECK(t.valid_for == std::chrono::milliseconds(1500));
  const auto other = r.admission.draw(Rig::request(16), r.blocks, kv::SealMode::digest);
  CHECK(other->ticket.id != t.id);
  CHECK(other->ticket.key != t.key);
}

TEST_CASE("fallbacks are listed once each, the request's own profile not") {
  Rig r;
  auto q = Rig::request(16);
  q.fallbacks = {"ll", "q8", "ll", "raw"};
  const auto d = r.admission.draw(q, r.blocks, kv::SealMode::encrypt);
  REQUIRE(d);
  REQUIRE(d->fallbacks.size() == 2);
  CHECK(d->fallbacks[0]->name == "ll");
  CHECK(d->fallbacks[1]->name == "raw");
  CHECK(d->ticket.alternates.size() == 2);
}

TEST_CASE("profiles that this node lacks are refused by name") {
  Rig r;
  auto q = Rig::request(16);
  const bool own = GENERATE(true, false);
  (own ? q.profile : q.fallbacks.emplace_back()) = "zip";
  const auto d = r.admission.draw(q, r.blocks, kv::SealMode::encrypt);
  REQUIRE_FALSE(d);
  CHECK(d.error().code == Errc::not_found);
  CHECK(d.error().param == "profile");
  CHECK_THAT(d.error().message, Catch::Contains("zip"));
}
