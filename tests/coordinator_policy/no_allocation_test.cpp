// A decision happens on the coordinator's one thread for every request: it may not go to the heap. This program's
// operator new counts.
#include <atomic>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <new>

#include "coordinator/policy/placement.h"
#include "tests/coordinator_policy/fixture.h"

namespace {
std::atomic<std::size_t> allocations{0};
}

void* operator new(std::size_t n) {
  ++allocations;
  if (void* p = std::malloc(n)) return p;
  throw std::bad_alloc();
}
void* operator new(std::size_t n, const std::nothrow_t&) noexcept {
  ++allocations;
  return std::malloc(n);
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }

using namespace sluice;
using namespace sluice::coordinator;

TEST_CASE("a decision in a steady cluster allocates nothing, probing included") {
  auto c = test::cluster(16, 16);
  Placement placement({.explore_share = 0.5});
  const auto r = test::request();
  TimePoint now{std::chrono::seconds(1000)};
  for (int i = 0; i < 10; ++i) (void)placement.decide(c, r, 1e3, now);  // buffers grow
  allocations = 0;
  for (int i = 0; i < 200; ++i) {
    now += std::chrono::milliseconds(50);
    const Placed placed = placement.decide(c, r, 1e3, now);
    const auto* d = std::get_if<Decision>(&placed);
    if (d == nullptr) FAIL("no decision");
    Candidate k = d->chosen;
    placement.placed(k, now);
    placement.prefill_done(k, {.compute_s = 0.4, .encode_s = 0.1, .wire_s = 0.3, .raw_bytes = k.raw_bytes}, now);
    placement.finished(k, {.decode_s = 0.1, .first_step_s = 0.01, .raw_bytes = k.raw_bytes, .ttft_s = 0.6}, now);
  }
  const std::size_t seen = allocations;
  CHECK(seen == 0);
}
