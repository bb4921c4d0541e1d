// Profiles as people write them: what is read, and what every mistake is answered with.
#include <catch2/catch.hpp>

#include "kvtransfer/codec/profile/class_map.h"

using namespace sluice;
using namespace sluice::kv;

namespace {

std::string profile(const std::string& fields, const std::string& cls = R"("quantizer": "absmax")") {
  return R"({"profiles": [{"name": "p", "stated_kl": 1, "key": "m", "value": "m", "classes": {"m": {)" + cls + "}}" +
         fields + "}]}";
}

std::string refusal(const std::string& text) {
  const auto r = parse_profiles(text);
  REQUIRE_FALSE(r);
  REQUIRE(r.error().code == Errc::invalid_argument);
  return r.error().message;
}

std::vector<HeadRun> runs(const ProfileSpec& p, std::uint32_t layer, KvKind kind) {
  std::vector<HeadRun> out;
  resolve(p, {.tokens = 10, .kv_heads = 4, .head_dim = 64, .kind = kind, .layer = layer, .layers = 6, .end_token = 10},
          out);
  return out;
}

}  // namespace

TEST_CASE("the built-in profiles are accepted") { REQUIRE(parse_profiles(builtin_profiles_json())); }

TEST_CASE("a mistake in a profile is named") {
  using Catch::Contains;
  CHECK_THAT(refusal("{"), Contains("JSON"));
  CHECK_THAT(refusal("{\"profiles\": 3}"), Contains("profiles"));
  CHECK_THAT(refusal(profile(R"(, "sink": 4)")), Contains("unknown field 'sink'"));
  CHECK_THAT(refusal(profile(R"(, "sinks": -1)")), Contains("'sinks'"));
  CHECK_THAT(refusal(profile(R"(, "sinks": 1.5)")), Contains("whole number"));
  CHECK_THAT(refusal(profile(R"(, "rules": [{"class": "q"}])")), Contains("names a class 'q'"));
  CHECK_THAT(refusal(profile(R"(, "rules": [{"class": "m", "kinds": "x"}])")), Contains("'kinds'"));
  CHECK_THAT(refusal(profile(R"(, "rules": [{"class": "m", "layers": [99999]}])")), Contains("'layers[0]'"));
  CHECK_THAT(refusal(profile(R"(, "rules": [{"class": "m", "layer": [1]}])")), Contains("did you mean 'layers'?"));
  CHECK_THAT(refusal(profile(R"(, "sinks": 4, "sinks": 5)")), Contains("'sinks' is given twice"));
  CHECK_THAT(refusal(profile("", R"("quantizer": "int8")")), Contains("must be one of"));
  CHECK_THAT(refusal(profile("", R"("quantizer": "lloyd", "levels": 5)")), Contains("4, 8 or 16"));
  CHECK_THAT(refusal(profile("", R"("quantizer": "uniform", "levels": 8, "step": 1)")), Contains("odd"));
  CHECK_THAT(refusal(profile("", R"("quantizer": "uniform", "levels": 9)")), Contains("'step'"));
  CHECK_THAT(refusal(profile("", R"("quantizer": "minmax", "levels": 256)")), Contains("2 to 255"));
  CHECK_THAT(refusal(profile("", R"("quantizer": "absmax", "scale": "log8")")), Contains("log8"));
  CHECK_THAT(refusal(profile("", R"("quantizer": "fp8", "axis": "channel")")), Contains("axis"));
  CHECK_THAT(refusal(profile("", R"("quantizer": "fp8", "coder": "rans")")), Contains("rans"));
  // Was accepted once, and decoded to values that had nothing to do with what was sent.
  CHECK_THAT(refusal(profile("", R"("quantizer": "absmax", "levels": 15, "coder": "zstd")")), Contains("coder pack"));
  CHECK_THAT(refusal(profile("", R"("quantizer": "fp8", "coder": "raw")")), Contains("coder"));
  CHECK_THAT(refusal(profile("", R"("coder": "pack")")), Contains("without a quantizer"));
  CHECK_THAT(refusal(profile("", R"("coder": "raw")")), Contains("KL of 0"));
  CHECK_THAT(refusal(R"({"profiles": [{"name": "P q", "codec": "raw"}]})"), Contains("'name'"));
  CHECK_THAT(refusal(R"({"profiles": [{"name": "p", "codec": "q8"}]})"), Contains("raw or ll"));
  CHECK_THAT(refusal(R"({"profiles": [{"name": "p", "codec": "raw"}, {"name": "p", "codec": "ll"}]})"),
             Contains("two"));
}

TEST_CASE("the first rule that fits gives a head its class") {
  const auto p = parse_profiles(R"({"profiles": [{"name": "p", "stated_kl": 1, "key": "a", "value": "b",
    "classes": {"a": {"quantizer": "absmax"}, "b": {"quantizer": "fp8"}, "c": {"coder": "raw"}},
    "rules": [{"layers": [0, -1], "class": "c"}, {"kinds": "k", "heads": [1, 2], "class": "b"}]}]})");
  REQUIRE(p);
  const ProfileSpec& s = p->front();  // classes in order: a 0, b 1, c 2
  REQUIRE(runs(s, 0, KvKind::key) == std::vector<HeadRun>{{0, 4, 2}});
  REQUIRE(runs(s, 5, KvKind::value) == std::vector<HeadRun>{{0, 4, 2}});
  REQUIRE(runs(s, 3, KvKind::value) == std::vector<HeadRun>{{0, 4, 1}});
  REQUIRE(runs(s, 3, KvKind::key) == std::vector<HeadRun>{{0, 1, 0}, {1, 2, 1}, {3, 1, 0}});
}

TEST_CASE("sinks and tail are those of the sequence, wherever it is cut") {
  ProfileSpec p;
  p.sinks = 4, p.tail = 10;
  const auto rows = [&](std::uint32_t first, std::uint32_t tokens) {
    const ExactRows e = exact_rows(p, {.tokens = tokens, .first_token = first, .end_token = 100});
    return std::pair{e.head, e.tail};
  };
  REQUIRE(rows(0, 50) == std::pair{4U, 0U});
  REQUIRE(rows(0, 3) == std::pair{3U, 0U});
  REQUIRE(rows(3, 50) == std::pair{1U, 0U});
  REQUIRE(rows(50, 50) == std::pair{0U, 10U});
  REQUIRE(rows(50, 45) == std::pair{0U, 5U});
  REQUIRE(rows(95, 5) == std::pair{0U, 5U});
  REQUIRE(rows(0, 100) == std::pair{4U, 10U});
  p.tail = 4000;
  REQUIRE(rows(0, 100) == std::pair{4U, 96U});
  REQUIRE(rows(50, 50) == std::pair{0U, 50U});
}

TEST_CASE("what changes the bytes changes the canonical form, and nothing else does") {
  const auto form = [](const std::string& text) { return canonical(parse_profiles(text).value().front()); };
  const std::string base = form(profile(""));
  REQUIRE(form(profile(R"(, "about": "words")")) == base);
  REQUIRE(form(profile(R"(, "nominal_ratio": 3)")) == base);
  REQUIRE(form(profile(R"(, "sinks": 4)")) != base);
  REQUIRE(form(profile(R"(, "rules": [{"layers": [0], "class": "m"}])")) != base);
  REQUIRE(form(profile("", R"("quantizer": "absmax", "levels": 15)")) != base);
}
