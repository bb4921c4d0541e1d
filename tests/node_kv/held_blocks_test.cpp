#include "node/kv/held_blocks.h"

#include <catch2/catch.hpp>

using namespace sluice;
using namespace sluice::node;

TEST_CASE("the last lease gives the references back, once") {
  std::vector<engine::BlockHandle> back;
  const std::vector<engine::BlockHandle> blocks{{BlockId(3), 1}, {BlockId(1), 7}};
  BlocksLease own = std::make_shared<const HeldBlocks>(
      blocks, [&](const std::vector<engine::BlockHandle>& b) { back.insert(back.end(), b.begin(), b.end()); });
  BlocksLease job = own;
  own.reset();
  CHECK(back.empty());
  CHECK(job->blocks()[1] == blocks[1]);
  job.reset();
  CHECK(back == blocks);
}

TEST_CASE("nothing held, nothing to give back") {
  bool called = false;
  {
    const HeldBlocks none({}, [&](const auto&) { called = true; });
  }
  CHECK_FALSE(called);
}
