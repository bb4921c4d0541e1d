// One transfer's states, without threads and bytes.
#include "node/ingest/transfer.h"

#include <catch2/catch.hpp>

#include "tests/support/manual_clock.h"

using namespace sluice;
using namespace sluice::node;

namespace {

const kv::KvLayout kLayout{2, 2, 16, kv::KvDType::bf16};
const kv::ConnId kConn(1);

struct Rig {
  std::unique_ptr<kv::CodecRegistry> codecs = kv::make_registry();
  Admission admission{{NodeId("d"), Incarnation(9), 1, kLayout}, *codecs, 8};
  test::ManualClock clock;
  std::size_t released = 0;

  std::shared_ptr<Transfer> make(std::vector<std::string> fallbacks = {}, std::uint64_t id = 1) {
    control::ReserveRequest r;
    r.request = RequestId(id);
    r.kv_tokens = 16;
    r.profile = "raw";
    r.fallbacks = std::move(fallbacks);
    const std::vector<engine::BlockHandle> blocks{{BlockId(0), 1}, {BlockId(1), 1}};
    auto lease = std::make_shared<const HeldBlocks>(
        blocks, [this](const std::vector<engine::BlockHandle>& b) { released += b.size(); });
    return std::make_shared<Transfer>(*admission.draw(r, blocks, kv::SealMode::encrypt), std::move(lease), clock.now());
  }
  /// All tokens of one layer.
  kv::FrameHeader frame(std::uint32_t layer, const std::string& profile = "raw") const {
    kv::FrameHeader h;
    h.spec = {{layer, 1}, kv::kKeysAndValues, {0, 16}};
    h.codec = codecs->profile(profile)->codec->id();
    return h;
  }
  Result<> come(Transfer& t, const kv::FrameHeader& h) const {
    SLUICE_TRY(t.claim(h));
    return t.commit(h.spec);
  }
};

}  // namespace

TEST_CASE("a transfer finishes once, with its last frame, and says what it took") {
  Rig r;
  const auto t = r.make();
  auto lease = t->enter(kConn);
  REQUIRE(lease);
  REQUIRE(r.come(*t, r.frame(1)));
  t->spent(0.25, 100);
  CHECK_FALSE(t->finish(r.clock.now()));
  REQUIRE(r.come(*t, r.frame(0)));
  t->spent(0.5, 50);
  r.clock.advance(std::chrono::seconds(3));
  const auto f = t->finish(r.clock.now());
  REQUIRE(f);
  CHECK(f->bearer == kConn);
  CHECK(f->result.decode_s == Approx(0.75));
  CHECK(f->result.wall_s == Approx(3));
  CHECK(f->result.wire_bytes == 150);
  CHECK(f->result.raw_bytes == kLayout.token_bytes() * 16);
  CHECK_FALSE(f->result.change);
  CHECK_FALSE(t->finish(r.clock.now()));
  CHECK_FALSE(t->close());
  CHECK(t->enter(kConn) == nullptr);
  CHECK(r.released == 0);  // the frame's own lease is there still
  lease.reset();
  CHECK(r.released == 2);
}

TEST_CASE("a closed transfer lets no frame write, and its blocks stay while one does") {
  Rig r;
  const auto t = r.make();
  auto writer = t->enter(kConn);
  {
    const auto closed = t->close();
    REQUIRE(closed);
    CHECK(closed->bearer == kConn);
  }
  CHECK(r.released == 0);
  CHECK(t->claim(r.frame(0)).error().code == Errc::cancelled);
  CHECK(t->enter(kConn) == nullptr);
  writer.reset();
  CHECK(r.released == 2);
}

TEST_CASE("nobody is told of the end of a transfer of which no frame came") {
  Rig r;
  const auto t = r.make();
  CHECK_FALSE(t->borne_by(kConn));
  CHECK_FALSE(t->close()->bearer);
  CHECK(r.released == 2);
}

TEST_CASE("a row comes once, and only rows of the ticket do") {
  Rig r;
  const auto t = r.make();
  REQUIRE(t->enter(kConn));
  REQUIRE(t->claim(r.frame(0)));
  CHECK(t->claim(r.frame(0)).error().code == Errc::already_exists);
  CHECK(t->claim(r.frame(2)).error().code == Errc::data_corrupt);
}

TEST_CASE("a change of profile is told by position, and there is one at most") {
  Rig r;
  const auto t = r.make({"ll", "q8"});
  REQUIRE(t->enter(kConn));
  REQUIRE(r.come(*t, r.frame(1, "ll")));
  SECTION("told") {
    REQUIRE(r.come(*t, r.frame(0)));
    const auto f = t->finish(r.clock.now());
    REQUIRE(f);
    CHECK(f->result.change == control::ProfileChange{"ll", {{0, 1}}});
  }
  SECTION("a second one") { CHECK(t->claim(r.frame(0, "q8")).error().code == Errc::data_corrupt); }
}
