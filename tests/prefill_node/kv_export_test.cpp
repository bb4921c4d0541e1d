#include "prefill_node/kv_export.h"

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
class Links final : public prefill::FrameOut {
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
  [[nodiscard]] double bytes_per_s(const std::string& address) const override {
    return address == "stuck" ? 2 * kFrame / prefill::kLinkWindowS : 0;
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

}  // namespace

TEST_CASE("an export whose link is at a stand holds up no other, and is cancelled whole") {
  test::FakeModel model;
  const auto codecs = kv::make_registry();
  const auto pool = *engine::KvPool::create(model.kv_shape(16, 8, engine::DType::bf16));
  const kv::KvLayout layout{3, 2, 16, kv::KvDType::bf16};
  test::ManualClock clock;
  Metrics metrics;
  Links links;
  std::mutex mutex;
  std::condition_variable changed;
  std::size_t released = 0;
  std::vector<RequestId> ended;
  {
    prefill::KvExport out(layout, *pool, clock, {.target_frame_bytes = kFrame, .max_inflight_bytes = 6 * kFrame},
                          metrics, links,
                          {.on_end =
                               [&](const prefill::ExportEnd& e) {
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
    const kv::Profile* profile = codecs->profile("raw");
    std::size_t expected = 0;
    for (const auto& [id, address] : {std::pair{RequestId(1), "stuck"}, std::pair{RequestId(2), "free"}}) {
      kv::Ticket t;
      REQUIRE(kv::draw_secrets(t));
      t.request = id;
      t.layout = layout;
      t.profile = "raw";
      t.codec = profile->codec->id();
      t.tokens = {0, kTokens};
      std::vector<engine::BlockHandle> blocks;
      for (std::uint32_t i = 0; i < kTokens / 8; ++i) blocks.push_back({BlockId(i), 1});
      out.begin({id, address, t, profile, blocks});
      kv::TransferPlanner plan(layout, {.target_frame_bytes = kFrame});
      expected = 0;
      for (std::uint32_t layer = 0; layer < layout.layers; ++layer) {
        out.layer_done(id, {0, kTokens}, layer);
        expected += plan.layer_done({0, kTokens}, layer).size();
      }
      out.computed(id);
    }
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
