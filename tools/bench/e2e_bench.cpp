// What overlap buys: a prompt's time from submission until its KV is committed on the decode side, with frames leaving
// layer by layer while prefill computes, and with frames leaving only after it. Real engine, codecs, seals and ingest;
// the link is a thread that lets bytes through at a stated rate, so that the result does not depend on this machine's
// loopback.
#include <condition_variable>
#include <mutex>
#include <thread>

#include "node/export/kv_export.h"
#include "node/ingest/bounded_queue.h"
#include "node/ingest/kv_ingest.h"
#include "node/kv/pool_layout.h"
#include "node/node_model.h"
#include "prefill_node/prefill_loop.h"
#include "tools/bench/bench_util.h"
#include "tools/bench/engine_model.h"

namespace sluice::bench {
namespace {

const kv::ConnId kConn(1);
const RequestId kRequest(1);

/// A link of a given rate between an export and an ingest.
class ShapedLink final : public node::FrameOut {
 public:
  ShapedLink(double bytes_per_s, kv::FrameSink& to)
      : rate_(bytes_per_s), to_(to), queue_(1U << 30U), thread_([this] { carry(); }) {}
  ~ShapedLink() override { stop(); }
  /// Brings through what is queued. Before the export goes, which is told of every frame.
  void stop() {
    queue_.close();
    if (thread_.joinable()) thread_.join();
  }
  void send(const std::string&, RequestId, std::span<const std::byte> header, kv::Buffer payload, Done done) override {
    const std::size_t bytes = payload.size();
    (void)queue_.push(
        std::make_unique<Frame>(Frame{{header.begin(), header.end()}, std::move(payload), std::move(done)}), bytes);
  }
  void cancel(const std::string&, RequestId) override {}
  [[nodiscard]] node::LinkNow link(const std::string&) const override { return {rate_}; }

 private:
  struct Frame {
    std::vector<std::byte> header;
    kv::Buffer payload;
    Done done;
  };
  void carry() {
    auto free_at = std::chrono::steady_clock::now();
    while (auto f = queue_.pop()) {
      const auto now = std::chrono::steady_clock::now();
      free_at = std::max(free_at, now) + from_seconds(static_cast<double>((*f)->payload.size()) / rate_);
      std::this_thread::sleep_until(free_at);
      to_.on_frame(kConn, (*f)->header, kv::StagingBuffer(std::move((*f)->payload), [](std::size_t) {}));
      (*f)->done({});
    }
  }
  double rate_;
  kv::FrameSink& to_;
  node::BoundedQueue<std::unique_ptr<Frame>> queue_;
  std::thread thread_;
};

/// Passes the prefill loop's events to the export of one request.
class Sink final : public prefill::PrefillSink {
 public:
  node::KvExport* out = nullptr;
  kv::Ticket ticket;
  const kv::Profile* profile = nullptr;
  bool on_admitted(RequestId id, const std::vector<engine::BlockHandle>& blocks, double) override {
    out->begin({id, "link", ticket, profile, blocks});
    return true;
  }
  void on_layer(RequestId id, std::uint32_t first, std::uint32_t count, std::uint32_t layer) override {
    out->layer_done(id, {first, count}, layer);
  }
  void on_rated(RequestId, std::uint32_t, std::span<const engine::RatedToken>) override {}
  void on_computed(RequestId id, const prefill::PromptTimes&) override { out->computed(id); }
  void on_failed(RequestId id, const Error& why) override { out->fail(id, why); }
  void on_probed(RequestId, Result<std::span<const float>>) override {}
};

struct Setup {
  const kv::CodecRegistry& codecs;
  node::NodeModel& source;
  engine::KvPool& target;
  std::uint32_t tokens;
};

/// Seconds until the KV of one prompt is committed, or what went wrong.
Result<double> transfer(const Setup& s, const std::string& profile, double rate, bool overlap) {
  const kv::KvLayout layout = node::layout_of(s.source.pool->shape());
  SteadyClock clock;
  Metrics metrics;
  std::mutex mutex;
  std::condition_variable changed;
  std::optional<Result<>> outcome;
  auto settle = [&](Result<> r) {
    const std::lock_guard lock(mutex);
    outcome = std::move(r);
    changed.notify_all();
  };
  node::KvIngest ingest({NodeId("d"), Incarnation(2), 1, layout}, s.codecs, s.target, clock, 1, metrics,
                        {.on_committed = [&](const node::IngestResult&) { settle({}); },
                         .on_failed = [&](RequestId, const Error& e) { settle(std::unexpected(e)); },
                         .release = [](const std::vector<engine::BlockHandle>&) {}});
  std::atomic<node::KvExport*> exporter{nullptr};
  ingest.set_note_sender([&](kv::ConnId, std::vector<std::byte> note) {
    if (auto n = kv::parse_note(note); n && exporter.load() != nullptr) exporter.load()->on_note(*n);
  });
  control::ReserveRequest r;
  r.request = kRequest;
  r.kv_tokens = s.tokens;
  r.prefill_node = NodeId("p");
  r.prefill_incarnation = Incarnation(1);
  r.profile = profile;
  std::vector<engine::BlockHandle> blocks;
  for (std::uint32_t b = 0; b * s.target.shape().block_size < s.tokens; ++b) blocks.push_back({BlockId(b), 1});
  Sink sink;
  sink.profile = s.codecs.profile(profile);
  SLUICE_ASSIGN(sink.ticket, ingest.expect(r, std::move(blocks), kv::SealMode::encrypt));

  ShapedLink link(rate, ingest);
  std::optional<prefill::PrefillLoop> loop;
  node::KvExport out(layout, *s.source.pool, clock, {.overlap = overlap}, metrics, link,
                     {.on_end =
                          [&](const node::ExportEnd& e) {
                            if (!e.outcome) settle(e.outcome);
                          },
                      .release = [&](const std::vector<engine::BlockHandle>& b) { loop->release_blocks(b); }});
  exporter = &out;
  sink.out = &out;
  loop.emplace(*s.source.model, *s.source.pool, s.source.limits, prefill::PrefillLoopOptions{.max_waiting = 4}, sink);
  std::vector<TokenId> prompt(s.tokens);
  for (std::uint32_t i = 0; i < s.tokens; ++i)
    prompt[i] = static_cast<TokenId>((i * 37) % s.source.model->config().vocab_size);
  const TimePoint begin = clock.now();
  SLUICE_TRY(loop->submit({kRequest, std::move(prompt), 0}));
  std::unique_lock lock(mutex);
  changed.wait(lock, [&] { return outcome.has_value(); });
  const double took = seconds(clock.now() - begin);
  lock.unlock();
  loop->stop();
  link.stop();
  ingest.stop();
  exporter = nullptr;
  SLUICE_TRY(*outcome);
  return took;
}

SuiteResult run_e2e_suite(const BenchOptions& options) {
  SLUICE_ASSIGN(
      const auto dir,
      SyntheticModel::create({.hidden = 512, .ffn = 1408, .heads = 8, .kv_heads = 8, .head_dim = 64, .layers = 12}));
  node::NodeOptions node_options;
  node_options.model_dir = dir.dir().string();
  node_options.threads = options.threads;
  node_options.kv_memory_mib = 256;
  node_options.prefill_chunk = 256;
  SLUICE_ASSIGN(node::NodeModel source, node::load_node_model(node_options));
  SLUICE_ASSIGN(const auto target, engine::KvPool::create(source.pool->shape()));
  const auto codecs = kv::make_registry();
  const Setup s{*codecs, source, *target, options.quick ? 512U : 1536U};
  const std::size_t rounds = options.quick ? 3 : 7;
  std::vector<Figure> out;
  for (const double gbps : {1.0, 10.0}) {
    for (const char* profile : {"raw", "q8"}) {
      // In turn, so that both see the same machine.
      std::vector<double> with, without;
      for (std::size_t i = 0; i < rounds; ++i) {
        SLUICE_ASSIGN(const double a, transfer(s, profile, gbps * 125e6, true));
        SLUICE_ASSIGN(const double b, transfer(s, profile, gbps * 125e6, false));
        with.push_back(a * 1e3);
        without.push_back(b * 1e3);
      }
      out.push_back({fmt::format("prefill to committed KV, {} tokens, {} Gb/s, {}", s.tokens, gbps, profile),
                     median(with), "ms", Measured{"without overlap", median(without), "ms"}});
    }
  }
  return out;
}

const SuiteRegistration registration{"e2e", "prefill to committed KV, with and without overlap", run_e2e_suite};

}  // namespace
}  // namespace sluice::bench
