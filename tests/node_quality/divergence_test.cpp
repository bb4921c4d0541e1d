#include "node/quality/divergence.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <random>

using namespace sluice;
using namespace sluice::node;

namespace {

std::vector<float> random_logits(std::mt19937& g, std::size_t n, float spread) {
  std::normal_distribution<float> z(0, spread);
  std::vector<float> x(n);
  for (float& v : x) v = z(g);
  return x;
}

/// Over the whole vocabulary, in long double.
double full_kl(std::span<const float> p, std::span<const float> q) {
  long double np = 0;
  long double nq = 0;
  for (const float x : p) np += std::exp(static_cast<long double>(x));
  for (const float x : q) nq += std::exp(static_cast<long double>(x));
  long double kl = 0;
  for (std::size_t i = 0; i < p.size(); ++i)
    kl += std::exp(static_cast<long double>(p[i])) / np * ((p[i] - std::log(np)) - (q[i] - std::log(nq)));
  return static_cast<double>(kl);
}

}  // namespace

TEST_CASE("the head holds the likeliest tokens in order of ids, and the rest's mass") {
  const std::vector<float> logits{0, 3, 1, 3, -2};
  const auto h = head_of(logits, 2);
  REQUIRE(h);
  REQUIRE(h->top.size() == 2);
  CHECK(h->top[0].id == 1);
  CHECK(h->top[1].id == 3);
  const double norm = std::exp(0) + 2 * std::exp(3) + std::exp(1) + std::exp(-2);
  CHECK(h->top[0].logprob == Approx(3 - std::log(norm)));
  CHECK(h->tail == Approx((std::exp(0) + std::exp(1) + std::exp(-2)) / norm));
}

TEST_CASE("a distribution does not diverge from itself") {
  std::mt19937 g(3);
  for (const std::size_t vocab : {2, 56, 57, 5000}) {
    const auto p = random_logits(g, vocab, 3);
    const auto d = divergence(*head_of(p, 56), p);
    REQUIRE(d);
    CHECK(d->kl < 1e-6);
    CHECK(d->top1);
  }
}

TEST_CASE("the head's KL never exceeds the whole one, and is it where the head is everything") {
  std::mt19937 g(5);
  for (int i = 0; i < 300; ++i) {
    const auto p = random_logits(g, 400, 2.5F);
    auto q = p;
    std::normal_distribution<float> z(0, 0.02F * static_cast<float>(i % 50));
    for (float& x : q) x += z(g);
    const double whole = full_kl(p, q);
    const auto some = divergence(*head_of(p, 56), q);
    const auto all = divergence(*head_of(p, 400), q);
    REQUIRE(some);
    REQUIRE(all);
    CHECK(some->kl <= whole + 1e-6);
    CHECK(some->kl >= 0);
    CHECK(all->kl == Approx(whole).margin(1e-6));
  }
}

TEST_CASE("what the other holds impossible costs much, not everything") {
  std::vector<float> p{5, 0, 0};
  std::vector<float> q{-std::numeric_limits<float>::infinity(), 0, 0};
  const auto d = divergence(*head_of(p, 2), q);
  REQUIRE(d);
  CHECK(std::isfinite(d->kl));
  CHECK(d->kl > 10);
  CHECK_FALSE(d->top1);
  CHECK(divergence(*head_of(q, 3), p));
}

TEST_CASE("numbers that are none and tokens that do not exist are refused") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float inf = std::numeric_limits<float>::infinity();
  CHECK_FALSE(head_of(std::vector<float>{0, nan}, 2));
  CHECK_FALSE(head_of(std::vector<float>{0, inf}, 2));
  CHECK_FALSE(head_of(std::vector<float>{-inf, -inf}, 2));
  CHECK_FALSE(head_of({}, 2));
  const auto h = *head_of(std::vector<float>{0, 1, 2}, 3);
  CHECK(divergence(h, std::vector<float>{0, 1}).error().code == Errc::invalid_argument);
  CHECK_FALSE(divergence({}, std::vector<float>{0, 1}));
  CHECK_FALSE(divergence(h, std::vector<float>{0, 1, nan}));
}
