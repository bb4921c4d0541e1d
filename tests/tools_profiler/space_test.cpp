#include "tools/profiler/space.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <set>

#include "kvtransfer/codec/codecs.h"
#include "tools/profiler/library.h"

using namespace sluice;
using namespace sluice::profiler;

namespace {

Result<std::vector<kv::ProfileSpec>> reread(const kv::ProfileSpec& p) {
  return kv::parse_profiles(nlohmann::json{{"profiles", {to_json(p)}}}.dump());
}

}  // namespace

TEST_CASE("the space is large, and every id in it means one composition") {
  const Space s = or_throw(Space::make({.calibrated = true}));
  CHECK(s.candidates.size() >= 2000);
  CHECK(s.lossy.size() >= 2000);
  std::set<std::string> ids, compositions, lossy;
  for (const Candidate& c : s.candidates) {
    ids.insert(s.id(c));
    compositions.insert(kv::canonical(s.profile(c)));
  }
  for (const Lossy& l : s.lossy) lossy.insert(s.id(l));
  CHECK(ids.size() == s.candidates.size());
  CHECK(compositions.size() == s.candidates.size());
  CHECK(lossy.size() == s.lossy.size());
}

TEST_CASE("the codec's parser takes candidates and reads the same composition back") {
  for (const bool small : {true, false}) {
    const Space s = or_throw(Space::make({.calibrated = true, .small = small}));
    for (std::size_t i = 0; i < s.candidates.size(); i += 37) {
      kv::ProfileSpec p = s.profile(s.candidates[i]);
      CAPTURE(p.name);
      p.stated_kl = s.lossless(s.lossy[s.candidates[i].lossy]) ? 0 : 0.5;
      const auto read = reread(p);
      REQUIRE(read);
      CHECK(kv::canonical(read->front()) == kv::canonical(p));
    }
  }
}

TEST_CASE("every choice of a class is one that the parser takes, with each of its coders") {
  const Space s = or_throw(Space::make({.calibrated = true}));
  for (const ClassChoice& c : s.choices) {
    CAPTURE(c.tag);
    CHECK_FALSE(c.coders.empty());
    CHECK((c.for_keys || c.for_values));
  }
  // A model without calibration is offered nothing calibrated.
  for (const ClassChoice& c : or_throw(Space::make({})).choices) CHECK_FALSE(c.spec.calibrated);
}

TEST_CASE("finer is a partial order, and follows levels, guards and exact tokens") {
  const Space s = or_throw(Space::make({.small = true}));
  const auto named = [&s](const std::string& id) {
    for (const Lossy& l : s.lossy)
      if (s.id(l) == id) return l;
    throw std::runtime_error(id);
  };
  CHECK(s.finer(named("ku0.40-vu0.80"), named("ku0.50-vu1.00")));
  CHECK_FALSE(s.finer(named("ku0.50-vu1.00"), named("ku0.40-vu0.80")));
  CHECK_FALSE(s.finer(named("ku0.40-vu1.00"), named("ku0.50-vu0.80")));  // crosswise
  CHECK_FALSE(s.finer(named("kl16-vu0.80"), named("ku1.80-vu0.80")));    // other families
  CHECK(s.finer(named("kl8-vl8-l"), named("kl8-vl8-lk")));
  CHECK(s.finer(named("kl8-vl8-s4"), named("kl8-vl8")));
  CHECK_FALSE(s.finer(named("kl8-vl8"), named("kl8-vl8-s4-t32")));
  for (std::size_t a = 0; a < s.lossy.size(); a += 17)
    for (std::size_t b = 0; b < s.lossy.size(); b += 13)
      if (a != b) CHECK_FALSE((s.finer(s.lossy[a], s.lossy[b]) && s.finer(s.lossy[b], s.lossy[a])));
}

TEST_CASE("parts follow the class map") {
  const Space s = or_throw(Space::make({.small = true}));
  for (const Candidate& c : s.candidates) {
    const Guard g = s.lossy[c.lossy].guard;
    CHECK(s.part(c, 0, 4, false).guarded == (g == Guard::ends));
    CHECK_FALSE(s.part(c, 1, 4, true).guarded);
    CHECK(s.part(c, 3, 4, false).guarded == (g != Guard::none));
    CHECK(s.part(c, 3, 4, true).guarded == (g == Guard::last || g == Guard::ends));
  }
}

// Quality probes see a request's first token, which leans on the prompt's KV most: with the mean over all tokens as
// what they state, profiles that were as good as measured were left within a hundred probes.
TEST_CASE("a profile states what its first token may cost, and no less than the mean") {
  quality::Score s{.kl_mean = 0.0031, .kl_error = 0.0005, .kl_first = 0.0078, .kl_first_error = 0.001};
  CHECK(stated_kl(s) == Approx(0.0098));
  s.kl_first = s.kl_first_error = 0.0001;
  CHECK(stated_kl(s) == Approx(0.0041));
  CHECK(stated_kl({}) == 1e-7);
}

TEST_CASE("a library is loaded by the registry, and of another version is refused") {
  const Space s = or_throw(Space::make({.small = true}));
  std::vector<Entry> entries;
  for (const std::size_t i : {0UL, 1001UL, 4000UL}) {
    Entry e{.candidate = i};
    e.cheap = {.ratio = 3.3, .encode_bytes_per_s = 1e9, .decode_bytes_per_s = 2e9};
    e.score = {.kl_mean = 0.0123, .kl_error = 0.001, .kl_p99 = 0.2, .top1 = 0.99};
    e.speeds = {{"scalar", 256, 1e8, 2e8}};
    entries.push_back(e);
  }
  auto library = library_json(s, entries, {{{"model_hash", "abc"}}, {{"seed", 1}}, 0.1});
  const auto isa = kv::supported_isas().back();
  const auto registry = kv::make_registry(library.dump(), isa);
  REQUIRE(registry);
  CHECK((*registry)->profiles().size() == entries.size() + 2);
  CHECK((*registry)->profile("raw") != nullptr);
  const auto* p = (*registry)->profile(s.id(s.candidates[1001]));
  REQUIRE(p);
  CHECK(p->stated_kl == Approx(0.015));  // 0.0123 + 2 * 0.001, rounded up
  CHECK(p->nominal_ratio == Approx(3.3));
  CHECK(library["profiles"][2]["measured"]["kl_mean"] == 0.0123);
  library["version"] = 2;
  const auto refused = kv::make_registry(library.dump(), isa);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.find("version 2") != std::string::npos);
  CHECK(front_svg(entries, 0.1).ends_with("</svg>\n"));
}
