// The kernels on a device against the host's codec: the same bytes, the same values, refusals, and graphs.
#include <catch2/catch.hpp>

#include "tests/support/skip.h"

#ifdef SLUICE_HAVE_CUDA
#include "kvtransfer/codec/cuda/chunk_codec.h"
#include "kvtransfer/codec/cuda/device.h"
#include "tests/kvtransfer_codec_cuda/chunk.h"

using namespace sluice;
using namespace sluice::kv;
using namespace sluice::kv::cuda;
using namespace sluice::kv::cuda::test;

#define SLUICE_NEED_GPU() \
  if (device_count() == 0) SLUICE_SKIP("no CUDA device of compute capability 8.0 or more")

namespace {

/// A chunk's pages on the device: one allocation, pages in reverse order, with a page of nobody's between.
class DeviceChunk {
 public:
  explicit DeviceChunk(const Chunk& host) : host_(&host) {
    page_ = Chunk::kRowsPerPage * host.shapes.front().row_bytes();
    memory_ = DeviceMemory::copy_of(std::vector<std::byte>(2 * page_ * host.table.size(), kGuard)).value();
    std::vector<std::byte*> pages;
    for (std::size_t i = 0; i < host.table.size(); ++i) pages.push_back(memory_.data() + at(i));
    pages_ = DeviceMemory::copy_of(std::as_bytes(std::span(pages))).value();
  }
  void upload() {
    std::vector<std::byte> all = memory_.read().value();
    for (std::size_t i = 0; i < host_->table.size(); ++i) std::memcpy(all.data() + at(i), host_->table[i], page_);
    memory_.write(all).value();
  }
  /// Into the host chunk's pages; false if something beside them was written.
  [[nodiscard]] bool download(Chunk& to) const {
    const std::vector<std::byte> all = memory_.read().value();
    bool clean = true;
    for (std::size_t i = 0; i < to.table.size(); ++i) {
      std::memcpy(to.table[i], all.data() + at(i), page_);
      const auto* guard = all.data() + at(i) - page_;
      clean = clean && std::all_of(guard, guard + page_, [](std::byte b) { return b == kGuard; });
    }
    return clean;
  }
  [[nodiscard]] PageTable table() const {
    return {reinterpret_cast<void* const*>(pages_.data()), host_->pages_per_segment, Chunk::kRowsPerPage,
            Chunk::kFirstRow};
  }

 private:
  static constexpr std::byte kGuard{0x5a};
  [[nodiscard]] std::size_t at(std::size_t i) const { return (2 * (host_->table.size() - 1 - i) + 1) * page_; }
  const Chunk* host_;
  std::size_t page_ = 0;
  DeviceMemory memory_, pages_;
};

struct Rig {
  explicit Rig(const ProfileSpec& p, const Chunk& chunk)
      : codec(ChunkCodec::create(make_plan(p, chunk.shapes).value()).value()),
        out(DeviceMemory::allocate(codec.plan().out_bytes).value()),
        workspace(DeviceMemory::allocate(codec.plan().workspace_bytes).value()),
        blobs(DeviceMemory::allocate(sizeof(BlobRef) * chunk.shapes.size()).value()),
        error(DeviceMemory::allocate(4).value()),
        stream(Stream::create().value()) {}
  [[nodiscard]] Result<> encode(const DeviceChunk& from) const {
    return codec.encode_async(from.table(), out.data(), refs(), workspace.data(), stream.get());
  }
  [[nodiscard]] Result<> decode(const DeviceChunk& to) const {
    return codec.decode_async(out.data(), out.size(), refs(), to.table(),
                              reinterpret_cast<std::uint32_t*>(error.data()), stream.get());
  }
  [[nodiscard]] BlobRef* refs() const { return reinterpret_cast<BlobRef*>(blobs.data()); }
  [[nodiscard]] std::vector<std::vector<std::byte>> encoded() const {
    const auto bytes = out.read().value(), raw = blobs.read().value();
    std::vector<std::vector<std::byte>> all;
    for (std::size_t i = 0; i < raw.size() / sizeof(BlobRef); ++i) {
      BlobRef r{};
      std::memcpy(&r, raw.data() + i * sizeof(BlobRef), sizeof(BlobRef));
      const auto* from = bytes.data() + r.offset;
      all.emplace_back(from, from + r.size);
    }
    return all;
  }
  [[nodiscard]] DecodeError decode_error() const {
    std::uint32_t e = 0;
    const auto word = error.read().value();
    std::memcpy(&e, word.data(), 4);
    return static_cast<DecodeError>(e);
  }
  ChunkCodec codec;
  DeviceMemory out, workspace, blobs, error;
  Stream stream;
};

void check_same(const ProfileSpec& profile, Chunk& chunk) {
  INFO(profile.name << " " << chunk.shapes.front().tokens << " x " << chunk.shapes.front().head_dim);
  const auto codec = codec_of(profile, supported_isas().back());
  const auto wanted = chunk.encode(*codec);
  DeviceChunk from(chunk), to(chunk);
  from.upload();
  const Rig rig(profile, chunk);
  rig.encode(from).value();
  const auto got = rig.encoded();
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    INFO("segment " << i);
    REQUIRE(got[i] == wanted[i]);
  }
  rig.decode(to).value();
  REQUIRE(rig.decode_error() == DecodeError::none);
  Chunk host(chunk.shapes), device(chunk.shapes);
  host.decode(*codec, wanted);
  REQUIRE(to.download(device));
  for (std::size_t i = 0; i < chunk.shapes.size(); ++i) REQUIRE(device.pages[i].bytes() == host.pages[i].bytes());
}

}  // namespace

TEST_CASE("cuda: the device writes and reads the host's bytes: every fixed-rate class") {
  SLUICE_NEED_GPU();
  for (const char* fields : kFixed)
    for (const std::uint32_t head_dim : {64U, 128U}) {
      INFO(fields);
      Chunk chunk(shapes(300, 8, head_dim, 0, 4));
      chunk.fill(head_dim);
      check_same(profile_of(fields), chunk);
      fill_hostile(chunk);
      check_same(profile_of(fields), chunk);
    }
}

TEST_CASE("cuda: the device writes and reads the host's bytes: every profile that it takes") {
  SLUICE_NEED_GPU();
  std::size_t taken = 0;
  const auto profiles = parse_profiles(builtin_profiles_json()).value();
  for (const ProfileSpec& p : profiles)
    for (const std::uint32_t tokens : {1U, 33U, 1000U}) {
      Chunk chunk(shapes(tokens, 8, 128, 0, 4));
      if (!make_plan(p, chunk.shapes)) continue;
      ++taken;
      chunk.fill(tokens);
      check_same(p, chunk);
    }
  REQUIRE(taken >= 30);
}

TEST_CASE("cuda: the device refuses what is malformed and writes nothing beside the pages") {
  SLUICE_NEED_GPU();
  for (const char* name : {"q8", "h4", "h4r", "mix9r", "ll-fast"}) {
    INFO(name);
    Chunk chunk(shapes(100, 4, 64));
    chunk.fill(1);
    DeviceChunk from(chunk), to(chunk);
    from.upload();
    Rig rig(profile_named(name), chunk);
    rig.encode(from).value();
    const auto good = rig.out.read().value(), refs = rig.blobs.read().value();
    Chunk landed(chunk.shapes);
    std::mt19937 random(5);
    for (int i = 0; i < 300; ++i) {
      auto bytes = good, places = refs;
      if (i % 10 == 0)
        places[random() % places.size()] ^= std::byte{1} << random() % 8;
      else
        for (int n = 0; n < 4; ++n) bytes[random() % (i % 2 ? bytes.size() : 200)] = static_cast<std::byte>(random());
      rig.out.write(bytes).value();
      rig.blobs.write(places).value();
      rig.decode(to).value();
      (void)rig.decode_error();  // throws if the device stopped
    }
    REQUIRE(to.download(landed));
  }
}

TEST_CASE("cuda: a captured graph encodes what the pages hold when it runs") {
  SLUICE_NEED_GPU();
  for (const char* name : {"q8", "h4r", "ll-fast"}) {
    const ProfileSpec profile = profile_named(name);
    Chunk chunk(shapes(200, 4, 128));
    DeviceChunk pages(chunk);
    const Rig rig(profile, chunk);
    const Graph graph = Graph::capture(rig.stream, [&] { return rig.encode(pages); }).value();
    for (const std::uint32_t seed : {1U, 2U}) {
      chunk.fill(seed);
      pages.upload();
      graph.launch(rig.stream).value();
      rig.stream.wait().value();
      REQUIRE(rig.encoded() == chunk.encode(*codec_of(profile)));
    }
  }
}

#else

TEST_CASE("cuda: the device writes and reads the host's bytes") { SLUICE_SKIP("built without CUDA"); }

#endif
