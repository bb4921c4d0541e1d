// KV from a prefill node's export to a decode node's blocks, frames in between at the test's mercy.
#include "node/ingest/kv_ingest.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <cstring>
#include <numeric>

#include "node/export/kv_export.h"
#include "tests/support/fake_model.h"
#include "tests/support/manual_clock.h"

using namespace sluice;

namespace {

constexpr std::uint32_t kTokens = 50;
const kv::ConnId kConn(1);

struct Caught {
  std::vector<std::byte> header;
  std::vector<std::byte> payload;  // copied: tests damage and repeat frames
};

/// Keeps frames instead of sending them.
class Catcher final : public node::FrameOut {
 public:
  void send(const std::string&, RequestId, std::span<const std::byte> header, kv::Buffer payload, Done done) override {
    {
      const std::lock_guard lock(mutex);
      frames.push_back({{header.begin(), header.end()}, {payload.bytes().begin(), payload.bytes().end()}});
      changed.notify_all();
    }
    done({});
  }
  void cancel(const std::string&, RequestId) override {}
  [[nodiscard]] node::LinkNow link(const std::string&) const override { return {bytes_per_s}; }
  bool has(std::size_t n) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, std::chrono::seconds(30), [&] { return frames.size() == n; });
  }
  std::atomic<double> bytes_per_s = 1e9;
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<Caught> frames;
};

struct Rig {
  test::FakeModel model;
  std::unique_ptr<kv::CodecRegistry> codecs = kv::make_registry();
  std::unique_ptr<engine::KvPool> source = *engine::KvPool::create(model.kv_shape(16, 8, engine::DType::bf16));
  std::unique_ptr<engine::KvPool> target = *engine::KvPool::create(model.kv_shape(8, 16, engine::DType::bf16));
  kv::KvLayout layout{3, 2, 16, kv::KvDType::bf16};
  test::ManualClock clock;
  Metrics metrics;
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<node::IngestResult> committed;
  std::vector<Error> failed;
  std::vector<kv::TransferNote> notes;
  std::size_t released = 0, unreadable = 0;
  node::KvIngest ingest{
      {NodeId("d"), Incarnation(9), 0xfa4e, layout},
      *codecs,
      *target,
      clock,
      2,
      metrics,
      {.on_committed = [this](const node::IngestResult& r) { tell([&] { committed.push_back(r); }); },
       .on_failed = [this](RequestId, const Error& e) { tell([&] { failed.push_back(e); }); },
       .release = [this](const std::vector<engine::BlockHandle>& b) { tell([&] { released += b.size(); }); }}};

  Rig() {
    ingest.set_note_sender([this](kv::ConnId, std::vector<std::byte> bytes) {
      const auto n = kv::parse_note(bytes);
      tell([&] { n ? notes.push_back(*n) : static_cast<void>(++unreadable); });
    });
  }
  ~Rig() {
    ingest.stop();
    CHECK(unreadable == 0);
  }
  template <class F>
  void tell(F f) {
    const std::lock_guard lock(mutex);
    f();
    changed.notify_all();
  }
  template <class P>
  bool until(P p) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, std::chrono::seconds(30), p);
  }

  kv::Ticket expect(const std::string& profile, std::uint64_t request = 1, std::vector<std::string> fallbacks = {}) {
    control::ReserveRequest r;
    r.fallbacks = std::move(fallbacks);
    r.request = RequestId(request);
    r.kv_tokens = kTokens;
    r.prefill_node = NodeId("p");
    r.prefill_incarnation = Incarnation(4);
    r.profile = profile;
    r.timeout_ms = 10000;
    std::vector<engine::BlockHandle> blocks;
    for (std::uint32_t i = 0; i < 7; ++i) blocks.push_back({BlockId(15 - i), 1});  // scattered, backwards
    auto t = ingest.expect(r, blocks, kv::SealMode::encrypt);
    REQUIRE(t);
    return *t;
  }

  /// The frames of a real export of the fake model's KV, over a link that gives way once the first layer's are sent.
  std::vector<Caught> exported(const kv::Ticket& ticket, const node::ProfilePlan& plan_of_export = {}) {
    Catcher out;
    node::KvExport exporter(
        layout, *source, clock, {.workers = 2, .target_frame_bytes = 2048}, metrics, out,
        {.on_end = [](const node::ExportEnd&) {}, .release = [](const std::vector<engine::BlockHandle>&) {}});
    std::vector<engine::BlockHandle> blocks;
    std::vector<BlockId> ids;
    for (std::uint32_t i = 0; i < 4; ++i) {
      blocks.push_back({BlockId(i * 2), 1});
      ids.emplace_back(i * 2);
    }
    exporter.begin({RequestId(1), "x", ticket, codecs->profile(ticket.profile), blocks, plan_of_export});
    struct Observer final : engine::LayerObserver {
      std::function<void(std::uint32_t)> f;
      void on_layer(std::uint32_t l) override { f(l); }
    } observer;
    const auto prompt = tokens();
    std::size_t expected = 0;
    kv::TransferPlanner plan(layout, {.target_frame_bytes = 2048});
    for (const auto& [first, count] : {std::pair{0U, 32U}, std::pair{32U, 18U}}) {
      observer.f = [&, first = first, count = count](std::uint32_t l) {
        if (l > 0) {
          CHECK(out.has(expected));
          out.bytes_per_s = 1e3;
        }
        exporter.layer_done(RequestId(1), {first, count}, l);
        expected += plan.layer_done({first, count}, l).size();
      };
      const engine::ForwardSeq chunk{std::span(prompt).subspan(first, count), first, ids, false};
      REQUIRE(model.forward({&chunk, 1}, *source, {}, &observer));
    }
    exporter.computed(RequestId(1));
    REQUIRE(out.has(expected));
    REQUIRE(expected > 3);
    return out.frames;
  }
  static std::vector<TokenId> tokens() {
    std::vector<TokenId> t(kTokens);
    std::iota(t.begin(), t.end(), 3);
    return t;
  }
  void deliver(const Caught& f, kv::ConnId conn = kConn) {
    kv::StagingBuffer b(kv::BufferPool(0).take(f.payload.size()), [](std::size_t) {});
    std::memcpy(b.bytes().data(), f.payload.data(), f.payload.size());
    ingest.on_frame(conn, f.header, std::move(b));
  }
  double refused(const std::string& code) {
    return metrics.counter("sluice_kv_frames_total", "KV frames by outcome.", {{"outcome", code}}).value();
  }
  bool exact(const kv::Ticket& t) {
    const auto prompt = tokens();
    for (std::uint32_t pos = 0; pos < kTokens; ++pos)
      for (std::uint32_t layer = 0; layer < 3; ++layer)
        for (const bool value : {false, true}) {
          const auto* row = target->block(layer, value, t.blocks[pos / 8]) + std::size_t{pos % 8} * layout.row_bytes();
          std::uint16_t m = 0;
          std::memcpy(&m, row + layout.row_bytes() - 2, sizeof m);
          if (m != test::FakeModel::mark(prompt[pos], pos, layer, value)) return false;
        }
    return true;
  }
};

}  // namespace

TEST_CASE("exact profiles bring every row to its place, in any order of frames") {
  for (const char* profile : {"raw", "ll"}) {
    Rig r;
    const auto t = r.expect(profile);
    auto frames = r.exported(t);
    std::ranges::reverse(frames);
    for (const auto& f : frames) r.deliver(f);
    REQUIRE(r.until([&] { return r.committed.size() == 1 && r.notes.size() == 1 && r.released == 7; }));
    CHECK(r.exact(t));
    CHECK(r.notes[0].committed);
    CHECK(r.committed[0].raw_bytes == r.layout.token_bytes() * kTokens);
    CHECK(r.failed.empty());
  }
}

TEST_CASE("a changed byte fails the transfer before anything is committed") {
  Rig r;
  const auto t = r.expect("q8");
  auto frames = r.exported(t);
  frames[1].payload[5] ^= std::byte{1};
  for (const auto& f : frames) r.deliver(f);
  REQUIRE(r.until([&] { return r.failed.size() == 1 && r.notes.size() == 1 && r.released == 7; }));
  CHECK(r.failed[0].code == Errc::data_corrupt);
  CHECK_FALSE(r.notes[0].committed);
  CHECK(r.committed.empty());
}

namespace {

/// As the sender numbered them: the first `kept` frames under the ticket's profile, the rest under `to`.
std::vector<Caught> mixed(Rig& r, const kv::Ticket& t, std::size_t kept, const std::string& to) {
  auto in_order = [&](const kv::Ticket& under) {
    auto frames = r.exported(under);
    std::ranges::sort(frames, {}, [](const Caught& f) { return kv::parse_frame_header(f.header)->sequence; });
    return frames;
  };
  kv::Ticket other = t;
  other.profile = to;
  other.codec = r.codecs->profile(to)->codec->id();
  auto out = in_order(t);
  auto rest = in_order(other);
  std::ranges::move(rest.begin() + static_cast<std::ptrdiff_t>(kept), rest.end(),
                    out.begin() + static_cast<std::ptrdiff_t>(kept));
  return out;
}

}  // namespace

TEST_CASE("a transfer that goes on under a fallback is whole, and says from where") {
  Rig r;
  const auto t = r.expect("raw", 1, {"q8", "ll"});
  auto frames = mixed(r, t, 2, "ll");
  const auto boundary = kv::parse_frame_header(frames[2].header)->spec;
  std::ranges::reverse(frames);
  for (const auto& f : frames) r.deliver(f);
  REQUIRE(r.until([&] { return r.committed.size() == 1 && r.released == 7; }));
  CHECK(r.exact(t));
  const auto& change = r.committed[0].change;
  REQUIRE(change);
  CHECK(change->to == "ll");
  for (std::size_t i = 0; i < frames.size(); ++i) {
    const auto h = *kv::parse_frame_header(frames[i].header);
    CHECK(node::changed(change->from, h.spec.tokens.begin, h.spec.layers.begin) == (h.sequence >= 2));
  }
  CHECK(node::changed(change->from, boundary.tokens.begin, boundary.layers.begin));
  CHECK(r.ingest.rates().empty());
}

TEST_CASE("a sender whose link gives way changes to a fallback, and does so again when told where") {
  Rig r;
  const auto profile = [&](const char* name) { return r.codecs->profile(name); };
  const auto t = r.expect("raw", 1, {"ll", "q8"});
  node::ProfilePlan plan{.profiles = {profile("raw"), profile("q8"), profile("ll")},
                         .ways = {{1e12, 1}, {0, 0}, {1e12, 4}},
                         .planned_bps = 1e9};
  const auto frames = r.exported(t, plan);
  for (const auto& f : frames) r.deliver(f);
  REQUIRE(r.until([&] { return r.committed.size() == 1; }));
  CHECK(r.exact(t));
  const auto change = r.committed[0].change;
  REQUIRE(change);
  CHECK(change->to == "ll");
  CHECK(change->from == std::vector<ChangeStep>{{0, 1}, {32, 0}});

  const auto again = r.expect("raw", 2, {"ll"});
  node::ProfilePlan order{.profiles = {profile("raw"), profile("ll")}, .order = change->from};
  for (const auto& f : r.exported(again, order)) r.deliver(f);
  REQUIRE(r.until([&] { return r.committed.size() == 2; }));
  CHECK(r.committed[1].change == change);
}

TEST_CASE("a transfer under its own profile throughout says nothing of a change") {
  Rig r;
  const auto t = r.expect("raw", 1, {"ll"});
  for (const auto& f : r.exported(t)) r.deliver(f);
  REQUIRE(r.until([&] { return r.committed.size() == 1; }));
  CHECK_FALSE(r.committed[0].change);
}

TEST_CASE("codecs that the ticket does not list, or a second change, fail the transfer") {
  Rig r;
  const auto listed = GENERATE(std::vector<std::string>{}, std::vector<std::string>{"ll"});
  const auto t = r.expect("raw", 1, listed);
  auto frames = mixed(r, t, 2, "q8");
  for (const auto& f : frames) r.deliver(f);
  REQUIRE(r.until([&] { return r.failed.size() == 1 && r.released == 7; }));
  CHECK(r.failed[0].code == Errc::data_corrupt);
  CHECK(r.committed.empty());
}

TEST_CASE("a profile changes once, and not back") {
  Rig r;
  const auto t = r.expect("raw", 1, {"ll", "q8"});
  auto frames = mixed(r, t, 1, "ll");
  SECTION("to another") { frames.back() = mixed(r, t, 1, "q8").back(); }
  SECTION("back") { frames.back() = mixed(r, t, frames.size(), "ll").back(); }
  for (const auto& f : frames) r.deliver(f);
  REQUIRE(r.until([&] { return r.failed.size() == 1 && r.released == 7; }));
  CHECK(r.failed[0].code == Errc::data_corrupt);
  CHECK(r.committed.empty());
}

TEST_CASE("a fallback that this node lacks is refused with its blocks given back") {
  Rig r;
  control::ReserveRequest q;
  q.kv_tokens = kTokens;
  q.profile = "raw";
  q.fallbacks = {"zip"};
  CHECK(r.ingest.expect(q, {{BlockId(1), 1}}, kv::SealMode::encrypt).error().code == Errc::not_found);
  CHECK(r.released == 1);
}

TEST_CASE("a replayed transfer finds its ticket used") {
  Rig r;
  const auto t = r.expect("ll");
  const auto frames = r.exported(t);
  for (const auto& f : frames) r.deliver(f);
  REQUIRE(r.until([&] { return r.committed.size() == 1; }));
  const auto count = static_cast<double>(frames.size());
  for (const auto& f : frames) r.deliver(f);
  r.ingest.stop();  // drains the queue
  CHECK(r.refused("already_exists") == count);
  CHECK(r.committed.size() == 1);
  CHECK(r.exact(t));
}

TEST_CASE("a stranger's connection cannot use somebody's ticket, nor break it") {
  Rig r;
  const auto t = r.expect("ll");
  const auto frames = r.exported(t);
  r.deliver(frames[0]);
  for (const auto& f : frames) r.deliver(f, kv::ConnId(77));
  for (std::size_t i = 1; i < frames.size(); ++i) r.deliver(frames[i]);
  r.ingest.stop();
  // Which connection came first is up to the workers; either way exactly one of them could use the ticket.
  CHECK(r.committed.size() == 1);
  CHECK(r.refused("already_exists") + r.refused("not_found") >= 1);
}

TEST_CASE("frames of another incarnation are stale") {
  Rig r;
  auto t = r.expect("raw");
  t.prefill_incarnation = Incarnation(5);
  for (const auto& f : r.exported(t)) r.deliver(f);
  r.ingest.stop();
  CHECK(r.committed.empty());
  CHECK(r.refused("stale") > 0);
}

TEST_CASE("garbage headers are dropped and harm nobody") {
  Rig r;
  const auto t = r.expect("raw");
  const auto frames = r.exported(t);
  for (std::size_t n : {std::size_t{0}, std::size_t{3}, frames[0].header.size() - 1}) {
    Caught cut = frames[0];
    cut.header.resize(n);
    r.deliver(cut);
  }
  Caught noise = frames[0];
  for (auto& b : noise.header) b ^= std::byte{0x5a};
  r.deliver(noise);
  for (const auto& f : frames) r.deliver(f);
  REQUIRE(r.until([&] { return r.committed.size() == 1; }));
  CHECK(r.exact(t));
}

TEST_CASE("cancel, a lost peer and a passed deadline each end a transfer once and give its blocks back") {
  Rig r;
  const auto frames = r.exported(r.expect("raw"));
  SECTION("cancel says nothing to the engine, which asked for it") {
    r.deliver(frames[0]);
    r.ingest.revoke(RequestId(1));
    REQUIRE(r.until([&] { return r.released == 7; }));
    CHECK(r.failed.empty());
  }
  SECTION("a lost peer fails what it was sending") {
    r.deliver(frames[0]);
    r.ingest.stop();
    r.ingest.on_peer_down(kConn, Error{Errc::unavailable, "gone", {}});
    CHECK(r.failed.size() == 1);
    CHECK(r.released == 7);
  }
  SECTION("time runs out") {
    r.clock.advance(std::chrono::seconds(11));
    r.ingest.expire();
    REQUIRE(r.failed.size() == 1);
    CHECK(r.failed[0].code == Errc::deadline_exceeded);
    CHECK(r.released == 7);
  }
  for (const auto& f : frames) r.deliver(f);
  r.ingest.stop();
  CHECK(r.committed.empty());
  CHECK(r.released == 7);
}

TEST_CASE("hellos of another model, layout or build are refused by name") {
  Rig r;
  const kv::Hello good{NodeId("p"), Incarnation(4), 0xfa4e, r.layout, r.codecs->format_hash()};
  auto answer = [&](auto change) {
    kv::Hello h = good;
    change(h);
    return r.ingest.on_hello(kConn, kv::write_hello(h));
  };
  CHECK(answer([](kv::Hello&) {}));
  CHECK_FALSE(answer([](kv::Hello& h) { h.model_hash ^= 1; }));
  CHECK_FALSE(answer([](kv::Hello& h) { h.layout.layers = 4; }));
  CHECK_FALSE(answer([](kv::Hello& h) { h.format_hash ^= 1; }));
  auto bytes = kv::write_hello(good);
  for (std::size_t n = 0; n < bytes.size(); ++n) CHECK_FALSE(r.ingest.on_hello(kConn, std::span(bytes).first(n)));
}
