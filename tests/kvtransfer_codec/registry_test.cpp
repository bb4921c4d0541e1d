#include <catch2/catch.hpp>
#include <set>

#include "kvtransfer/codec/codecs.h"

using namespace sluice::kv;

TEST_CASE("the registry finds codecs by number and profiles by name") {
  const auto r = make_registry();
  std::set<std::uint16_t> ids;
  for (const Codec* c : r->codecs()) {
    REQUIRE(ids.insert(c->id()).second);
    REQUIRE(r->find(c->id()) == c);
  }
  REQUIRE(r->find(0) == nullptr);
  REQUIRE(r->find(999) == nullptr);
  REQUIRE(r->profile("none") == nullptr);
  for (const char* name : {"raw", "ll", "q8", "k8v4", "h4"}) {
    const Profile* p = r->profile(name);
    REQUIRE(p);
    REQUIRE(p->key);
    REQUIRE(p->value);
    // Exact profiles and only they state no loss.
    REQUIRE((p->stated_kl == 0.0) == (p->key->lossless() && p->value->lossless()));
  }
}

TEST_CASE("every instruction set has the same format hash") {
  for (const Isa isa : supported_isas()) REQUIRE(make_registry(isa)->format_hash() == make_registry()->format_hash());
}

TEST_CASE("nominal ratios are what fixed-rate codecs really reach") {
  const auto r = make_registry();
  for (const char* name : {"raw", "q8", "k8v4", "h4"}) {
    const Profile* p = r->profile(name);
    SegmentShape s{.tokens = 512, .kv_heads = 8, .head_dim = 128};
    std::size_t wire = p->key->max_encoded_size(s);
    s.kind = KvKind::value;
    wire += p->value->max_encoded_size(s);
    REQUIRE(2.0 * s.raw_bytes() / wire == Approx(p->nominal_ratio).epsilon(0.02));
  }
}
