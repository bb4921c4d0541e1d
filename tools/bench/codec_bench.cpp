// Suite "codec": what each profile costs one core and how much it saves, on KV shaped as Llama-3.1-8B's (8 KV heads of
// 128, bf16) in pages of 16 tokens that lie in random order. Rates count uncompressed bytes. Every rate stands beside a
// memcpy of the same bytes by the same core, measured in turn with it.
#include <time.h>

#include <cmath>
#include <cstring>
#include <numeric>
#include <random>
#include <thread>

#include "kvtransfer/codec/bf16.h"
#include "kvtransfer/codec/codecs.h"
#include "kvtransfer/transfer_plan.h"
#include "kvtransfer/wire/frame.h"
#include "kvtransfer/wire/seal.h"
#include "tools/bench/bench_util.h"
#include "tools/bench/codec_cuda.h"

namespace sluice::bench {
namespace {

using namespace sluice::kv;

/// CPU seconds of one call. Everything here is one thread that never waits, so that this is what the core spent on it,
/// also while the machine has other work.
template <class F>
double cpu_seconds_of(F&& fn) {
  const auto now = [] {
    timespec t{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
  };
  const double start = now();
  fn();
  return now() - start;
}

constexpr std::uint32_t kHeads = 8, kHeadDim = 128, kLayers = 32, kPageRows = 16;
constexpr std::size_t kChannels = std::size_t{kHeads} * kHeadDim;
constexpr std::size_t kRowBytes = 2 * kChannels;
constexpr std::uint32_t kPatternTokens = 1024;
constexpr std::size_t kMostBytes = std::size_t{256} << 20;  // KV held at once; larger models repeat layers anyway

/// Keys: channels with means of their own, some an order of magnitude larger. Values: centred, heavier tails. Both
/// correlated from token to token.
std::vector<std::uint16_t> pattern(KvKind kind, std::uint32_t seed) {
  std::mt19937 gen(seed);
  std::normal_distribution<float> normal;
  std::vector<float> mean(kChannels), spread(kChannels), state(kChannels);
  for (std::size_t c = 0; c < kChannels; ++c) {
    spread[c] = std::exp(0.5F * normal(gen));
    if (kind == KvKind::key) {
      if (gen() % 50 == 0) spread[c] *= 8;
      mean[c] = 1.5F * spread[c] * normal(gen);
    }
  }
  std::vector<std::uint16_t> v(kChannels * kPatternTokens);
  for (std::size_t i = 0; i < v.size(); ++i) {
    const std::size_t c = i % kChannels;
    state[c] = 0.7F * state[c] + 0.7F * normal(gen);
    v[i] = f32_to_bf16(mean[c] + spread[c] * state[c]);
  }
  return v;
}

/// One side's KV memory: blocks of 16 rows in random order, each (layer, kind) through its own page list.
class Store {
 public:
  Store(std::uint32_t layers, std::uint32_t tokens)
      : pages_per_plane_((tokens + kPageRows - 1) / kPageRows),
        memory_(2 * std::size_t{layers} * pages_per_plane_ * kPageRows * kRowBytes) {
    std::vector<std::size_t> order(memory_.size() / (kPageRows * kRowBytes));
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::shuffle(order.begin(), order.end(), std::mt19937(7));
    for (const std::size_t i : order) pages_.push_back(memory_.data() + i * kPageRows * kRowBytes);
    const_pages_.assign(pages_.begin(), pages_.end());
  }
  void fill() {
    for (std::size_t p = 0; p < pages_.size(); ++p) {
      static const std::vector<std::uint16_t> patterns[] = {pattern(KvKind::key, 1), pattern(KvKind::value, 2)};
      const auto& from = patterns[p / pages_per_plane_ % 2];
      const std::size_t at = p % pages_per_plane_ * kPageRows % kPatternTokens;
      std::memcpy(pages_[p], from.data() + at * kChannels, kPageRows * kRowBytes);
    }
  }
  [[nodiscard]] ConstRows rows(const SegmentShape& s) const {
    return {std::span(const_pages_).subspan(first_page(s), pages_per_plane_), kPageRows, s.first_token, kRowBytes};
  }
  [[nodiscard]] MutRows mutable_rows(const SegmentShape& s) {
    return {std::span(pages_).subspan(first_page(s), pages_per_plane_), kPageRows, s.first_token, kRowBytes};
  }
  [[nodiscard]] std::span<std::byte> memory() noexcept { return memory_; }

 private:
  [[nodiscard]] std::size_t first_page(const SegmentShape& s) const noexcept {
    return (2 * std::size_t{s.layer} + static_cast<std::size_t>(s.kind)) * pages_per_plane_;
  }
  std::size_t pages_per_plane_;
  std::vector<std::byte> memory_;
  std::vector<std::byte*> pages_;
  std::vector<const std::byte*> const_pages_;
};

struct Encoded {
  SegmentShape shape;
  std::size_t at = 0, size = 0;
};

/// One chunk of prompt, cut into frames as a transfer would be.
struct Workload {
  explicit Workload(std::uint32_t token_count)
      : tokens(token_count),
        layers(static_cast<std::uint32_t>(
            std::clamp<std::size_t>(kMostBytes / (2 * kRowBytes * token_count), 1, kLayers))),
        source(layers, tokens),
        target(layers, tokens),
        raw_bytes(2 * kRowBytes * tokens * layers),
        wire(raw_bytes + raw_bytes / 8) {
    source.fill();
    const KvLayout layout{.layers = layers, .kv_heads = kHeads, .head_dim = kHeadDim};
    TransferPlanner planner(layout, {});
    for (std::uint32_t l = 0; l < layers; ++l)
      for (const FrameSpec& f : planner.layer_done({0, tokens}, l)) {
        ++frames;
        for (std::uint32_t i = 0; i < f.segments(); ++i) segments.push_back({f.segment(layout, tokens, i)});
      }
  }
  std::uint32_t tokens, layers;
  Store source, target;
  std::size_t raw_bytes;
  std::vector<std::byte> wire;
  std::size_t frames = 0;
  std::vector<Encoded> segments;
};

Result<std::size_t> encode_all(Workload& w, const Profile& p, CodecScratch& scratch) {
  std::size_t used = 0;
  for (Encoded& e : w.segments) {
    e.at = used;
    SLUICE_ASSIGN(e.size, p.codec->encode(e.shape, w.source.rows(e.shape), std::span(w.wire).subspan(used), scratch));
    used += e.size;
  }
  return used;
}

Result<> decode_all(Workload& w, const Profile& p, CodecScratch& scratch) {
  for (const Encoded& e : w.segments) {
    SLUICE_TRY(
        p.codec->decode(e.shape, std::span(w.wire).subspan(e.at, e.size), w.target.mutable_rows(e.shape), scratch));
  }
  return {};
}

struct Rates {
  double copy = 0, encode = 0, decode = 0;  // uncompressed GB/s
  double ratio = 0;                         // uncompressed bytes over everything that goes on the wire
};

Result<Rates> measure(Workload& w, const Profile& p, std::size_t rounds) {
  CodecScratch scratch;
  std::vector<double> copy, encode, decode;
  std::size_t blobs = 0;
  for (std::size_t i = 0; i <= rounds; ++i) {
    const double c =
        cpu_seconds_of([&] { std::memcpy(w.target.memory().data(), w.source.memory().data(), w.raw_bytes); });
    Result<std::size_t> used;
    const double e = cpu_seconds_of([&] { used = encode_all(w, p, scratch); });
    if (!used) return std::unexpected(used.error());
    Result<> decoded;
    const double d = cpu_seconds_of([&] { decoded = decode_all(w, p, scratch); });
    if (!decoded) return std::unexpected(decoded.error());
    blobs = *used;
    if (i == 0) continue;  // touches the memory and warms the caches
    copy.push_back(c);
    encode.push_back(e);
    decode.push_back(d);
  }
  const double gb = static_cast<double>(w.raw_bytes) / 1e9;
  const auto wire =
      static_cast<double>(blobs + w.segments.size() * sizeof(std::uint32_t) + w.frames * kFrameHeaderBytes);
  return Rates{gb / median(copy), gb / median(encode), gb / median(decode), static_cast<double>(w.raw_bytes) / wire};
}

void add_rates(std::vector<Figure>& out, const std::string& name, const Rates& r) {
  const Measured copy{"memcpy", r.copy, "GB/s"};
  out.push_back({name + "/encode", r.encode, "GB/s", copy});
  out.push_back({name + "/decode", r.decode, "GB/s", copy});
  out.push_back({name + "/ratio", r.ratio, "x", std::nullopt});
  // Below this link speed compressing pays when nothing overlaps: (1 - 1/r) S, S of encode and decode together.
  const double both = 1.0 / (1.0 / r.encode + 1.0 / r.decode);
  // KVServe's own break-even on an H100 with Llama-3.1-8B (arXiv 2605.13734): 37.5 to 63.4 GB/s; its best is given.
  if (r.ratio > 1)
    out.push_back({name + "/break_even_link", (1 - 1 / r.ratio) * both * 8, "Gb/s",
                   Measured{"KVServe cachegen+bitcomp, one H100", 63.4 * 8, "Gb/s"}});
}

Result<> add_profiles(std::vector<Figure>& out, Workload& w, Isa isa, std::size_t rounds) {
  const auto registry = make_registry(isa);
  for (const Profile& p : registry->profiles()) {
    SLUICE_ASSIGN(const Rates r, measure(w, p, rounds));
    add_rates(out, fmt::format("{}/{}/{}_tokens", p.name, name(isa), w.tokens), r);
  }
  return {};
}

/// Wall seconds of `threads` threads that each encode, then decode, a workload of their own.
Result<double> together(std::vector<std::unique_ptr<Workload>>& loads, std::size_t threads, const Profile& p) {
  std::vector<Result<>> done(threads);
  const double s = seconds_of([&] {
    std::vector<std::jthread> crew;
    for (std::size_t i = 0; i < threads; ++i)
      crew.emplace_back([&, i] {
        CodecScratch scratch;
        const auto used = encode_all(*loads[i], p, scratch);
        done[i] = used ? decode_all(*loads[i], p, scratch) : std::unexpected(used.error());
      });
  });
  for (const Result<>& r : done) SLUICE_TRY(r);
  return s;
}

/// Speed of two threads over one's. Wall time, so that it means something only on a machine with nothing else to do.
Result<> add_two_cores(std::vector<Figure>& out, std::size_t rounds) {
  std::vector<std::unique_ptr<Workload>> loads;
  for (int i = 0; i < 2; ++i) loads.push_back(std::make_unique<Workload>(512));
  const auto registry = make_registry();
  for (const char* name : {"ll-fast", "q8", "h4", "h4r"}) {
    const Profile* p = registry->profile(name);
    if (p == nullptr) continue;
    std::vector<double> ratio;
    for (std::size_t i = 0; i <= rounds; ++i) {
      SLUICE_ASSIGN(const double one, together(loads, 1, *p));
      SLUICE_ASSIGN(const double two, together(loads, 2, *p));
      if (i > 0) ratio.push_back(2 * one / two);
    }
    out.push_back({fmt::format("{}/two_cores", name), median(ratio), "x one", std::nullopt});
  }
  return {};
}

Result<> add_seals(std::vector<Figure>& out, std::size_t rounds) {
  constexpr std::size_t kBytes = 4U << 20;  // one frame
  std::vector<std::byte> payload(kBytes), copy(kBytes);
  const FrameHeaderBytes header{};
  const SealKey key{1, 2, 3};
  Sealer sealer;
  std::uint64_t sequence = 0;
  for (const SealMode mode : {SealMode::encrypt, SealMode::digest}) {
    std::vector<double> sealing, opening, copying;
    for (std::size_t i = 0; i <= 8 * rounds; ++i) {
      const Nonce nonce = make_nonce(0, Direction::prefill_to_decode, sequence++);
      Result<SealTag> tag;
      Result<> opened;
      const double s = cpu_seconds_of([&] { tag = sealer.seal(mode, key, nonce, header, payload); });
      if (!tag) return std::unexpected(tag.error());
      const double o = cpu_seconds_of([&] { opened = sealer.open(mode, key, nonce, header, payload, *tag); });
      if (!opened) return std::unexpected(opened.error());
      const double c = cpu_seconds_of([&] { std::memcpy(copy.data(), payload.data(), kBytes); });
      if (i == 0) continue;
      sealing.push_back(s);
      opening.push_back(o);
      copying.push_back(c);
    }
    const double gb = kBytes / 1e9;
    const std::string name = mode == SealMode::encrypt ? "seal/encrypt" : "seal/digest";
    const Measured reference{"memcpy", gb / median(copying), "GB/s"};
    out.push_back({name, gb / median(sealing), "GB/s", reference});
    out.push_back({name + "/open", gb / median(opening), "GB/s", reference});
  }
  return {};
}

SuiteResult run_codec_suite(const BenchOptions& options) {
  std::vector<Figure> out;
  const std::size_t rounds = options.quick ? 3 : 9;
  const std::vector<std::uint32_t> sizes =
      options.quick ? std::vector<std::uint32_t>{512} : std::vector<std::uint32_t>{512, 4096, 32768};
  for (const std::uint32_t tokens : sizes) {
    Workload w(tokens);
    SLUICE_TRY(add_profiles(out, w, supported_isas().back(), rounds));
    if (tokens == 512)  // the slower instruction sets once
      for (const Isa isa : supported_isas().first(supported_isas().size() - 1))
        SLUICE_TRY(add_profiles(out, w, isa, options.quick ? 1 : 3));
  }
  if (core_count() > 1) SLUICE_TRY(add_two_cores(out, rounds));
  SLUICE_TRY(add_cuda_figures(out, options));
  SLUICE_TRY(add_seals(out, rounds));
  return out;
}

const SuiteRegistration registration{"codec", "encode and decode of every profile, ratio, and sealing",
                                     run_codec_suite};

}  // namespace
}  // namespace sluice::bench
