#include "coordinator/http/descriptors.h"

#include <sys/resource.h>

#include <catch2/catch.hpp>

using sluice::coordinator::raise_descriptor_limit;

TEST_CASE("the limit of descriptors is raised where it is too low, and left alone where it is not") {
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  rlimit low = before;
  low.rlim_cur = 256;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &low) == 0);
  CHECK(raise_descriptor_limit(200) == 256);
  CHECK(raise_descriptor_limit(257) == before.rlim_max);
  rlimit now{};
  ::getrlimit(RLIMIT_NOFILE, &now);
  CHECK(now.rlim_cur == before.rlim_max);
  // More than there is: what there is.
  low.rlim_cur = 256;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &low) == 0);
  if (before.rlim_max != RLIM_INFINITY) CHECK(raise_descriptor_limit(before.rlim_max + 1) == before.rlim_max);
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
}
