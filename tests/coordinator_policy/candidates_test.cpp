#include "coordinator/policy/candidates.h"

#include <algorithm>
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
  t.sharers[0] = 1e6F;
  for (std::size_t f = 0; f < 3; ++f) {
    t.encode[f] = t.decode[f] = 0.01F;
    t.wire_bytes[f] = 1e8F * static_cast<float>(1U << f);
  }
  return t;
}

}  // namespace

TEST_CASE("what computation hides delays nobody") {
  CandidateTable t = table(1);
  std::vector<float> price;
  price_all(t, price);
  CHECK(price[0] == 0);
  CHECK(price[1] == Approx(0).margin(1e-6));
  // rate * own * (own - compute) / (1 - rate * own)
  CHECK(price[2] == Approx(1 * 0.4 * 0.2 / 0.6));
}

TEST_CASE("delay grows with arrivals, with what waits already, and is bounded") {
  std::vector<float> one, two, behind, flooded;
  CandidateTable slow = table(1);
  CandidateTable fast = table(2);
  CandidateTable most = table(100);
  price_all(slow, one);
  price_all(fast, two);
  CHECK(two[2] > 2 * one[2]);
  CandidateTable t = table(1);
  t.wait[0] = 1;
  price_all(t, behind);
  CHECK(behind[0] == Approx(0.1 * (1 + 0.1 - 0.2) / 0.9));
  CHECK(behind[2] == Approx(0.4 * (1 + 0.4 - 0.2) / 0.6));
  price_all(most, flooded);
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

TEST_CASE("one pass over times, prices and costs says what each says alone") {
  CandidateTable t = table(2);
  t.wait[0] = 0.3F;
  t.rtt[0] = t.fixed[0] = t.first[0] = 0.001F;
  t.factor[0] = 1.25F;
  t.scale = 0.5F;
  t.base[0] = 0.125F;
  std::vector<float> ttft, price;
  predict_all(t, ttft);
  price_all(t, price);
  t.limit[0] = ttft[1];
  CandidateCosts costs;
  cost_all(t, costs);
  CHECK(costs.in_time == 2);
  for (std::size_t f = 0; f < 3; ++f) {
    CHECK(costs.ttft[f] == ttft[f]);
    CHECK(costs.cost[f] == (f < 2 ? (ttft[f] + price[f]) * t.scale + t.base[0] : CandidateTable::kNever));
  }
  CHECK(costs.least[0] == std::min(costs.cost[0], costs.cost[1]));
  t.limit[0] = -1;  // it rests
  cost_all(t, costs);
  CHECK(costs.in_time == 0);
  CHECK(costs.least[0] == CandidateTable::kNever);
}

TEST_CASE("transfers that share a link hold a small one up by no more than its own bytes each") {
  CandidateTable t = table(1);
  t.wait[0] = 10;
  t.factor[0] = 1;
  std::vector<float> first_come, shared;
  predict_all(t, first_come);
  t.sharers[0] = 2;
  predict_all(t, shared);
  CHECK(first_come[2] == Approx(10 + 0.4 + 0.01).epsilon(0.01));
  CHECK(shared[2] == Approx(2 * 0.4 + 0.4 + 0.01).epsilon(0.01));
  CHECK(shared[0] < shared[2]);
}
