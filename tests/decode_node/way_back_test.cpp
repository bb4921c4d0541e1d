#include "decode_node/way_back.h"

#include <catch2/catch.hpp>

using namespace sluice::decode;

namespace {

/// 1,000 positions of 1 kB; swapping takes 0.2 s, computing 1 s.
constexpr ParkedFacts kFacts{.exact = true,
                             .positions = 1000,
                             .raw_bytes = 1'000'000,
                             .swap_free = 10'000'000,
                             .swap_ratio = 1.25,
                             .out_bps = 1e7,
                             .in_bps = 1e7,
                             .prompt_tokens_per_s = 1000};

template <class Fn>
WayBack changed(Fn&& change) {
  ParkedFacts f = kFacts;
  change(f);
  return way_back(f);
}

}  // namespace

TEST_CASE("where there is room the KV is swapped") {
  CHECK(way_back(kFacts) == WayBack::swap);
  CHECK(changed([](auto& f) { f.exact = false; }) == WayBack::swap);
}

TEST_CASE("exact KV is computed again where that is known to be sooner") {
  CHECK(changed([](auto& f) { f.prompt_tokens_per_s = 6000; }) == WayBack::recompute);
  CHECK(changed([](auto& f) { f.prompt_tokens_per_s = 4000; }) == WayBack::swap);
  CHECK(changed([](auto& f) { f.in_bps = 1e5; }) == WayBack::recompute);
  for (double ParkedFacts::* speed : {&ParkedFacts::out_bps, &ParkedFacts::in_bps, &ParkedFacts::prompt_tokens_per_s}) {
    CHECK(changed([&](auto& f) {
            f.in_bps = 1e5;
            f.*speed = 0;
          }) == WayBack::swap);
  }
}

TEST_CASE("lossy KV is never computed again") {
  CHECK(changed([](auto& f) {
          f.exact = false;
          f.prompt_tokens_per_s = 1e9;
        }) == WayBack::swap);
  CHECK(changed([](auto& f) {
          f.exact = false;
          f.swap_free = 0;
        }) == WayBack::give_back);
}

TEST_CASE("where swap is full exact KV is computed again, and other legs are given back") {
  const auto full = [](bool exact, std::uint64_t free) {
    return changed([&](auto& f) {
      f.exact = exact;
      f.swap_free = free;
    });
  };
  CHECK(full(true, 799'999) == WayBack::recompute);  // a ratio of 1.25 is expected
  CHECK(full(true, 800'000) == WayBack::swap);
  CHECK(full(false, 799'999) == WayBack::give_back);
  CHECK(full(true, 0) == WayBack::recompute);
  CHECK(changed([](auto& f) {
          f.swap_ratio = 0;  // nothing swapped so far
          f.swap_free = 999'999;
          f.exact = false;
        }) == WayBack::give_back);
}

TEST_CASE("what has no KV yet is not swapped") {
  CHECK(changed([](auto& f) { f.positions = 0; }) == WayBack::recompute);
}

TEST_CASE("ways have names") {
  CHECK(name(WayBack::swap) == "swap");
  CHECK(name(WayBack::recompute) == "recompute");
  CHECK(name(WayBack::give_back) == "return");
}
