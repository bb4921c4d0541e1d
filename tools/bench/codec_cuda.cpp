// One launch of a captured graph per direction, timed by events on the device; all layers of a prompt shaped as
// Llama-3.1-8B's in pages of 16 tokens that lie in random order. Rates count uncompressed bytes, and stand beside a
// copy of the same bytes within the device.
#include "tools/bench/codec_cuda.h"

#ifdef SLUICE_HAVE_CUDA
#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <random>

#include "kvtransfer/codec/cuda/chunk_codec.h"
#include "kvtransfer/codec/cuda/device.h"
#include "kvtransfer/codec/kernels/bf16.h"

namespace sluice::bench {
namespace {

using namespace sluice::kv;
using namespace sluice::kv::cuda;

constexpr std::uint32_t kLayers = 32, kHeads = 8, kHeadDim = 128, kPageRows = 16;
constexpr std::size_t kRowBytes = std::size_t{2} * kHeads * kHeadDim, kPageBytes = kPageRows * kRowBytes;

std::vector<SegmentShape> segments(std::uint32_t tokens) {
  std::vector<SegmentShape> out;
  for (std::uint32_t l = 0; l < kLayers; ++l)
    for (const KvKind kind : {KvKind::key, KvKind::value})
      out.push_back({.tokens = tokens,
                     .kv_heads = kHeads,
                     .head_dim = kHeadDim,
                     .kind = kind,
                     .layer = l,
                     .layers = kLayers,
                     .end_token = tokens});
  return out;
}

/// Pages of a whole prompt on the device.
struct Store {
  DeviceMemory memory, table;
  std::uint32_t pages_per_segment = 0;
  [[nodiscard]] PageTable pages() const {
    return {reinterpret_cast<void* const*>(table.data()), pages_per_segment, kPageRows, 0};
  }
};

Result<Store> make_store(std::uint32_t tokens) {
  Store s;
  s.pages_per_segment = (tokens + kPageRows - 1) / kPageRows;
  const std::size_t count = std::size_t{2} * kLayers * s.pages_per_segment;
  SLUICE_ASSIGN(s.memory, DeviceMemory::allocate(count * kPageBytes));
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::shuffle(order.begin(), order.end(), std::mt19937(7));
  std::vector<std::byte*> pages;
  for (const std::size_t i : order) pages.push_back(s.memory.data() + i * kPageBytes);
  SLUICE_ASSIGN(s.table, DeviceMemory::copy_of(std::as_bytes(std::span(pages))));
  return s;
}

/// Channels of their own spread, correlated from token to token; the same in every page, which the codecs cannot know.
std::vector<std::byte> page_values() {
  std::mt19937 gen(3);
  std::normal_distribution<float> normal;
  std::vector<float> spread(kHeads * kHeadDim), state(spread.size());
  for (float& x : spread) x = std::exp(0.5F * normal(gen));
  std::vector<std::byte> page(kPageBytes);
  for (std::size_t i = 0; i < kPageBytes / 2; ++i) {
    const std::size_t c = i % spread.size();
    state[c] = 0.7F * state[c] + 0.7F * normal(gen);
    const std::uint16_t bits = f32_to_bf16(spread[c] * state[c]);
    std::memcpy(page.data() + 2 * i, &bits, 2);
  }
  return page;
}

Result<> fill(Store& s) {
  const std::vector<std::byte> page = page_values();
  std::vector<std::byte> all(s.memory.size());
  for (std::size_t at = 0; at < all.size(); at += kPageBytes) std::memcpy(all.data() + at, page.data(), kPageBytes);
  return s.memory.write(all);
}

struct Rates {
  double encode = 0, decode = 0;  // uncompressed bytes per second
  double ratio = 0;
};

Result<Rates> measure(const ChunkPlan& plan, const Store& from, const Store& to, const Stream& stream,
                      std::size_t rounds) {
  SLUICE_ASSIGN(const ChunkCodec codec, ChunkCodec::create(plan));
  SLUICE_ASSIGN(const DeviceMemory out, DeviceMemory::allocate(plan.out_bytes));
  SLUICE_ASSIGN(const DeviceMemory workspace, DeviceMemory::allocate(plan.workspace_bytes));
  SLUICE_ASSIGN(const DeviceMemory blobs, DeviceMemory::allocate(sizeof(BlobRef) * plan.segments()));
  SLUICE_ASSIGN(const DeviceMemory error, DeviceMemory::allocate(sizeof(std::uint32_t)));
  auto* refs = reinterpret_cast<BlobRef*>(blobs.data());
  SLUICE_ASSIGN(const Graph encode, Graph::capture(stream, [&] {
                  return codec.encode_async(from.pages(), out.data(), refs, workspace.data(), stream.get());
                }));
  SLUICE_ASSIGN(const Graph decode, Graph::capture(stream, [&] {
                  return codec.decode_async(out.data(), out.size(), refs, to.pages(),
                                            reinterpret_cast<std::uint32_t*>(error.data()), stream.get());
                }));
  SLUICE_ASSIGN(const double encoding, encode.seconds(stream, rounds));
  SLUICE_ASSIGN(const double decoding, decode.seconds(stream, rounds));
  SLUICE_ASSIGN(const auto word, error.read());
  if (std::ranges::any_of(word, [](std::byte b) { return b != std::byte{0}; }))
    return fail(Errc::data_corrupt, "the device refused what it had encoded");
  SLUICE_ASSIGN(const auto raw, blobs.read());
  std::size_t wire = 0;
  for (std::size_t i = 0; i < plan.segments(); ++i) {
    BlobRef r{};
    std::memcpy(&r, raw.data() + i * sizeof(BlobRef), sizeof(BlobRef));
    wire += r.size;
  }
  const auto bytes = static_cast<double>(plan.raw_bytes);
  return Rates{bytes / encoding, bytes / decoding, bytes / static_cast<double>(wire)};
}

void add_rates(std::vector<Figure>& out, const std::string& name, const Rates& r, double copy) {
  const Measured reference{"device copy", copy / 1e12, "TB/s"};
  out.push_back({name + "/encode", r.encode / 1e12, "TB/s", reference});
  out.push_back({name + "/decode", r.decode / 1e12, "TB/s", reference});
  out.push_back({name + "/ratio", r.ratio, "x", std::nullopt});
  const double both = 1.0 / (1.0 / r.encode + 1.0 / r.decode);
  if (r.ratio > 1) out.push_back({name + "/break_even_link", (1 - 1 / r.ratio) * both * 8e-9, "Gb/s", std::nullopt});
}

Result<> add_prompt(std::vector<Figure>& out, std::uint32_t tokens, std::size_t rounds) {
  SLUICE_ASSIGN(Store from, make_store(tokens));
  SLUICE_ASSIGN(const Store to, make_store(tokens));
  SLUICE_TRY(fill(from));
  SLUICE_ASSIGN(const Stream stream, Stream::create());
  SLUICE_ASSIGN(const Graph copying,
                Graph::capture(stream, [&] { return copy_async(to.memory, from.memory, stream); }));
  SLUICE_ASSIGN(const double seconds, copying.seconds(stream, rounds));
  const double copy = static_cast<double>(from.memory.size()) / seconds;
  SLUICE_ASSIGN(const auto profiles, parse_profiles(builtin_profiles_json()));
  const auto shapes = segments(tokens);
  for (const ProfileSpec& p : profiles) {
    const Result<ChunkPlan> plan = make_plan(p, shapes);
    if (!plan) continue;  // stays with the host
    SLUICE_ASSIGN(const Rates r, measure(*plan, from, to, stream, rounds));
    add_rates(out, fmt::format("{}/cuda/{}_tokens", p.name, tokens), r, copy);
  }
  return {};
}

}  // namespace

Result<> add_cuda_figures(std::vector<Figure>& out, const BenchOptions& options) {
  if (device_count() == 0) return {};
  for (const std::uint32_t tokens : {4096U, 32768U}) {
    SLUICE_TRY(add_prompt(out, tokens, options.quick ? 5 : 25));
    if (options.quick) break;
  }
  return {};
}

}  // namespace sluice::bench

#else

namespace sluice::bench {
Result<> add_cuda_figures(std::vector<Figure>&, const BenchOptions&) { return {}; }
}  // namespace sluice::bench

#endif
