#include "kvstore/tier/disk_tier.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "tests/kvstore/objects.h"
#include "tests/support/temp_dir.h"

using namespace sluice;
using namespace sluice::kvstore;
using namespace sluice::kvstore::test;
using sluice::test::TempDir;

namespace {

namespace fs = std::filesystem;

constexpr ResidentLimits kWide{std::uint64_t{1} << 30U, std::uint64_t{1} << 30U};

std::unique_ptr<Tier> open(const TempDir& dir, const ResidentLimits& limits = kWide) {
  return open_disk_tier({.root = dir.path(), .limits = limits}, plain_keys()).value();
}

fs::path file_of(const TempDir& dir, const ObjectKey& key) {
  const std::string name = to_hex(key);
  return dir / "objects" / name.substr(0, 2) / name;
}

std::uint64_t refused(const Tier& tier, Refusal why) { return tier.counts().refused[static_cast<std::size_t>(why)]; }

void flip(const fs::path& file, std::streamoff at) {
  std::fstream f(file, std::ios::in | std::ios::out | std::ios::binary);
  f.seekg(at);
  const auto c = static_cast<char>(f.get() ^ 1);
  f.seekp(at);
  f.put(c);
}

}  // namespace

TEST_CASE("disk: objects outlive the tier, in the order of their use") {
  const TempDir dir;
  std::vector<ObjectBytes> objects;
  for (std::uint64_t n = 1; n <= 3; ++n) objects.push_back(make_object({.name = n, .parent = 100}));
  const std::uint64_t one = objects[0].facts().bytes;
  {
    const auto tier = open(dir);
    for (const auto& o : objects) REQUIRE(put_object(*tier, o, soon()));
    REQUIRE(tier->get(objects[0].key(), soon()));
  }
  const auto tier = open(dir, {3 * one, 3 * one});
  for (const auto& o : objects) CHECK(tier->has({&o.key(), 1}, soon()).value()[0]);
  REQUIRE(put_object(*tier, make_object({.name = 4, .parent = 100}), soon()));
  CHECK(tier->get(objects[1].key(), soon()).error().code == Errc::not_found);
  CHECK(same_bytes(tier->get(objects[0].key(), soon()).value(), objects[0]));
  CHECK_FALSE(fs::exists(file_of(dir, objects[1].key())));
}

TEST_CASE("disk: a start with less room keeps as much as there is room for") {
  const TempDir dir;
  const auto a = make_object({.name = 1, .parent = 100}), b = make_object({.name = 2, .parent = 1});
  {
    const auto tier = open(dir);
    REQUIRE(put_object(*tier, a, soon()));
    REQUIRE(put_object(*tier, b, soon()));
  }
  const auto tier = open(dir, {a.facts().bytes, a.facts().bytes});
  CHECK(tier->use(soon()).value().objects == 1);
  CHECK(fs::exists(file_of(dir, a.key())) + fs::exists(file_of(dir, b.key())) == 1);
}

TEST_CASE("disk: a folder has one owner") {
  const TempDir dir;
  const auto tier = open(dir);
  const auto second = open_disk_tier({.root = dir.path(), .limits = kWide}, plain_keys());
  REQUIRE_FALSE(second);
  CHECK(second.error().code == Errc::already_exists);
}

TEST_CASE("disk: a folder that cannot be used is refused in words") {
  const TempDir dir;
  dir.write("file", "x");
  for (const auto& root : {dir / "file", dir / "no" / "such"}) {
    const auto r = open_disk_tier({.root = root, .limits = kWide}, plain_keys());
    REQUIRE_FALSE(r);
    CHECK(r.error().message.find(root.string()) != std::string::npos);
  }
}

TEST_CASE("disk: flipped and cut files are refused, deleted and counted") {
  const TempDir dir;
  const auto tier = open(dir);
  const auto object = make_object({});
  const auto size = static_cast<std::streamoff>(object.facts().bytes);
  std::uint64_t digests = 0;
  for (const std::streamoff at : {std::streamoff{60}, std::streamoff{170}, size / 2, size - 1}) {
    REQUIRE(put_object(*tier, object, soon()));
    flip(file_of(dir, object.key()), at);
    CHECK(tier->get(object.key(), soon()).error().code == Errc::data_corrupt);
    CHECK(refused(*tier, Refusal::digest) == ++digests);
    CHECK_FALSE(fs::exists(file_of(dir, object.key())));
    CHECK(tier->use(soon()).value().bytes == 0);
  }
  std::uint64_t lengths = 0;
  for (const std::streamoff to : {std::streamoff{0}, std::streamoff{100}, size - 1, size + 1}) {
    REQUIRE(put_object(*tier, object, soon()));
    fs::resize_file(file_of(dir, object.key()), static_cast<std::uintmax_t>(to));
    CHECK(tier->get(object.key(), soon()).error().code == Errc::data_corrupt);
    CHECK(refused(*tier, Refusal::length) == ++lengths);
    CHECK_FALSE(fs::exists(file_of(dir, object.key())));
  }
  REQUIRE(put_object(*tier, object, soon()));
  fs::remove(file_of(dir, object.key()));
  CHECK(tier->get(object.key(), soon()).error().code == Errc::not_found);
  CHECK(tier->use(soon()).value().objects == 0);
}

TEST_CASE("disk: a start deletes what is no object, and leaves what is not its own") {
  const TempDir dir;
  const auto a = make_object({.name = 1}), b = make_object({.name = 2}), c = make_object({.name = 3});
  {
    const auto tier = open(dir);
    for (const auto& o : {a, b, c}) REQUIRE(put_object(*tier, o, soon()));
  }
  flip(file_of(dir, a.key()), 0);
  fs::resize_file(file_of(dir, b.key()), 500);
  dir.write("new/7", "left by a killed process");
  dir.write("objects/00/README", "somebody's");
  const auto tier = open(dir);
  CHECK(tier->use(soon()).value().objects == 1);
  CHECK(refused(*tier, Refusal::head) == 1);
  CHECK(refused(*tier, Refusal::length) == 1);
  CHECK_FALSE(fs::exists(file_of(dir, a.key())));
  CHECK_FALSE(fs::exists(dir / "new" / "7"));
  CHECK(fs::exists(dir / "objects" / "00" / "README"));
  CHECK(same_bytes(tier->get(c.key(), soon()).value(), c));
}

TEST_CASE("disk: what was written under another cluster's key, or lies in another's place, is refused by its address") {
  const TempDir dir;
  const auto a = make_object({.name = 1}), b = make_object({.name = 2});
  {
    const auto tier = open(dir);
    for (const auto& o : {a, b}) REQUIRE(put_object(*tier, o, soon()));
  }
  fs::copy_file(file_of(dir, a.key()), file_of(dir, b.key()), fs::copy_options::overwrite_existing);
  {
    const auto tier = open(dir);
    CHECK(refused(*tier, Refusal::address) == 1);
    CHECK(tier->use(soon()).value().objects == 1);
    CHECK(same_bytes(tier->get(a.key(), soon()).value(), a));
  }
  const ObjectKeys stranger(prefix::PrefixKey::draw());
  const auto tier = open_disk_tier({.root = dir.path(), .limits = kWide}, stranger).value();
  CHECK(refused(*tier, Refusal::address) == 1);
  CHECK(tier->use(soon()).value().objects == 0);
  CHECK_FALSE(fs::exists(file_of(dir, a.key())));
}

TEST_CASE("disk: a start is not held up by what is no file, and leaves what lies in a folder of other keys") {
  const TempDir dir;
  const auto a = make_object({.name = 1});
  {
    const auto tier = open(dir);
    REQUIRE(put_object(*tier, a, soon()));
  }
  const fs::path pipe = file_of(dir, make_object({.name = 2}).key());
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  const fs::path elsewhere = dir / "objects" / (to_hex(a.key()).starts_with("00") ? "01" : "00") / to_hex(a.key());
  fs::copy_file(file_of(dir, a.key()), elsewhere);
  const auto tier = open(dir);
  CHECK_FALSE(fs::exists(pipe));
  CHECK(fs::exists(elsewhere));
  CHECK(tier->use(soon()).value().objects == 1);
  CHECK(same_bytes(tier->get(a.key(), soon()).value(), a));
}

TEST_CASE("disk: a deadline that passed ends a read and a write") {
  const TempDir dir;
  const auto tier = open(dir);
  const auto object = make_object({});
  const auto past = std::chrono::steady_clock::now();
  CHECK(put_object(*tier, object, past).error().code == Errc::deadline_exceeded);
  CHECK(tier->use(soon()).value().objects == 0);
  REQUIRE(put_object(*tier, object, soon()));
  CHECK(tier->get(object.key(), past).error().code == Errc::deadline_exceeded);
  CHECK(same_bytes(tier->get(object.key(), soon()).value(), object));
}

// A child may write files of 300 kB only, as on a disk that fills up in the middle of an object: the system's answer to
// write() differs from a full disk's by its number alone, and object_folder.cpp treats both alike.
TEST_CASE("disk: a write that finds no room leaves nothing, and the rest stays readable") {
  const TempDir dir;
  const auto small = make_object({.name = 1, .bytes = 100'000}), large = make_object({.name = 2, .bytes = 900'000});
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{300'000, 300'000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const auto tier = open(dir);
    const bool first = put_object(*tier, small, soon()).has_value();
    const auto refused = put_object(*tier, large, soon());
    const bool empty = fs::is_empty(dir / "new");
    const auto got = tier->get(small.key(), soon());
    const bool again = put_object(*tier, make_object({.name = 3, .bytes = 1000}), soon()).has_value();
    const bool good = first && !refused && refused.error().code == Errc::resource_exhausted && empty && got &&
                      same_bytes(*got, small) && again && tier->use(soon())->objects == 2;
    ::_exit(good ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  CHECK(status == 0);
  CHECK(open(dir)->use(soon()).value().objects == 2);
}
