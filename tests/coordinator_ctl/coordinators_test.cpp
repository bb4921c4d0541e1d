#include "coordinator/ctl/coordinators.h"

#include <catch2/catch.hpp>

#include "common/http/admin_server.h"
#include "tests/support/io_thread.h"

using namespace sluice;
using namespace sluice::ctl;

namespace {

/// A coordinator, as far as it says whether it is ready.
std::unique_ptr<http::AdminServer> one(boost::asio::io_context& io, int status) {
  http::AdminRoutes pages;
  pages["/readyz"] = [status] { return http::AdminReply{status, "application/json", "{}"}; };
  return std::make_unique<http::AdminServer>(io, "127.0.0.1:0", std::move(pages));
}

}  // namespace

TEST_CASE("a list of URLs has commas between them, and each is one") {
  CHECK(*split_urls("127.0.0.1:8000") == std::vector<std::string>{"127.0.0.1:8000"});
  CHECK(*split_urls("http://a:1,https://b:2/v1") == std::vector<std::string>{"http://a:1", "https://b:2/v1"});
  for (const char* wrong : {"", ",", "http://a:1,", ",http://a:1", "http://a:1,,http://b:2", "http://a:1, http://b",
                            "http://a", "http://a:1;http://b:2"}) {
    INFO(wrong);
    const auto r = split_urls(wrong);
    REQUIRE_FALSE(r);
    CHECK(r.error().code == Errc::invalid_argument);
  }
}

TEST_CASE("the first coordinator that is ready is spoken to; one that is down or not ready is passed over") {
  test::IoThread loop;
  std::vector<std::unique_ptr<http::AdminServer>> up;
  const auto add = [&](int status) {
    return loop.on_io([&] { return up.emplace_back(one(loop.io(), status))->address(); });
  };
  const std::string gone = add(200);
  loop.on_io([&] {
    up.clear();
    return 0;
  });
  const std::string ready = add(200), another = add(200), unready = add(503);
  const auto chosen = [](const std::vector<std::string>& addresses) {
    std::vector<Endpoint> all;
    for (const auto& a : addresses) all.push_back({a, {}});
    return first_answering(all);
  };
  CHECK(*chosen({ready, another}) == 0);
  CHECK(*chosen({gone, another}) == 1);
  CHECK(*chosen({unready, gone, another}) == 2);
  CHECK(*chosen({gone, unready}) == 1);  // better than none
  CHECK(*chosen({gone}) == 0);           // not asked
  const auto none = chosen({gone, gone});
  REQUIRE_FALSE(none);
  CHECK(none.error().code == Errc::unavailable);
  CHECK_THAT(none.error().message, Catch::Contains("none of 2") && Catch::Contains(gone));
  loop.on_io([&] {
    up.clear();
    return 0;
  });
}
