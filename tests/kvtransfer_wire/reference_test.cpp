// A quality probe's reference: only the ticket's bearer can have made it, and nothing else is taken for one.
#include "kvtransfer/wire/reference.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <functional>
#include <random>

#include "kvtransfer/transport/transport.h"
#include "kvtransfer/wire/handshake.h"
#include "tests/kvtransfer_wire/transfer.h"

using namespace sluice;
using namespace sluice::kv;

namespace {

const KvLayout kLayout{.layers = 2, .kv_heads = 1, .head_dim = 8};

Ticket ticket(SealMode seal) {
  static const auto registry = make_registry();
  return kv::test::make_ticket(*registry, kLayout, {0, 20}, "raw", seal);
}

/// The likeliest of 2,000 tokens with random logits, by id, and the mass of the others.
HeadDistribution head(std::size_t tokens) {
  std::mt19937 g(1);
  std::normal_distribution<double> z(0, 3);
  std::vector<std::pair<double, TokenId>> weights;
  double sum = 0;
  for (TokenId id = 0; id < 2000; ++id) {
    weights.emplace_back(std::exp(z(g)), id);
    sum += weights.back().first;
  }
  std::ranges::sort(weights, std::greater{});
  HeadDistribution h;
  double named = 0;
  for (std::size_t i = 0; i < tokens; ++i) {
    named += weights[i].first;
    h.top.push_back({weights[i].second, static_cast<float>(std::log(weights[i].first / sum))});
  }
  std::ranges::sort(h.top, {}, &HeadDistribution::Entry::id);
  h.tail = static_cast<float>((sum - named) / sum);
  return h;
}

}  // namespace

TEST_CASE("a reference travels whole, within one note, readable or not") {
  for (const SealMode seal : {SealMode::encrypt, SealMode::digest}) {
    const Ticket t = ticket(seal);
    for (const std::size_t n : {std::size_t{1}, std::size_t{7}, kMaxReferenceTokens}) {
      const auto note = write_reference(t, head(n));
      REQUIRE(note);
      CHECK(note->size() <= kMaxMessageHeader);
      CHECK(is_reference(*note));
      CHECK(reference_ticket(*note) == t.id);
      CHECK(open_reference(t, *note) == head(n));
    }
  }
}

TEST_CASE("a changed byte, a missing one, and another ticket's key are noticed") {
  for (const SealMode seal : {SealMode::encrypt, SealMode::digest}) {
    const Ticket t = ticket(seal);
    const auto note = *write_reference(t, head(9));
    for (std::size_t i = 0; i < note.size(); ++i) {
      auto bad = note;
      bad[i] ^= std::byte{1};
      CHECK_FALSE(open_reference(t, bad));
      CHECK_FALSE(open_reference(t, std::span(note).first(i)));
    }
    Ticket other = ticket(seal);
    other.id = t.id;
    CHECK(open_reference(other, note).error().code == Errc::data_corrupt);
  }
}

TEST_CASE("a sealed distribution that is none is refused at both ends") {
  const Ticket t = ticket(SealMode::encrypt);
  auto refused = [&](auto change) {
    HeadDistribution h = head(5);
    change(h);
    return !write_reference(t, h);
  };
  CHECK_FALSE(refused([](HeadDistribution&) {}));
  CHECK(refused([](HeadDistribution& h) { h.top.clear(); }));
  CHECK(refused([](HeadDistribution& h) { h = head(kMaxReferenceTokens + 1); }));
  CHECK(refused([](HeadDistribution& h) { h.top[1].id = h.top[0].id; }));
  CHECK(refused([](HeadDistribution& h) { h.top[0].logprob = 0.5F; }));
  CHECK(refused([](HeadDistribution& h) { h.tail = -0.1F; }));
  CHECK(refused([](HeadDistribution& h) { h.tail += 0.1F; }));
}

TEST_CASE("a reference is no transfer note, and a transfer note no reference") {
  const Ticket t = ticket(SealMode::encrypt);
  CHECK_FALSE(parse_note(*write_reference(t, head(3))));
  const auto note = write_note({.ticket = t.id, .committed = true});
  CHECK_FALSE(is_reference(note));
  CHECK_FALSE(is_reference({}));
  CHECK_FALSE(reference_ticket(note));
}
