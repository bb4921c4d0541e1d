// A process that writes is killed 100 times in the middle of it. Every object is there whole, or is not there.
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "kvstore/tier/disk_tier.h"
#include "tests/kvstore/objects.h"
#include "tests/support/skip.h"
#include "tests/support/temp_dir.h"

using namespace sluice;
using namespace sluice::kvstore;
using namespace sluice::kvstore::test;
using sluice::test::TempDir;

namespace {

constexpr std::uint64_t kObjects = 64;

Recipe recipe(std::uint64_t n) {
  return {.name = 1 + n, .parent = 1000 + n, .bytes = 200'000 + 1000 * static_cast<std::size_t>(n)};
}

/// So that objects are evicted too, and written again.
constexpr ResidentLimits kHalf{kObjects / 2 * 220'000, kObjects / 2 * 220'000};

/// Writes until it is killed; a byte into the pipe after each object.
[[noreturn]] void write_for_ever(const std::filesystem::path& root, unsigned seed, int pipe,
                                 const std::vector<ObjectBytes>& objects) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  auto tier = open_disk_tier({.root = root, .limits = kHalf}, plain_keys());
  if (!tier) ::_exit(1);
  std::mt19937 draw(seed);
  for (;;) {
    const auto put = put_object(**tier, objects[draw() % kObjects], soon());
    if (!put && put.error().code != Errc::already_exists) ::_exit(1);
    if (::write(pipe, "x", 1) != 1) ::_exit(1);
  }
}

/// How many objects there are; all of them as they were made.
std::size_t read_all(const std::filesystem::path& root, const std::vector<ObjectBytes>& objects) {
  const auto tier = open_disk_tier({.root = root, .limits = kHalf}, plain_keys()).value();
  std::size_t whole = 0;
  for (const auto& object : objects) {
    const auto got = tier->get(object.key(), soon());
    if (got) CHECK(same_bytes(*got, object));
    if (!got) CHECK(got.error().code == Errc::not_found);
    whole += got ? 1 : 0;
  }
  for (const auto n : tier->counts().refused) CHECK(n == 0);
  CHECK(tier->use(soon()).value().objects == whole);
  return whole;
}

}  // namespace

TEST_CASE("disk: a writing process is killed 100 times") {
  const TempDir dir;
  std::vector<ObjectBytes> objects;
  for (std::uint64_t n = 0; n < kObjects; ++n) objects.push_back(make_object(recipe(n)));
  std::mt19937 draw(1);
  std::size_t interrupted = 0;
  for (unsigned round = 0; round < 100; ++round) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const pid_t child = ::fork();
    if (child == 0) write_for_ever(dir.path(), round, ends[1], objects);
    ::close(ends[1]);
    char c;
    for (unsigned n = 1 + draw() % 6; n > 0; --n) REQUIRE(::read(ends[0], &c, 1) == 1);
    // Somewhere in the next object: after a while that is no condition of what comes, but what is tried.
    ::usleep(draw() % 1500);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    ::close(ends[0]);
    if (!std::filesystem::is_empty(dir / "new")) ++interrupted;
    if (round % 20 == 19) CHECK(read_all(dir.path(), objects) > 0);
  }
  CHECK(interrupted > 5);  // otherwise nothing was tried
}

TEST_CASE("disk: a disk that is full") {
  const TempDir dir;
  if (::mount("tmpfs", dir.path().c_str(), "tmpfs", 0, "size=2m") != 0)
    SLUICE_SKIP("a file system of 2 MiB cannot be mounted here");
  {
    const auto tier =
        open_disk_tier({.root = dir.path(), .limits = {std::uint64_t{1} << 30U, std::uint64_t{1} << 30U}}, plain_keys())
            .value();
    std::vector<ObjectBytes> kept;
    for (std::uint64_t n = 0; n < 12; ++n) {
      const auto object = make_object(recipe(n));
      const auto put = put_object(*tier, object, soon());
      if (put) kept.push_back(object);
      if (!put) CHECK(put.error().code == Errc::resource_exhausted);
    }
    CHECK(kept.size() > 4);
    CHECK(kept.size() < 12);
    for (const auto& o : kept) CHECK(same_bytes(tier->get(o.key(), soon()).value(), o));
    REQUIRE(tier->erase(kept[0].key(), soon()));
    CHECK(put_object(*tier, kept[0], soon()));  // room again
  }
  ::umount(dir.path().c_str());
}
