// The default was 512 MiB for every model: 4,096 tokens of Llama 3.1 8B, whose context is 131,072, so that every chat
// that left max_tokens open was refused.
#include "engine/kv_sizing.h"

#include <catch2/catch.hpp>

using namespace sluice;
using namespace sluice::engine;

namespace {

constexpr std::uint64_t kMiB = 1U << 20, kGiB = 1U << 30;

KvDemand llama8b(std::uint64_t available) {
  return {.available = available, .token_bytes = 128 * 1024, .block_size = 16, .context = 131072, .requested = {}};
}

KvSizing sized(const KvDemand& d) {
  const auto r = size_kv_pool(d);
  if (!r) FAIL(r.error().message);
  CHECK(r->bytes == std::uint64_t{r->blocks} * d.block_size * d.token_bytes);
  return *r;
}

}  // namespace

TEST_CASE("unasked, a node takes half of what is available") {
  const KvSizing s = sized(llama8b(100 * kGiB));
  CHECK(s.bytes == 50 * kGiB);
  CHECK(s.longest == 131072);
  CHECK(s.note.empty());
}

TEST_CASE("more than half where one context needs it, up to four fifths") {
  const KvSizing s = sized(llama8b(24 * kGiB));
  CHECK(s.bytes == 16 * kGiB);
  CHECK(s.longest == 131072);
  CHECK(s.note.empty());
  const KvSizing less = sized(llama8b(10 * kGiB));
  CHECK(less.bytes == 8 * kGiB);
  CHECK(less.longest == 65536);
  CHECK_THAT(less.note, Catch::Contains("65536 tokens") && Catch::Contains("131072") && Catch::Contains("16384 MiB"));
}

TEST_CASE("a small model does not take a large machine") {
  KvDemand tiny = llama8b(1000 * kGiB);
  tiny.token_bytes = 1024;
  tiny.context = 4096;
  CHECK(sized(tiny).bytes == 512 * kMiB);
  tiny.token_bytes = 64 * 1024;
  CHECK(sized(tiny).bytes == 16 * 256 * kMiB);
}

TEST_CASE("a context that is not whole blocks fits whole") {
  KvDemand d = llama8b(1000);
  d.token_bytes = 1;
  d.context = 100;
  d.available = 112 * 5 / 4;  // four fifths are 7 blocks of 16
  CHECK(sized(d).blocks == 7);
  CHECK(sized(d).longest == 100);
}

TEST_CASE("memory for less than a short chat is refused, unasked") {
  const auto r = size_kv_pool(llama8b(300 * kMiB));
  REQUIRE_FALSE(r);
  CHECK(r.error().code == Errc::resource_exhausted);
  CHECK_THAT(r.error().message, Catch::Contains("300 MiB") && Catch::Contains("--kv-memory-mib"));
  CHECK_FALSE(size_kv_pool(llama8b(0)));
}

TEST_CASE("what was asked for is given, and a note says where it falls short") {
  KvDemand d = llama8b(100 * kGiB);
  d.requested = 512 * kMiB;
  const KvSizing s = sized(d);
  CHECK(s.blocks == 256);
  CHECK(s.longest == 4096);
  CHECK_THAT(s.note, Catch::Contains("4096 tokens"));
  d.requested = 200 * kGiB;
  CHECK(sized(d).bytes == 200 * kGiB);
  CHECK_THAT(sized(d).note, Catch::Contains("102400 MiB that are available"));
  d.requested = 1;
  const auto none = size_kv_pool(d);
  REQUIRE_FALSE(none);
  CHECK(none.error().code == Errc::invalid_argument);
}

TEST_CASE("sizes past every machine do not overflow") {
  KvDemand d{
      .available = UINT64_MAX, .token_bytes = UINT64_MAX / 2, .block_size = 16, .context = 1U << 24, .requested = {}};
  CHECK_FALSE(size_kv_pool(d));  // not one block
  d.token_bytes = 1;
  d.requested = UINT64_MAX;
  CHECK(sized(d).blocks == UINT32_MAX);
}

TEST_CASE("no more than all sequences at once can fill") {
  KvDemand d = llama8b(1000 * kGiB);
  d.max_seqs = 2;
  CHECK(sized(d).bytes == 32 * kGiB);
  d.max_seqs = 256;
  CHECK(sized(d).bytes == 256 * kGiB);  // 16 contexts
  d.token_bytes = 1024;
  d.context = 4096;
  d.max_seqs = 8;
  CHECK(sized(d).bytes == 32 * kMiB);
  d.requested = 64 * kMiB;
  CHECK(sized(d).bytes == 64 * kMiB);
}

TEST_CASE("what is free in the machine") {
  CHECK(free_in_machine("MemTotal:       24000000 kB\nMemFree:         1000000 kB\nMemAvailable:   20000000 kB\n") ==
        20000000ULL * 1024);
  CHECK_FALSE(free_in_machine(""));
  CHECK_FALSE(free_in_machine("MemAvailable:"));
  CHECK_FALSE(free_in_machine("HugeMemAvailable: 3 kB\n"));
}

TEST_CASE("what a control group still allows") {
  CHECK(free_in_group({"8000000000\n", "3000000000\n", ""}) == 5000000000ULL);
  CHECK(free_in_group({"1000\n", "3000\n", ""}) == 0U);
  CHECK_FALSE(free_in_group({"max\n", "5\n", ""}));
  CHECK_FALSE(free_in_group({}));
}

// A checkpoint that was read lies in the page cache of the group, and counts as its memory until others need it.
TEST_CASE("files that a control group has read and does not use are room") {
  const auto left = [](std::string_view stat) { return free_in_group({"8000", "7000", stat}); };
  CHECK(left("anon 1000\nfile 6000\nactive_file 2000\ninactive_file 4000\n") == 5000U);
  CHECK(left("inactive_file 1\ntotal_inactive_file 4000\n") == 5000U);
  CHECK(left("inactive_file 9000\n") == 8000U);
  CHECK(left("workingset_inactive_file 4000\n") == 1000U);
  CHECK(left("inactive_file x\n") == 1000U);
}
