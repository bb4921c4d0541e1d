// The kernels' bodies, thread by thread on the host, against the bytes of the host's codec. What this cannot show is
// that the device's own arithmetic and instructions do the same: gpu_test.cpp asks that where there is a device.
#include <catch2/catch.hpp>

#include "kvtransfer/codec/cuda/pack.cuh"
#include "tests/kvtransfer_codec_cuda/chunk.h"
#include "tests/kvtransfer_codec_cuda/emulation.h"
#include "tests/support/skip.h"

using namespace sluice;
using namespace sluice::kv;
using namespace sluice::kv::cuda;
using namespace sluice::kv::cuda::test;

namespace {

#if defined(__SANITIZE_THREAD__)
#define SLUICE_NEED_FIBERS() SLUICE_SKIP("ThreadSanitizer does not know contexts that take turns on one thread")
#else
#define SLUICE_NEED_FIBERS() (void)0
#endif

Image image_of(const ChunkPlan& plan) {
  Image m = plan.image;
  m.bytes = reinterpret_cast<const std::uint8_t*>(plan.bytes.data());
  return m;
}

template <class T>
T& as(std::byte* shared) {
  return *reinterpret_cast<T*>(shared);
}

/// The launches of kernels.cu, in its order.
template <int D>
void emulate_encode(const ChunkPlan& plan, const PageTable& t, std::uint8_t* out, BlobRef* blobs,
                    std::uint8_t* workspace) {
  const Image m = image_of(plan);
  launch(m.measured_tables, kWarp, sizeof(RansShared),
         [&](EmulatedThread& x, std::byte* shared) { measure_table<D>(x, m, t, workspace, as<RansShared>(shared)); });
  launch(m.tiles, kThreads, sizeof(Shared), [&](EmulatedThread& x, std::byte* shared) {
    encode_chunk<D>(x, m, t, out, blobs, workspace, as<Shared>(shared));
  });
  if (m.coded_blocks == 0) return;
  launch(m.coded_blocks, kWarp, sizeof(RansShared), [&](EmulatedThread& x, std::byte* shared) {
    encode_rans<D>(x, m, t, out, workspace, as<RansShared>(shared));
  });
  launch(m.segments + m.coded_blocks + m.moves, kThreads, sizeof(PackShared),
         [&](EmulatedThread& x, std::byte* shared) {
           pack_chunk<D>(x, m, t, out, blobs, workspace, as<PackShared>(shared));
         });
}

template <int D>
void emulate_decode(const ChunkPlan& plan, const PageTable& t, const Encoded& e, std::uint32_t* error) {
  const Image m = image_of(plan);
  launch(m.tiles, kThreads, sizeof(Shared),
         [&](EmulatedThread& x, std::byte* shared) { decode_chunk<D>(x, m, t, e, as<Shared>(shared), error); });
  launch(m.coded_blocks, kWarp, sizeof(RansShared),
         [&](EmulatedThread& x, std::byte* shared) { decode_rans<D>(x, m, t, e, as<RansShared>(shared), error); });
}

std::vector<std::vector<std::byte>> encode(const ChunkPlan& plan, const Chunk& chunk) {
  std::vector<std::uint64_t> out((plan.out_bytes + plan.workspace_bytes) / 8 + 8, 0x5a5a5a5a5a5a5a5aU);
  auto* bytes = reinterpret_cast<std::uint8_t*>(out.data());
  std::vector<BlobRef> blobs(plan.segments());
  const auto run = plan.head_dim == 64 ? emulate_encode<64> : emulate_encode<128>;
  run(plan, chunk.page_table(), bytes, blobs.data(), bytes + (plan.out_bytes + 15) / 16 * 16);
  std::vector<std::vector<std::byte>> all;
  for (const BlobRef& b : blobs) {
    const auto* from = reinterpret_cast<const std::byte*>(bytes) + b.offset;
    all.emplace_back(from, from + b.size);
  }
  return all;
}

DecodeError decode(const ChunkPlan& plan, Chunk& chunk, Packed& packed) {
  std::uint32_t error = 0;
  const Encoded e{reinterpret_cast<const std::uint8_t*>(packed.bytes()), packed.size, packed.refs.data()};
  const auto run = plan.head_dim == 64 ? emulate_decode<64> : emulate_decode<128>;
  run(plan, chunk.page_table(), e, &error);
  return static_cast<DecodeError>(error);
}

/// Both directions against the host's codec.
void check_same(const ProfileSpec& profile, Chunk& chunk) {
  INFO(profile.name << " " << chunk.shapes.front().tokens << " tokens, " << chunk.shapes.front().kv_heads << " x "
                    << chunk.shapes.front().head_dim);
  const auto codec = codec_of(profile);
  const ChunkPlan plan = make_plan(profile, chunk.shapes).value();
  const auto wanted = chunk.encode(*codec);
  const auto got = encode(plan, chunk);
  REQUIRE(got.size() == wanted.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    REQUIRE(got[i].size() == wanted[i].size());
    const auto differ = std::ranges::mismatch(got[i], wanted[i]).in1 - got[i].begin();
    INFO("segment " << i << " of " << got[i].size() << " bytes, first difference at " << differ);
    REQUIRE(got[i] == wanted[i]);
  }
  Chunk host(chunk.shapes), device(chunk.shapes);
  host.decode(*codec, wanted);
  Packed packed(wanted);
  REQUIRE(decode(plan, device, packed) == DecodeError::none);
  for (std::size_t i = 0; i < chunk.shapes.size(); ++i) REQUIRE(device.pages[i].bytes() == host.pages[i].bytes());
}

void check_same(const ProfileSpec& profile, std::uint32_t tokens, std::uint32_t heads, std::uint32_t head_dim) {
  Chunk chunk(shapes(tokens, heads, head_dim));
  chunk.fill(tokens);
  check_same(profile, chunk);
}

}  // namespace

TEST_CASE("cuda: emulated kernels write and read the host's bytes: every fixed-rate class") {
  SLUICE_NEED_FIBERS();
  for (const char* fields : kFixed)
    for (const std::uint32_t head_dim : {64U, 128U}) {
      INFO(fields);
      check_same(profile_of(fields), 21, 3, head_dim);
    }
}

TEST_CASE("cuda: emulated kernels do the same with values that no KV holds") {
  SLUICE_NEED_FIBERS();
  for (const char* fields : kFixed)
    for (const std::uint32_t head_dim : {64U, 128U}) {
      INFO(fields);
      Chunk chunk(shapes(16, 3, head_dim, 0, 1));
      fill_hostile(chunk);
      check_same(profile_of(fields), chunk);
    }
}

TEST_CASE("cuda: emulated kernels agree on fixed-rate profiles, one token to several pages") {
  SLUICE_NEED_FIBERS();
  for (const char* name : {"q8", "k8v4", "int4", "h4", "fp8"})
    for (const std::uint32_t tokens : {1U, 97U}) check_same(profile_named(name), tokens, 3, tokens == 1 ? 128 : 64);
}

TEST_CASE("cuda: several parts in a segment, exact tokens at both ends") {
  SLUICE_NEED_FIBERS();
  const std::string json = R"({"profiles": [{"name": "t", "stated_kl": 0.1, "sinks": 4, "tail": 6,
    "classes": {"a": {"quantizer": "absmax", "levels": 255}, "b": {"coder": "raw"},
                "c": {"transform": "hadamard", "quantizer": "lloyd", "levels": 8},
                "d": {"quantizer": "absmax", "levels": 255, "axis": "channel", "page": 16}},
    "rules": [{"layers": [0], "heads": [1], "class": "b"}, {"heads": [2, 3], "class": "c"}, {"layers": [-1], "kinds": "v", "class": "b"}],
    "key": "d", "value": "a"}]})";
  const ProfileSpec profile = parse_profiles(json).value().front();
  for (const std::uint32_t first_token : {0U, 2U, 100U})
    for (const std::uint32_t tokens : {3U, 9U, 40U}) {
      Chunk chunk(shapes(tokens, 5, 64, first_token == 0 ? 0 : 2, 2, first_token,
                         first_token + tokens + (tokens == 9 ? 3 : 0)));
      chunk.fill(tokens);
      check_same(profile, chunk);
    }
}

TEST_CASE("cuda: emulated rANS writes and reads the host's bytes: static and measured tables, stored blocks") {
  SLUICE_NEED_FIBERS();
  // Two heads of 128: a block has 128 tokens.
  for (const char* name : {"h4r", "k4v3r", "h3r", "mix8r", "mix9r"}) {
    Chunk chunk(shapes(140, 2, 128, 0, name[0] == 'm' ? 2 : 1));
    chunk.fill(7);
    check_same(profile_named(name), chunk);
  }
  for (const std::uint32_t tokens : {1U, 2U, 5U, 9U}) check_same(profile_named("h4r"), tokens, 1, 64);
  for (const char* fields :
       {R"("quantizer": "lloyd", "levels": 4, "coder": "rans")",
        R"("quantizer": "uniform", "levels": 5, "step": 0.8, "coder": "rans")",
        R"("quantizer": "uniform", "levels": 15, "step": 0.2, "coder": "rans", "scale": "log8")"}) {
    INFO(fields);
    check_same(profile_of(fields), 300, 2, 64);
    Chunk hostile(shapes(40, 3, 64, 0, 1));
    fill_hostile(hostile);
    check_same(profile_of(fields), hostile);
  }
}

TEST_CASE("cuda: emulated split4 writes and reads the host's bytes, whatever the bits") {
  SLUICE_NEED_FIBERS();
  const ProfileSpec fast = profile_named("ll-fast");
  for (const std::uint32_t tokens : {1U, 3U, 100U}) check_same(fast, tokens, 3, 128);
  check_same(fast, 70, 2, 64);
  Chunk hostile(shapes(90, 3, 64, 0, 1));
  fill_hostile(hostile);
  check_same(fast, hostile);
  Chunk noise(shapes(90, 3, 64, 0, 1));
  for (std::size_t i = 0; i < noise.shapes.size(); ++i)
    noise.pages[i].set_bytes(kv::test::random_bytes(noise.shapes[i].raw_bytes(), 9));
  check_same(fast, noise);
}

TEST_CASE("cuda: parts behind coded ones find their place") {
  SLUICE_NEED_FIBERS();
  const std::string json = R"({"profiles": [{"name": "t", "stated_kl": 0.1, "sinks": 4, "tail": 6,
    "classes": {"a": {"transform": "hadamard", "quantizer": "lloyd", "levels": 16, "coder": "rans"}, "b": {"coder": "raw"},
                "c": {"quantizer": "uniform", "levels": 9, "step": 0.7, "scale": "log8", "coder": "rans"},
                "d": {"quantizer": "absmax", "levels": 255, "axis": "channel", "page": 16},
                "e": {"quantizer": "lloyd", "levels": 8}, "s": {"coder": "split4"}},
    "rules": [{"heads": [1], "class": "b"}, {"heads": [2, 3], "class": "c"}, {"heads": [4], "class": "e"},
              {"layers": [-1], "class": "d"}, {"heads": [6], "class": "s"}],
    "key": "a", "value": "c"}]})";
  const ProfileSpec profile = parse_profiles(json).value().front();
  for (const std::uint32_t tokens : {6U, 11U, 75U, 530U}) {
    Chunk chunk(shapes(tokens, tokens == 530 ? 3 : 7, 64, 2, tokens == 530 ? 1 : 2));
    chunk.fill(tokens);
    check_same(profile, chunk);
  }
}

TEST_CASE("cuda: a malformed rANS plane is refused as the host refuses it") {
  SLUICE_NEED_FIBERS();
  for (const char* name : {"h4r", "mix9r", "ll-fast"}) {
    INFO(name);
    const ProfileSpec profile = profile_named(name);
    Chunk chunk(shapes(12, 2, 64, 1, 1, 8));
    chunk.fill(1);
    const auto codec = codec_of(profile);
    const ChunkPlan plan = make_plan(profile, chunk.shapes).value();
    const auto blobs = chunk.encode(*codec);
    std::mt19937 random(5);
    std::size_t refused = 0;
    for (int i = 0; i < 150; ++i) {
      auto spoiled = blobs;
      auto& b = spoiled[random() % spoiled.size()];
      const std::size_t bit = random() % (8 * (i % 2 ? b.size() : std::min<std::size_t>(b.size(), 100)));
      b[bit / 8] ^= std::byte{1} << bit % 8;
      Packed packed(spoiled);
      Chunk device(chunk.shapes), host(chunk.shapes);
      const bool good = decode(plan, device, packed) == DecodeError::none;
      bool host_good = true;
      CodecScratch scratch;
      for (std::size_t s = 0; s < chunk.shapes.size(); ++s)
        host_good = host_good && codec->decode(chunk.shapes[s], spoiled[s], host.pages[s].writing(), scratch);
      INFO("bit " << bit);
      REQUIRE(good == host_good);
      if (good)
        for (std::size_t s = 0; s < chunk.shapes.size(); ++s) REQUIRE(device.pages[s].bytes() == host.pages[s].bytes());
      refused += good ? 0 : 1;
    }
    REQUIRE(refused > 20);
  }
}

TEST_CASE("cuda: a malformed blob is refused and nothing outside the pages is written") {
  SLUICE_NEED_FIBERS();
  for (const char* name : {"q8", "k8v4", "h4"}) {
    INFO(name);
    const ProfileSpec profile = profile_named(name);
    Chunk chunk(shapes(20, 2, 64, 0, 1));
    chunk.fill(1);
    const auto codec = codec_of(profile);
    const ChunkPlan plan = make_plan(profile, chunk.shapes).value();
    const auto blobs = chunk.encode(*codec);
    const auto refused = [&](auto&& spoil) {
      Packed packed(blobs);
      spoil(packed);
      Chunk out(chunk.shapes);
      return decode(plan, out, packed);
    };
    REQUIRE(refused([](Packed&) {}) == DecodeError::none);
    REQUIRE(refused([](Packed& p) { p.refs[0].size -= 16; }) == DecodeError::lengths);
    REQUIRE(refused([](Packed& p) { p.refs[0].size = 8; }) == DecodeError::lengths);
    REQUIRE(refused([](Packed& p) { p.refs[1].offset += 16; }) == DecodeError::bounds);
    REQUIRE(refused([](Packed& p) { p.refs[1].offset += 4; }) == DecodeError::bounds);
    REQUIRE(refused([](Packed& p) { p.refs[1].offset = ~std::uint64_t{15}; }) == DecodeError::bounds);
    REQUIRE(refused([](Packed& p) { p.size -= 1; }) == DecodeError::bounds);
    REQUIRE(refused([](Packed& p) { p.bytes()[3] ^= std::byte{1}; }) == DecodeError::header);
    for (const std::uint32_t bad : {0U, 1U, 0x7fffffffU, 0xffffffffU})
      REQUIRE(refused([&](Packed& p) { std::memcpy(p.bytes() + 16, &bad, 4); }) == DecodeError::lengths);
    for (const std::uint16_t bad : {0x7f80, 0x8000, 0x0001})
      REQUIRE(refused([&](Packed& p) { std::memcpy(p.bytes() + 32, &bad, 2); }) == DecodeError::scale);
  }
}

TEST_CASE("cuda: a plan refuses what stays with the host, and sizes what it takes") {
  const auto some = shapes(40, 2, 128);
  const auto refused = [&](const ProfileSpec& p, const std::vector<SegmentShape>& s) {
    const auto plan = make_plan(p, s);
    REQUIRE_FALSE(plan);
    return plan.error().code;
  };
  REQUIRE(refused(profile_named("ll"), some) == Errc::unsupported);
  REQUIRE(refused(profile_named("kivi4"), some) == Errc::unsupported);
  REQUIRE(refused(profile_named("q8"), shapes(40, 2, 80)) == Errc::unsupported);
  REQUIRE(refused(profile_named("q8"), {}) == Errc::invalid_argument);
  REQUIRE(refused(profile_of(R"("quantizer": "fp8", "coder": "zstd")"), some) == Errc::unsupported);
  auto mixed = some;
  mixed[1].kv_heads = 3;
  REQUIRE(refused(profile_named("q8"), mixed) == Errc::invalid_argument);
  for (const char* name : {"q8", "h4", "fp8"}) {
    const ProfileSpec profile = profile_named(name);
    const auto plan = make_plan(profile, some).value();
    const auto codec = codec_of(profile);
    std::size_t all = 0;
    for (std::size_t i = 0; i < some.size(); ++i) {
      REQUIRE(plan.segment(i).slot_bytes == codec->max_encoded_size(some[i]));
      all += plan.segment(i).slot_bytes;
    }
    REQUIRE(plan.out_bytes == all);
    REQUIRE(plan.workspace_bytes == 0);
  }
}
