// A pool smaller than the context served nobody who left max_tokens open, and nothing said so at the start.
#include "node/node_model.h"

#include <catch2/catch.hpp>

using namespace sluice;
using namespace sluice::node;

namespace {

NodeOptions tiny(std::uint32_t mib) {
  NodeOptions o;
  o.model_dir = std::string(SLUICE_SOURCE_DIR) + "/models/sluice-tiny";
  o.threads = 1;
  o.kv_memory_mib = mib;
  return o;
}

}  // namespace

TEST_CASE("by default a node holds at least one whole context, and no more than its sequences fill") {
  const auto n = load_node_model(tiny(0), 2);
  REQUIRE(n);
  const auto& shape = n->pool->shape();
  CHECK(n->identity.max_context == n->model->config().max_position);
  CHECK(std::uint64_t{shape.num_blocks} * shape.block_size == 2ULL * n->model->config().max_position);
  CHECK(n->identity.version == SLUICE_VERSION);
}

TEST_CASE("a node whose memory holds less than a context states the shorter one") {
  const auto n = load_node_model(tiny(1));
  REQUIRE(n);
  const auto& shape = n->pool->shape();
  CHECK(n->identity.max_context == shape.num_blocks * shape.block_size);
  CHECK(n->identity.max_context < n->model->config().max_position);
}

TEST_CASE("memory for less than a block is refused by its flag") {
  NodeOptions o = tiny(1);
  o.block_size = 1024;
  const auto n = load_node_model(o);
  REQUIRE_FALSE(n);
  CHECK(n.error().code == Errc::invalid_argument);
  CHECK_THAT(n.error().message, Catch::StartsWith("--kv-memory-mib 1 holds no block"));
}
