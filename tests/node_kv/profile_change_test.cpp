#include "node/kv/profile_change.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>

using namespace sluice;
using namespace sluice::node;

namespace {

struct Frame {
  std::uint32_t token, layer, layers;
};
constexpr std::uint32_t kLayers = 8;

/// A prompt of two passes of three chunks each, in the order its frames are queued.
std::vector<Frame> frames(std::uint32_t layers_a_frame) {
  std::vector<Frame> out;
  for (std::uint32_t pass = 0; pass < 2; ++pass)
    for (std::uint32_t layer = 0; layer < kLayers; layer += layers_a_frame)
      for (std::uint32_t chunk = 0; chunk < 3; ++chunk)
        out.push_back({(3 * pass + chunk) * 512, layer, std::min(layers_a_frame, kLayers - layer)});
  return out;
}

}  // namespace

TEST_CASE("a change anywhere in a transfer is told in at most three steps, and found again from them") {
  for (const std::uint32_t grouped : {1U, 3U}) {
    const std::vector<Frame> sent = frames(grouped);
    for (std::size_t at = 0; at <= sent.size(); ++at) {
      std::vector<std::size_t> order(sent.size());
      for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
      std::ranges::shuffle(order, std::mt19937(static_cast<std::uint32_t>(at)));
      ChangeTracker t(kLayers);
      for (const std::size_t i : order) REQUIRE(t.add(sent[i].token, sent[i].layer, sent[i].layers, i >= at));
      const auto steps = t.steps();
      REQUIRE(steps);
      CHECK(steps->size() <= 3);
      for (std::size_t i = 0; i < sent.size(); ++i) CHECK(changed(*steps, sent[i].token, sent[i].layer) == (i >= at));
    }
  }
}

TEST_CASE("without a step nothing changed") { CHECK_FALSE(changed({}, 0, 0)); }

TEST_CASE("a transfer that no few steps describe is refused") {
  ChangeTracker back(kLayers);
  REQUIRE(back.add(0, 2, 1, true));
  CHECK_FALSE(back.add(0, 3, 1, false));
  ChangeTracker many(kLayers);
  for (std::uint32_t column = 0; column < 2 * kMaxChangeSteps; ++column)
    REQUIRE(many.add(column, 0, kLayers, column % 2 == 0));
  REQUIRE_FALSE(many.steps());
  CHECK(many.steps().error().code == Errc::data_corrupt);
}
