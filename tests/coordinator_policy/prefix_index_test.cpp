#include "coordinator/policy/prefix_index.h"

#include <catch2/catch.hpp>
#include <random>

using namespace sluice;
using namespace sluice::coordinator;
using prefix::PrefixName;

namespace {

std::vector<PrefixName> names(std::uint64_t seed, std::size_t n) {
  std::mt19937_64 draw(seed);
  std::vector<PrefixName> out(n);
  for (auto& x : out)
    for (auto& b : x.bytes) b = static_cast<std::uint8_t>(draw());
  return out;
}

std::vector<std::uint32_t> match(const PrefixIndex& x, const std::vector<PrefixName>& chain,
                                 const std::vector<NodeId>& nodes) {
  std::vector<std::uint32_t> out{7};  // what was in it is gone
  x.match(chain, nodes, out);
  return out;
}

const NodeId kA("a"), kB("b"), kC("c");

}  // namespace

TEST_CASE("prefix index: a hit is the run of blocks from the first on") {
  PrefixIndex x;
  const auto chain = names(1, 100);
  x.begin(kA, 1000);
  x.begin(kB, 1000);
  CHECK(x.empty());
  x.stored(kA, std::span(chain).first(63));
  x.stored(kB, chain);
  CHECK(match(x, chain, {kB, kA, kC}) == std::vector<std::uint32_t>{100, 63, 0});
  for (const std::size_t n : {0U, 1U, 2U, 62U, 63U, 64U})
    CHECK(match(x, {chain.begin(), chain.begin() + static_cast<std::ptrdiff_t>(n)}, {kA}).front() ==
          std::min<std::size_t>(n, 63));
  CHECK(match(x, names(2, 10), {kA, kB}) == std::vector<std::uint32_t>{0, 0});
  CHECK_FALSE(x.empty());

  x.removed(kB, std::span(chain).subspan(5));
  CHECK(match(x, chain, {kB}).front() == 5);
  x.begin(kB, 1000);
  CHECK(match(x, chain, {kA, kB}) == std::vector<std::uint32_t>{63, 0});
  x.forget(kA);
  x.stored(kA, chain);  // nobody knows it
  CHECK(match(x, chain, {kA}).front() == 0);
  CHECK(x.size(kA) == 0);
}

TEST_CASE("prefix index: equals a walk over closed sets of names") {
  PrefixIndex x;
  std::mt19937 draw(5);
  const auto chain = names(3, 300);
  std::size_t held = 0;
  x.begin(kA, 300);
  for (int i = 0; i < 500; ++i) {
    const std::size_t to = draw() % (chain.size() + 1);
    if (to > held)
      x.stored(kA, std::span(chain).subspan(held, to - held));
    else
      x.removed(kA, std::span(chain).subspan(to, held - to));
    held = to;
    const std::size_t asked = draw() % (chain.size() + 1);
    REQUIRE(match(x, {chain.begin(), chain.begin() + static_cast<std::ptrdiff_t>(asked)}, {kA}).front() ==
            std::min(asked, held));
    REQUIRE(x.size(kA) == held);
  }
}

TEST_CASE("prefix index: a node that tells more than it can hold has nothing") {
  PrefixIndex x;
  const auto chain = names(4, 11);
  x.begin(kA, 10);
  x.stored(kA, std::span(chain).first(10));
  x.stored(kA, std::span(chain).first(10));  // told twice
  CHECK(x.size(kA) == 10);
  x.stored(kA, std::span(chain).last(1));
  CHECK(x.size(kA) == 0);
  x.stored(kA, std::span(chain).first(1));
  CHECK(x.size(kA) == 1);
}
