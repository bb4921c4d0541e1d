#include "coordinator/policy/candidates.h"

#include <catch2/catch.hpp>

using namespace sluice::coordinator;

namespace {

/// One pair and three profiles whose wire takes 0.1, 0.2 and 0.4 s beside 0.2 s of computation.
CandidateTable table(float rate) {
  CandidateTable t;
  t.prefills = {0};
  t.decodes = {0};
  t.profiles = {0, 1, 2};
  t.shape();
  t.prefill[0] = 0.2F;
  t.queue[0] = t.load[0] = 0;
  t.prefill_rate[0] = t.decode_rate[0] = t.link_rate[0] = rate;
  t.byte_s[0] = 1e-9F;
  t.wait[0] = 0;
  for (std::size_t f = 0; f < 3; ++f) {
    t.encode[f] = t.decode[f] = 0.01F;
    t.wire_bytes[f] = 1e8F * static_cast<float>(1U << f);
  }
  return t;
}

}  // namespace

TEST_CASE("what computation hides delays nobody") {
  const CandidateTable t = table(1);
  std::vector<float> price;
  price_all(t, price);
  CHECK(price[0] == 0);
  CHECK(price[1] == Approx(0).margin(1e-6));
  // rate * own * (own - compute) / (1 - rate * own)
  CHECK(price[2] == Approx(1 * 0.4 * 0.2 / 0.6));
}

TEST_CASE("delay grows with arrivals, with what waits already, and is bounded") {
  std::vector<float> one, two, behind, flooded;
  price_all(table(1), one);
  price_all(table(2), two);
  CHECK(two[2] > 2 * one[2]);
  CandidateTable t = table(1);
  t.wait[0] = 1;
  price_all(t, behind);
  CHECK(behind[0] == Approx(0.1 * (1 + 0.1 - 0.2) / 0.9));
  CHECK(behind[2] == Approx(0.4 * (1 + 0.4 - 0.2) / 0.6));
  price_all(table(100), flooded);
  CHECK(flooded[2] == Approx(100 * 0.4 * 0.2 / 0.05));  // and not infinite
  CHECK(flooded[1] <= flooded[2]);
}

TEST_CASE("codecs that several nodes feed queue for each other") {
  CandidateTable t = table(4);
  t.prefills = {0, 1};
  t.shape();
  for (std::size_t p = 0; p < 2; ++p) {
    t.prefill[p] = 0.2F;
    t.queue[p] = t.load[p] = t.prefill_rate[p] = t.link_rate[p] = t.wait[p] = 0;
    t.byte_s[p] = 1e-9F;
    for (std::size_t f = 0; f < 3; ++f) t.encode[p * t.stride + f] = t.wire_bytes[p * t.stride + f] = 0;
  }
  t.decode_rate[0] = 4;
  t.decode[0] = 0.05F;
  t.decode[1] = 0.19F;  // hidden alone, not with others at a load of 0.76
  std::vector<float> price;
  price_all(t, price);
  CHECK(price[0] == 0);
  CHECK(price[1] > 0);
}
