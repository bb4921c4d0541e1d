#include "coordinator/http/http_date.h"

#include <catch2/catch.hpp>

TEST_CASE("dates are RFC 9110's, whatever the locale, and follow the clock") {
  sluice::coordinator::HttpDate d;
  CHECK(d.at(784111777) == "Sun, 06 Nov 1994 08:49:37 GMT");
  CHECK(d.at(784111777) == "Sun, 06 Nov 1994 08:49:37 GMT");
  CHECK(d.at(784111778) == "Sun, 06 Nov 1994 08:49:38 GMT");
  CHECK(d.at(951782400) == "Tue, 29 Feb 2000 00:00:00 GMT");
}
