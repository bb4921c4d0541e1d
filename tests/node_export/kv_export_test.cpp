#include "node/export/kv_export.h"

#include <catch2/catch.hpp>
#include <map>

#include "kvtransfer/codec/codecs.h"
#include "tests/support/fake_model.h"
#include "tests/support/manual_clock.h"

using namespace sluice;

namespace {

constexpr std::uint32_t kTokens = 64;
constexpr std::size_t kFrame = 2048;

/// Links of which one keeps every frame it is given until it is told to let go.
class Links final : public node::FrameOut {
 public:
  void send(const std::string& address, RequestId, std::span<const std::byte>, kv::Buffer payload, Done done) override {
    const bool keep = address == "stuck";
    {
      const std::lock_guard lock(mutex);
      ++frames[address];
      if (keep) {
        kept_bytes += payload.size();
        kept.emplace_back(std::move(payload), std::move(done));
      }
      changed.notify_all();
    }
    if (!keep) done({});
  }
  void cancel(const std::string& address, RequestId) override {
    if (address == "stuck") let_go(fail(Errc::cancelled, "cancelled"));
  }
  /// The stuck link has brought two frames' worth through in its window's time.
  [[nodiscard]] node::LinkNow link(const std::string& address) const override {
    if (address == "slow") return {1e3};
    return {address == "stuck" ? 2 * kFrame / node::kLinkWindowS : 0};
  }
  void let_go(const Result<>& how) {
    decltype(kept) out;
    {
      const std::lock_guard lock(mutex);
      out.swap(kept);
      kept_bytes = 0;
    }
    for (auto& [payload, done] : out) done(how);
  }

  std::mutex mutex;
  std::condition_variable changed;
  std::map<std::string, std::size_t> frames;
  std::vector<std::pair<kv::Buffer, Done>> kept;
  std::size_t kept_bytes = 0;
};

const kv::KvLayout kLayout{3, 2, 16, kv::KvDType::bf16};

/// One prompt of raw KV, whole; returns its ticket, and counts its frames.
kv::Ticket send_prompt(node::KvExport& out, const kv::CodecRegistry& codecs, RequestId id, const std::string& address,
                       std::size_t& frames, const node::ProfilePlan& plan = {}) {
  const kv::Profile* profile = codecs.profile("raw");
  kv::Ticket t;
  REQUIRE(kv::draw_secrets(t));
  t.request = id;
  t.layout = kLayout;
  t.profile = "raw";
  t.codec = profile->codec->id();
  for (const kv::Profile* p : plan.profiles) t.alternates.push_back(p->codec->id());
  t.tokens = {0, kTokens};
  std::vector<engine::BlockHandle> blocks;
  for (std::uint32_t i = 0; i < kTokens / 8; ++i) blocks.push_back({BlockId(i), 1});
  out.begin({id, address, t, profile, blocks, plan});
  kv::TransferPlanner planner(kLayout, {.target_frame_bytes = kFrame});
  frames = 0;
  for (std::uint32_t layer = 0; layer < kLayout.layers; ++layer) {
    out.layer_done(id, {0, kTokens}, layer);
    frames += planner.layer_done({0, kTokens}, layer).size();
  }
  out.computed(id);
  return t;
}

}  // namespace

TEST_CASE("an export whose link is at a stand holds up no other, and is cancelled whole") {
  test::FakeModel model;
  const auto codecs = kv::make_registry();
  const auto pool = *engine::KvPool::create(model.kv_shape(16, 8, engine::DType::bf16));
  test::ManualClock clock;
  Metrics metrics;
  Links links;
  std::mutex mutex;
  std::condition_variable changed;
  std::size_t released = 0;
  std::vector<RequestId> ended;
  {
    node::KvExport out(kLayout, *pool, clock, {.target_frame_bytes = kFrame, .max_inflight_bytes = 6 * kFrame}, metrics,
                       links,
                       {.on_end =
                            [&](const node::ExportEnd& e) {
                              const std::lock_guard lock(mutex);
                              ended.push_back(e.request);
                              changed.notify_all();
                            },
                        .release =
                            [&](const std::vector<engine::BlockHandle>& b) {
                              const std::lock_guard lock(mutex);
                              released += b.size();
                              changed.notify_all();
                            }});
    std::size_t expected = 0;
    (void)send_prompt(out, *codecs, RequestId(1), "stuck", expected);
    (void)send_prompt(out, *codecs, RequestId(2), "free", expected);
    REQUIRE(expected > 6);  // more than all that may be in flight
    {
      std::unique_lock lock(links.mutex);
      REQUIRE(links.changed.wait_for(lock, std::chrono::seconds(30), [&] { return links.frames["free"] == expected; }));
      CHECK(links.frames["stuck"] >= 1);
      CHECK(links.kept_bytes <= 3 * kFrame);
    }
    out.cancel(RequestId(1));
    std::unique_lock lock(mutex);
    REQUIRE(changed.wait_for(lock, std::chrono::seconds(30), [&] { return released == kTokens / 8; }));
    CHECK(ended == std::vector{RequestId(1)});
  }
  links.let_go({});
}

TEST_CASE("an export that went on under another profile says so, and each profile gets its own bytes") {
  test::FakeModel model;
  const auto codecs = kv::make_registry();
  const auto pool = *engine::KvPool::create(model.kv_shape(16, 8, engine::DType::bf16));
  test::ManualClock clock;
  Metrics metrics;
  Links links;
  std::vector<node::ExportEnd> ended;
  node::KvExport out(kLayout, *pool, clock, {.target_frame_bytes = kFrame}, metrics, links,
                     {.on_end = [&](const node::ExportEnd& e) { ended.push_back(e); },
                      .release = [](const std::vector<engine::BlockHandle>&) {}});
  const node::ProfilePlan plan{
      .profiles = {codecs->profile("raw"), codecs->profile("ll")}, .ways = {{1e12, 1}, {1e12, 4}}, .planned_bps = 1e9};
  std::size_t expected = 0;
  const kv::Ticket t = send_prompt(out, *codecs, RequestId(1), "slow", expected, plan);
  {
    std::unique_lock lock(links.mutex);
    REQUIRE(links.changed.wait_for(lock, std::chrono::seconds(30), [&] { return links.frames["slow"] == expected; }));
  }
  out.on_note({.ticket = t.id, .committed = true});
  REQUIRE(ended.size() == 1);
  REQUIRE(ended[0].changed_to != nullptr);
  CHECK(ended[0].changed_to->name == "ll");
  CHECK(ended[0].raw_bytes == kLayout.token_bytes() * kTokens);
  const auto sent = [&](const char* profile) {
    return metrics.counter("sluice_kv_sent_raw_bytes_total", "", {{"profile", profile}}).value();
  };
  CHECK(sent("ll") == kLayout.token_bytes() * kTokens);
  CHECK(sent("raw") == 0);
}
