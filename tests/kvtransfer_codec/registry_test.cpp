#include <catch2/catch.hpp>
#include <set>

#include "kvtransfer/codec/codecs.h"

using namespace sluice;
using namespace sluice::kv;

TEST_CASE("the registry finds codecs by number and profiles by name") {
  const auto r = make_registry();
  REQUIRE(r);
  std::set<std::uint32_t> ids;
  for (const Codec* c : r->codecs()) {
    REQUIRE(ids.insert(c->id()).second);
    REQUIRE(r->find(c->id()) == c);
  }
  REQUIRE(r->find(0) == nullptr);
  REQUIRE(r->find(999) == nullptr);
  REQUIRE(r->profile("none") == nullptr);
  for (const char* name : {"raw", "ll", "ll-fast", "ll-max", "fp8", "q8", "k8v4", "k6v4", "h4", "h4r", "k4v3r", "h3r",
                           "mix8r", "mix9r", "kivi4", "kivi2", "cachegen", "kvserve-q", "kvserve-h"}) {
    INFO(name);
    const Profile* p = r->profile(name);
    REQUIRE(p);
    REQUIRE(p->codec);
    // Exact profiles and only they state no loss.
    REQUIRE((p->stated_kl == 0.0) == p->codec->lossless());
  }
}

TEST_CASE("every instruction set has the same format hash") {
  for (const Isa isa : supported_isas()) REQUIRE(make_registry(isa)->format_hash() == make_registry()->format_hash());
}

TEST_CASE("nominal ratios are what fixed-rate codecs really reach") {
  const auto r = make_registry();
  for (const char* name : {"raw", "fp8", "q8", "k8v4", "k6v4", "int4", "h4"}) {
    INFO(name);
    const Profile* p = r->profile(name);
    SegmentShape s{
        .tokens = 512, .kv_heads = 8, .head_dim = 128, .layer = 3, .first_token = 512, .layers = 32, .end_token = 9999};
    std::size_t wire = p->codec->max_encoded_size(s);
    s.kind = KvKind::value;
    wire += p->codec->max_encoded_size(s);
    REQUIRE(2.0 * static_cast<double>(s.raw_bytes()) / static_cast<double>(wire) ==
            Approx(p->nominal_ratio).epsilon(0.02));
  }
}

TEST_CASE("scales and headers are at most a twenty-fifth of the wire bytes from 256 tokens on") {
  const auto r = make_registry();
  for (const char* name : {"fp8", "q8", "k8v4", "k6v4", "h4"}) {
    INFO(name);
    const Codec& c = *r->profile(name)->codec;
    for (const std::uint32_t tokens : {256U, 1024U})
      for (const auto& [kind, bits] :
           {std::pair{KvKind::key, name == std::string("h4")     ? 4U
                                   : name == std::string("k6v4") ? 6U
                                                                 : 8U},
            {KvKind::value, name == std::string("q8") || name == std::string("fp8") ? 8U : 4U}}) {
        const SegmentShape s{.tokens = tokens,
                             .kv_heads = 8,
                             .head_dim = 128,
                             .kind = kind,
                             .layer = 3,
                             .first_token = 512,
                             .layers = 32,
                             .end_token = 9999};
        const auto wire = static_cast<double>(c.max_encoded_size(s));
        REQUIRE(wire - static_cast<double>(tokens) * 8 * 128 * bits / 8 <= 0.04 * wire);
      }
  }
}

TEST_CASE("two names of one composition share a codec, and the format hash sees names and compositions") {
  const auto json = [](std::string a, std::string levels) {
    return R"({"profiles": [{"name": ")" + a + R"(", "stated_kl": 1, "key": "m", "value": "m",
      "classes": {"m": {"quantizer": "absmax", "levels": )" +
           levels + R"(}}},
      {"name": "other", "stated_kl": 0.5, "key": "x", "value": "x", "classes": {"x": {"quantizer": "absmax"}}}]})";
  };
  const auto r = make_registry(json("one", "255"), Isa::scalar);
  REQUIRE(r);
  REQUIRE((*r)->profile("one")->codec == (*r)->profile("other")->codec);
  REQUIRE((*r)->codecs().size() == 1);
  const auto hash = [](const std::string& text) { return make_registry(text, Isa::scalar).value()->format_hash(); };
  REQUIRE(hash(json("one", "255")) != hash(json("two", "255")));
  REQUIRE(hash(json("one", "255")) != hash(json("one", "15")));
}
