#include "common/tls/cluster_options.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "common/flags/program.h"
#include "tests/support/temp_dir.h"

using namespace sluice;
using namespace sluice::tls;

namespace {

ClusterOptions parsed(const std::vector<std::string>& args) {
  flags::App app("test");
  ClusterOptions o;
  add_cluster_options(app, o);
  app.parse(args);
  settle_cluster_options(o);
  return o;
}

}  // namespace

TEST_CASE("a token comes from its file, which must be private") {
  const test::TempDir dir;
  dir.write("token", "secret\n");
  const std::string file = (dir / "token").string();
  ::chmod(file.c_str(), 0600);
  CHECK(parsed({"--cluster-token-file", file}).token == "secret");
  ::chmod(file.c_str(), 0644);
  CHECK_THROWS_AS(parsed({"--cluster-token-file", file}), UsageError);
  CHECK(parsed({}).token.empty());
}

TEST_CASE("certificate, key and authorities go together, and a list of revocations goes with them") {
  const std::vector<std::string> all{"--cluster-cert", "c", "--cluster-key", "k", "--cluster-ca", "a"};
  CHECK(parsed(all).files.ca == "a");
  for (std::size_t i = 0; i < all.size(); i += 2) {
    auto some = all;
    some.erase(some.begin() + static_cast<std::ptrdiff_t>(i), some.begin() + static_cast<std::ptrdiff_t>(i) + 2);
    CHECK_THROWS_AS(parsed(some), UsageError);
  }
  auto with_list = all;
  with_list.insert(with_list.end(), {"--cluster-crl", "l"});
  CHECK(parsed(with_list).files.crl == "l");
  CHECK_THROWS_AS(parsed({"--cluster-crl", "l"}), UsageError);
}
