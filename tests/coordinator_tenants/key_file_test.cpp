#include "coordinator/tenants/key_file.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "coordinator/tenants/key_ring.h"
#include "tests/support/temp_dir.h"

using namespace sluice;
using namespace sluice::coordinator;
using Catch::Contains;

namespace {

const std::string kHash = "sha256:" + std::string(64, 'a');

std::string refusal(const std::string& text) {
  const auto r = parse_keys(text);
  REQUIRE_FALSE(r);
  return r.error().message;
}
std::string line(const std::string& more) {
  return R"({"id":"k","tenant":"acme","hash":")" + kHash + "\"" + more + "}";
}

}  // namespace

TEST_CASE("a file of keys: comments, empty lines, one key a line") {
  ApiKey k;
  k.key_id = "acme-1";
  k.tenant = "acme";
  k.admin = true;
  k.limits = {60, 1000, 2};
  k.models = {"m"};
  k.slo_classes = {"default", "gold"};
  k.expires = std::chrono::sys_seconds(std::chrono::seconds(1'800'000'000));
  const std::string key = new_key();
  const auto read = parse_keys("# keys\n\n  \r\n" + key_line(k, key) + "\n" + line(""));
  REQUIRE(read);
  REQUIRE(read->size() == 2);
  const ApiKey& got = read->front();
  CHECK(got.key_id == "acme-1");
  CHECK(got.admin);
  CHECK(got.limits == k.limits);
  CHECK(got.models == k.models);
  CHECK(got.slo_classes == k.slo_classes);
  CHECK(got.expires == k.expires);
  CHECK(got.hash == sha256(key));
  CHECK_FALSE(read->back().admin);
  CHECK(read->back().limits == KeyLimits{});
}

TEST_CASE("a key is not in its line, and no two are alike") {
  const std::string a = new_key(), b = new_key();
  CHECK(a != b);
  CHECK(a.size() == 3 + 64);
  CHECK_THAT(key_line({}, a), !Contains(a) && !Contains(a.substr(3)));
}

TEST_CASE("mistakes in a file of keys are named by line and field") {
  CHECK_THAT(refusal("\n" + line(R"(,"tokens_per_minuet":5)")),
             Contains("line 2") && Contains("tokens_per_minuet") && Contains("tokens_per_minute"));
  CHECK_THAT(refusal(line(R"(,"concurrent":0)")), Contains("concurrent"));
  CHECK_THAT(refusal(line(R"(,"admin":"yes")")), Contains("admin"));
  CHECK_THAT(refusal(line(R"(,"expires":"tomorrow")")), Contains("2027-01-31"));
  CHECK_THAT(refusal(line(R"(,"expires":"2027-01-31x")")), Contains("2027-01-31"));
  CHECK_THAT(refusal(line("") + "\n" + line("")), Contains("line 2") && Contains("twice"));
  CHECK_THAT(refusal(R"({"id":"k","tenant":"a"})"), Contains("hash"));
  CHECK_THAT(refusal(R"({"id":"k","tenant":"a b","hash":")" + kHash + "\"}"), Contains("tenant"));
  CHECK_THAT(refusal(R"({"id":"k","tenant":"a","hash":"sk-secret"})"), Contains("sha256:") && !Contains("sk-secret"));
  CHECK_THAT(refusal("not json"), Contains("line 1"));
  CHECK_THAT(refusal(line("") + "\n" + R"({"id":"k2","tenant":"a","hash":")" + kHash + "\"}"),
             Contains("another line"));
}

TEST_CASE("a file of keys that others can read is refused") {
  const test::TempDir dir;
  dir.write("keys", line("") + "\n");
  ::chmod((dir / "keys").c_str(), 0644);
  CHECK_THAT(load_keys((dir / "keys").string()).error().message, Contains("chmod 600"));
  ::chmod((dir / "keys").c_str(), 0600);
  CHECK(load_keys((dir / "keys").string()));
}

TEST_CASE("a ring finds a key by all of it") {
  std::vector<ApiKey> keys(3);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    keys[i].key_id = "k" + std::to_string(i);
    keys[i].hash = sha256("key " + std::to_string(i));
  }
  const KeyRing ring(keys);
  CHECK(ring.find("key 0")->key_id == "k0");
  CHECK(ring.find("key 2")->key_id == "k2");
  for (const char* no : {"", "key", "key 3", "key 00", "KEY 0"}) CHECK_FALSE(ring.find(no));
}
