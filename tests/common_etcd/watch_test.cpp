#include "common/etcd/watch.h"

#include "tests/common_etcd/etcd_rig.h"
#include "tests/support/skip.h"

using namespace sluice;
using namespace sluice::etcd;
using namespace std::chrono_literals;
using test::EtcdRig;
using test::RealEtcd;

namespace {

struct Rig : EtcdRig {
  int news = 0;
  std::vector<bool> reached;
  Watch watch{io,
              client,
              KeyRange::prefix("/a/"),
              {.on_keys = [this](const Watch::Keys&) { ++news; },
               .on_reach = [this](const Result<>& r) { reached.push_back(r.has_value()); }}};
  using EtcdRig::EtcdRig;
  ~Rig() { watch.stop(); }
  [[nodiscard]] std::string at(const std::string& key) const {
    const auto it = watch.keys().find(key);
    return it == watch.keys().end() ? "-" : it->second.value;
  }
};

}  // namespace

TEST_CASE("a watch follows what others write, and what they delete") {
  if (!RealEtcd::installed()) SLUICE_SKIP("etcd is not installed");
  RealEtcd etcd;
  Rig r(etcd.options());
  REQUIRE(r.put("/a/1", "one"));
  r.watch.start();
  REQUIRE(r.until([&] { return r.at("/a/1") == "one" && r.watch.in_touch(); }));
  REQUIRE(r.put("/b/1", "not ours"));
  REQUIRE(r.put("/a/2", "two"));
  REQUIRE(r.until([&] { return r.at("/a/2") == "two"; }, 1s));
  REQUIRE(r.commit({{}, {{"/a/1", std::nullopt}}}));
  REQUIRE(r.until([&] { return r.at("/a/1") == "-"; }, 1s));
  CHECK(r.watch.keys().size() == 1);
  CHECK(r.reached == std::vector<bool>{true});
}

TEST_CASE("while etcd is away its keys stay known; what happened meanwhile is seen after") {
  if (!RealEtcd::installed()) SLUICE_SKIP("etcd is not installed");
  RealEtcd etcd;
  Rig r(etcd.options());
  REQUIRE(r.put("/a/1", "one"));
  r.watch.start();
  REQUIRE(r.until([&] { return r.at("/a/1") == "one"; }));
  SECTION("it ends, and comes back with its data") {
    etcd.kill();
    REQUIRE(r.until([&] { return !r.watch.in_touch(); }));
    CHECK(r.at("/a/1") == "one");
    etcd.start();
    REQUIRE(r.until([&] { return r.watch.in_touch(); }));
    CHECK(r.news == 1);
  }
  SECTION("it is stopped, as behind a partition") {
    etcd.signal(SIGSTOP);
    REQUIRE(r.until([&] { return !r.watch.in_touch(); }, 5s));
    CHECK(r.at("/a/1") == "one");
    etcd.signal(SIGCONT);
    REQUIRE(r.until([&] { return r.watch.in_touch(); }, 5s));
    CHECK(r.news == 1);
  }
  SECTION("it comes back empty") {
    etcd.kill();
    etcd.lose_data();
    etcd.start();
    REQUIRE(r.until([&] { return r.watch.in_touch() && r.watch.keys().empty(); }));
  }
  REQUIRE(r.put("/a/3", "three"));
  CHECK(r.until([&] { return r.at("/a/3") == "three"; }, 3s));
}

// A watch that begins at a revision which is gone is cancelled by etcd.
TEST_CASE("what was compacted away is read anew") {
  if (!RealEtcd::installed()) SLUICE_SKIP("etcd is not installed");
  RealEtcd etcd;
  Rig r(etcd.options());
  r.watch.start();
  REQUIRE(r.until([&] { return r.watch.in_touch(); }));
  std::int64_t last = 0;
  for (int i = 0; i < 20; ++i) last = r.put("/a/1", std::to_string(i))->revision;
  etcd.post("/v3/kv/compaction", R"({"revision":")" + std::to_string(last) + R"("})");
  REQUIRE(r.put("/a/2", "after"));
  CHECK(r.until([&] { return r.at("/a/2") == "after" && r.at("/a/1") == "19"; }, 2s));

  // And on the line: etcd says so, whoever asks for too old a revision.
  std::optional<WatchAnswer> said;
  const auto old = r.client.watch(
      KeyRange::prefix("/a/"), 2,
      [&](std::string_view line) {
        const auto a = parse_watch(line);
        REQUIRE(a);
        if (a->canceled) said = *a;
      },
      [](const Result<HttpCall::Answer>&) {});
  REQUIRE(r.until([&] { return said.has_value(); }));
  CHECK(said->compacted == last);
  old->cancel();
}
