#include "node/node_options.h"

#include <catch2/catch.hpp>

#include "common/flags/program.h"

using namespace sluice::node;

TEST_CASE("a drain timeout that no clock can hold is refused where it is given") {
  auto parse = [](const std::string& seconds) {
    sluice::flags::App app("test");
    NodeOptions o;
    add_node_options(app, o);
    app.parse({"--coordinator", "c:1", "--model", "m", "--drain-timeout-s=" + seconds});
    return o.drain_timeout_s;
  };
  CHECK(parse("0") == 0);
  CHECK(parse("2.5") == 2.5);
  for (const char* wrong : {"-1", "1e7", "inf", "soon"}) {
    CAPTURE(wrong);
    CHECK_THROWS(parse(wrong));
  }
}

TEST_CASE("pages over TLS take the cluster's certificates") {
  NodeOptions o;
  settle_node_options(o);
  for (const char* how : {"server", "mutual"}) {
    o.admin_tls = how;
    CHECK_THROWS_AS(settle_node_options(o), sluice::UsageError);
  }
  o.cluster.files = {"cert", "key", "ca"};
  settle_node_options(o);
}
