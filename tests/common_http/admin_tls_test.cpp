// A daemon's pages over HTTPS.
#include <catch2/catch.hpp>

#include "common/http/admin_server.h"
#include "common/http/client.h"
#include "tests/support/certificates.h"
#include "tests/support/io_thread.h"

using namespace sluice;
using Catch::Contains;

namespace {

/// A server with one page, on a thread of its own.
class Pages {
 public:
  explicit Pages(const tls::Files& files) : source_(*tls::Source::open({tls::Side::server, files}, "pages")) {
    loop_.on_io([&] {
      http::AdminRoutes routes;
      routes["/page"] = [] { return http::AdminReply{200, "text/plain", std::string(100'000, 'x')}; };
      server_ = std::make_unique<http::AdminServer>(loop_.io(), "127.0.0.1:0", std::move(routes), source_);
      return 0;
    });
  }
  ~Pages() {
    loop_.on_io([&] {
      server_.reset();
      return 0;
    });
  }
  Pages(const Pages&) = delete;
  [[nodiscard]] Result<http::ClientResponse> get(std::shared_ptr<const tls::Context> tls) const {
    http::ClientRequest q;
    q.address = server_->address();
    q.target = "/page";
    q.timeout = std::chrono::seconds(3);
    q.tls = std::move(tls);
    return http::request(q);
  }
  void refresh() {
    loop_.on_io([&] { return source_->refresh(); });
  }

 private:
  std::shared_ptr<tls::Source> source_;
  test::IoThread loop_;
  std::unique_ptr<http::AdminServer> server_;
};

std::shared_ptr<const tls::Context> client(const tls::Files& files) {
  return or_throw(tls::Context::load({tls::Side::client, files}));
}

}  // namespace

TEST_CASE("pages are HTTPS where they have a certificate, and a plain client gets nothing") {
  const test::Certificates c, strangers;
  const Pages pages({c["coordinator.pem"], c["coordinator.key"], ""});
  const auto page = pages.get(client({"", "", c["ca.pem"]}));
  REQUIRE(page);
  CHECK(page->status == 200);
  CHECK(page->body.size() == 100'000);
  CHECK_FALSE(pages.get(nullptr));
  const auto not_believed = pages.get(client({"", "", strangers["ca.pem"]}));
  REQUIRE_FALSE(not_believed);
  CHECK_THAT(not_believed.error().message, Contains("not believed"));
  CHECK(pages.get(client({"", "", c["ca.pem"]})));  // the others cost it nothing
}

TEST_CASE("pages that demand a certificate are read by who has one that counts") {
  test::Certificates c;
  const test::Certificates strangers;
  c.revoke("");
  Pages pages({c["coordinator.pem"], c["coordinator.key"], c["ca.pem"], c["crl.pem"]});
  CHECK(pages.get(client({c["client.pem"], c["client.key"], c["ca.pem"]})));
  CHECK_FALSE(pages.get(client({"", "", c["ca.pem"]})));
  CHECK_FALSE(pages.get(client({strangers["client.pem"], strangers["client.key"], c["ca.pem"]})));
  c.revoke("client");
  pages.refresh();
  CHECK_FALSE(pages.get(client({c["client.pem"], c["client.key"], c["ca.pem"]})));
}
