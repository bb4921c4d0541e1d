// Suite "codec": what each profile costs one core and how much it saves, on KV shaped as Llama-3.1-8B's (8 KV heads of
// 128, bf16) in pages of 16 tokens that lie in random order. Rates count uncompressed bytes. Every rate stands beside a
// memcpy of the same bytes by the same core, measured in turn with it. Arguments: names of profiles, if not all.
#include <time.h>

#include <algorithm>
#include <cstring>
#include <thread>

#include "kvtransfer/codec/codecs.h"
#include "kvtransfer/wire/frame.h"
#include "kvtransfer/wire/seal.h"
#include "tools/bench/bench_util.h"
#include "tools/bench/codec_cuda.h"
#include "tools/bench/codec_heap.h"
#include "tools/bench/codec_workload.h"

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

struct Rates {
  double copy = 0, encode = 0, decode = 0;  // uncompressed GB/s
  double ratio = 0;                         // uncompressed bytes over everything that goes on the wire
};

Result<Rates> measure(Workload& w, const Profile& p, std::size_t rounds) {
  CodecScratch scratch;
  std::vector<double> copy, encode, decode;
  std::size_t blobs = 0;
  for (std::size_t i = 0; i <= rounds; ++i) {
    const double c = cpu_seconds_of([&] { w.copy(); });
    Result<std::size_t> used;
    const double e = cpu_seconds_of([&] { used = w.encode(*p.codec, scratch); });
    if (!used) return std::unexpected(used.error());
    Result<> decoded;
    const double d = cpu_seconds_of([&] { decoded = w.decode(*p.codec, scratch); });
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

/// Which profiles to measure; the suite's arguments.
class Wanted {
 public:
  explicit Wanted(const std::vector<std::string>& names) : names_(names) {}
  bool operator()(std::string_view name) const {
    return names_.empty() || std::ranges::find(names_, name) != names_.end();
  }

 private:
  const std::vector<std::string>& names_;
};

/// Every profile of this build; those on calibrated channels with the workload's own calibration.
Result<std::unique_ptr<CodecRegistry>> whole_registry(Isa isa) {
  return make_registry(builtin_profiles_json(), isa, workload_calibration());
}

Result<> add_profiles(std::vector<Figure>& out, Workload& w, Isa isa, const Wanted& wanted, std::size_t rounds) {
  SLUICE_ASSIGN(const auto registry, whole_registry(isa));
  for (const Profile& p : registry->profiles()) {
    if (!wanted(p.name)) continue;
    SLUICE_ASSIGN(const Rates r, measure(w, p, rounds));
    add_rates(out, fmt::format("{}/{}/{}_tokens", p.name, name(isa), w.tokens), r);
  }
  return {};
}

/// What a thread that starts with nothing needs beside rows and wire, to encode and then to decode all of a chunk.
Result<> add_memory(std::vector<Figure>& out, const Wanted& wanted) {
  Workload w(512);
  SLUICE_ASSIGN(const auto registry, whole_registry(supported_isas().back()));
  for (const Profile& p : registry->profiles()) {
    if (!wanted(p.name)) continue;
    std::size_t most = 0;
    Result<> done;
    std::jthread([&] {
      const HeapPeak peak;
      CodecScratch scratch;
      const auto used = w.encode(*p.codec, scratch);
      done = used ? w.decode(*p.codec, scratch) : std::unexpected(used.error());
      most = peak.bytes();
    }).join();
    SLUICE_TRY(done);
    constexpr double kMiB = 1 << 20;
    out.push_back({p.name + "/extra_memory", static_cast<double>(most) / kMiB, "MiB",
                   Measured{"a chunk of 512 tokens", kChunkBytes / kMiB, "MiB"}});
  }
  return {};
}

/// Wall seconds of fn(i) on `threads` threads at a time.
template <class Fn>
double together(std::size_t threads, Fn&& fn) {
  return seconds_of([&] {
    std::vector<std::jthread> crew;
    for (std::size_t i = 0; i < threads; ++i) crew.emplace_back([&fn, i] { fn(i); });
  });
}

/// Speed of two threads over one's, each with a workload of its own, beside that of two threads that memcpy. Wall time,
/// the least of many rounds: what else the machine does only ever adds to it.
Result<> add_two_cores(std::vector<Figure>& out, const Wanted& wanted, std::size_t rounds) {
  std::vector<std::unique_ptr<Workload>> loads;
  for (int i = 0; i < 2; ++i) loads.push_back(std::make_unique<Workload>(512));
  const auto registry = make_registry();
  for (const char* name : {"ll-fast", "q8", "int4", "h4", "h4r"}) {
    const Profile* p = registry->profile(name);
    if (p == nullptr || !wanted(name)) continue;
    std::vector<Result<>> done(2);
    const auto code = [&](std::size_t i) {
      CodecScratch scratch;
      const auto used = loads[i]->encode(*p->codec, scratch);
      done[i] = used ? loads[i]->decode(*p->codec, scratch) : std::unexpected(used.error());
    };
    const auto copy = [&](std::size_t i) { loads[i]->copy(); };
    constexpr double kLong = 1e9;
    double one = kLong, two = kLong, copy_one = kLong, copy_two = kLong;
    for (std::size_t i = 0; i < 4 * rounds; ++i) {
      copy_one = std::min(copy_one, together(1, copy));
      copy_two = std::min(copy_two, together(2, copy));
      one = std::min(one, together(1, code));
      two = std::min(two, together(2, code));
      for (const Result<>& r : done) SLUICE_TRY(r);
    }
    out.push_back({fmt::format("{}/two_cores", name), 2 * one / two, "x one",
                   Measured{"memcpy on two threads", 2 * copy_one / copy_two, "x one"}});
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
  const Wanted wanted(options.arguments);
  const std::size_t rounds = options.quick ? 3 : 9;
  const std::vector<std::uint32_t> sizes =
      options.quick ? std::vector<std::uint32_t>{512} : std::vector<std::uint32_t>{512, 4096, 32768};
  for (const std::uint32_t tokens : sizes) {
    Workload w(tokens);
    SLUICE_TRY(add_profiles(out, w, supported_isas().back(), wanted, rounds));
    if (tokens == 512)  // the slower instruction sets once
      for (const Isa isa : supported_isas().first(supported_isas().size() - 1))
        SLUICE_TRY(add_profiles(out, w, isa, wanted, options.quick ? 1 : 3));
  }
  SLUICE_TRY(add_memory(out, wanted));
  if (core_count() > 1) SLUICE_TRY(add_two_cores(out, wanted, rounds));
  SLUICE_TRY(add_cuda_figures(out, options));
  if (options.arguments.empty()) SLUICE_TRY(add_seals(out, rounds));
  return out;
}

const SuiteRegistration registration{"codec", "encode and decode of every profile, ratio, and sealing",
                                     run_codec_suite};

}  // namespace
}  // namespace sluice::bench
