// A whole transfer through plan, codec, frame and seal, and every way a frame can be wrong.
#include <catch2/catch.hpp>

#include "kvtransfer/bytes.h"
#include "tests/kvtransfer_wire/transfer.h"

using namespace sluice;
using namespace sluice::kv;
using namespace sluice::kv::test;

namespace {

const KvLayout kLayout{.layers = 3, .kv_heads = 2, .head_dim = 32};
constexpr std::uint32_t kTokens = 150;
const FrameSpec kSpec{{1, 2}, kKeysAndValues, {64, 70}};

struct Fixture {
  std::unique_ptr<CodecRegistry> registry = make_registry();
  FrameScratch scratch;
  FlatKv kv{kLayout, kTokens};
  Ticket ticket = make_ticket(*registry, kLayout, {0, kTokens}, "k8v4");
  Fixture() { kv.fill(1); }

  SentFrame sent(std::uint64_t sequence = 0) { return build(ticket, *registry, kv, kSpec, sequence, scratch); }
  Result<> open(SentFrame f, const Ticket& t) {
    OpenedFrame out;
    const auto r = open_frame(t, *registry, f.header, f.payload, scratch, out);
    REQUIRE((r.has_value() || out.segments.empty()));
    return r;
  }
  Errc refusal(const SentFrame& f, const Ticket& t) {
    const auto r = open(f, t);
    REQUIRE_FALSE(r);
    return r.error().code;
  }
  Errc refusal(const SentFrame& f) { return refusal(f, ticket); }

  /// A frame as a sender with the ticket's key could make it: the header says what it likes, the seal is right.
  SentFrame forged(SentFrame f, const std::function<void(FrameHeader&, std::vector<std::byte>&)>& change) {
    const Nonce nonce = make_nonce(ticket.nonce_base, Direction::prefill_to_decode, 0);
    FrameHeader h = parse_frame_header(f.header).value();
    REQUIRE(scratch.sealer.open(ticket.seal, ticket.key, nonce, std::span(f.header).first<kSealedHeaderBytes>(),
                                f.payload, h.tag));
    change(h, f.payload);
    write_frame_header(h, f.header);
    h.tag = scratch.sealer.seal(h.seal, ticket.key, nonce, std::span(f.header).first<kSealedHeaderBytes>(), f.payload)
                .value();
    write_frame_header(h, f.header);
    return f;
  }
};

}  // namespace

TEST_CASE_METHOD(Fixture, "a transfer arrives whole with every profile and seal") {
  for (const Profile& p : registry->profiles())
    for (const SealMode seal : {SealMode::encrypt, SealMode::digest}) {
      INFO(p.name);
      const Ticket t = make_ticket(*registry, kLayout, {0, kTokens}, p.name, seal);
      TransferPlanner planner(kLayout, {.target_frame_bytes = 20000});
      CoverageTracker coverage(kLayout, t.tokens);
      FlatKv got(kLayout, kTokens);
      std::uint64_t sequence = 0;
      OpenedFrame frame;
      for (const TokenRange chunk : {TokenRange{0, 100}, TokenRange{100, 50}})
        for (std::uint32_t l = 0; l < kLayout.layers; ++l)
          for (const FrameSpec& spec : planner.layer_done(chunk, l)) {
            SentFrame f = build(t, *registry, kv, spec, sequence++, scratch);
            REQUIRE(open_frame(t, *registry, f.header, f.payload, scratch, frame));
            REQUIRE(frame.header.spec == spec);
            REQUIRE(coverage.claim(spec));
            for (const FrameSegment& s : frame.segments) REQUIRE(decode_segment(s, got.rows(s.shape), scratch));
            coverage.commit(spec);
          }
      REQUIRE(coverage.complete());
      REQUIRE(sequence > 3);
      if (p.stated_kl == 0.0) REQUIRE(got == kv);
    }
}

TEST_CASE_METHOD(Fixture, "a wrong digest is corrupt") {
  for (const SealMode seal : {SealMode::encrypt, SealMode::digest}) {
    ticket.seal = seal;
    const SentFrame good = sent();
    REQUIRE(open(good, ticket));
    SentFrame f = good;
    f.header[kSealedHeaderBytes] ^= std::byte{1};
    REQUIRE(refusal(f) == Errc::data_corrupt);
    f = good;
    f.payload[f.payload.size() / 2] ^= std::byte{1};
    REQUIRE(refusal(f) == Errc::data_corrupt);
    f = good;
    f.header[80] ^= std::byte{1};  // queue_us: nothing depends on it, but it is authenticated
    REQUIRE(refusal(f) == Errc::data_corrupt);
    Ticket other = ticket;
    other.key[31] ^= 1;
    REQUIRE(refusal(good, other) == Errc::data_corrupt);
  }
}

TEST_CASE_METHOD(Fixture, "a frame under another sequence number does not open") {
  SentFrame f = sent(5);
  store_le(f.header.data() + 72, std::uint64_t{6});
  REQUIRE(refusal(f) == Errc::data_corrupt);
}

TEST_CASE_METHOD(Fixture, "truncated and extended payloads are corrupt") {
  const SentFrame good = sent();
  for (const std::size_t n : {std::size_t{0}, std::size_t{1}, good.payload.size() - 1, good.payload.size() + 1}) {
    SentFrame f = good;
    f.payload.resize(n);
    REQUIRE(refusal(f) == Errc::data_corrupt);
  }
}

TEST_CASE_METHOD(Fixture, "a wrong shape is corrupt although its seal is right") {
  const SentFrame good = sent();
  const auto spec = [&](const FrameSpec& s) {
    return refusal(forged(good, [&](FrameHeader& h, auto&) { h.spec = s; }));
  };
  CHECK(spec({{2, 2}, kKeysAndValues, {64, 70}}) == Errc::data_corrupt);  // a layer the model lacks
  CHECK(spec({{1, 2}, kKeysAndValues, {64, 87}}) == Errc::data_corrupt);  // a token beyond the ticket
  CHECK(spec({{1, 2}, kKeysAndValues, {151, 1}}) == Errc::data_corrupt);
  CHECK(spec({{1, 1}, kKeysAndValues, {64, 10}}) == Errc::data_corrupt);  // more bytes than its shape can need
}

TEST_CASE_METHOD(Fixture, "a frame that says fewer tokens than it holds is refused by the codec") {
  ticket = make_ticket(*registry, kLayout, {0, kTokens}, "raw");
  SentFrame f = forged(sent(), [](FrameHeader& h, auto&) { h.spec.tokens = {64, 71}; });
  OpenedFrame frame;
  REQUIRE(open_frame(ticket, *registry, f.header, f.payload, scratch, frame));
  FlatKv got(kLayout, kTokens);
  const auto r = decode_segment(frame.segments[0], got.rows(frame.segments[0].shape), scratch);
  REQUIRE_FALSE(r);
  REQUIRE(r.error().code == Errc::data_corrupt);
}

TEST_CASE_METHOD(Fixture, "unknown and unagreed codecs are refused") {
  const SentFrame good = sent();
  CHECK(refusal(forged(good, [](FrameHeader& h, auto&) { h.codec = 999; })) == Errc::unsupported);
  CHECK(refusal(forged(good, [](FrameHeader& h, auto&) { h.codec = 0; })) == Errc::unsupported);
  const std::uint32_t raw = registry->profile("raw")->codec->id();
  CHECK(refusal(forged(good, [raw](FrameHeader& h, auto&) { h.codec = raw; })) == Errc::data_corrupt);
}

TEST_CASE_METHOD(Fixture, "a frame may have a codec that the ticket lists, and no other") {
  const Profile& ll = *registry->profile("ll");
  const RowsOf rows = [&](const SegmentShape& s) { return std::as_const(kv).rows(s); };
  SentFrame f;
  f.payload.resize(max_payload_bytes(ticket, kSpec, *ll.codec));
  CHECK_FALSE(build_frame(ticket, ll, kSpec, 0, rows, f.payload, scratch));
  Ticket listing = ticket;
  listing.alternates = {registry->profile("raw")->codec->id(), ll.codec->id()};
  const auto built = build_frame(listing, ll, kSpec, 0, rows, f.payload, scratch);
  REQUIRE(built);
  f.header = built->header;
  f.payload.resize(built->payload_bytes);
  CHECK(refusal(f) == Errc::data_corrupt);
  OpenedFrame frame;
  REQUIRE(open_frame(listing, *registry, f.header, f.payload, scratch, frame));
  FlatKv got(kLayout, kTokens);
  for (const FrameSegment& s : frame.segments) {
    CHECK(s.codec == ll.codec);
    REQUIRE(decode_segment(s, got.rows(s.shape), scratch));
  }
}

TEST_CASE_METHOD(Fixture, "another seal mode than the ticket's is refused") {
  REQUIRE(refusal(forged(sent(), [](FrameHeader& h, auto&) { h.seal = SealMode::digest; })) == Errc::data_corrupt);
}

TEST_CASE_METHOD(Fixture, "stale incarnations and other tickets are refused") {
  const SentFrame good = sent();
  CHECK(refusal(forged(good, [](FrameHeader& h, auto&) { h.prefill_incarnation = Incarnation(1); })) == Errc::stale);
  CHECK(refusal(forged(good, [](FrameHeader& h, auto&) { h.decode_incarnation = Incarnation(1); })) == Errc::stale);
  Ticket other = make_ticket(*registry, kLayout, {0, kTokens}, "k8v4");
  CHECK(refusal(good, other) == Errc::data_corrupt);
}

TEST_CASE_METHOD(Fixture, "lying segment lengths are corrupt") {
  const SentFrame good = sent();
  const auto table = [&](std::uint32_t i, auto&& change) {
    return refusal(forged(good, [&](FrameHeader&, std::vector<std::byte>& p) {
      auto n = load_le<std::uint32_t>(p.data() + 4 * i);
      change(n);
      store_le(p.data() + 4 * i, n);
    }));
  };
  for (std::uint32_t i = 0; i < 4; ++i) {
    CHECK(table(i, [](std::uint32_t& n) { n = 0xffffffff; }) == Errc::data_corrupt);
    CHECK(table(i, [](std::uint32_t& n) { n += 1; }) == Errc::data_corrupt);
    CHECK(table(i, [](std::uint32_t& n) { n -= 1; }) == Errc::data_corrupt);
    CHECK(table(i, [](std::uint32_t& n) { n = 0; }) == Errc::data_corrupt);
  }
}

TEST_CASE_METHOD(Fixture, "a sender's mistakes are told to it") {
  const Profile& p = *registry->profile("k8v4");
  const RowsOf rows = [&](const SegmentShape& s) { return std::as_const(kv).rows(s); };
  std::vector<std::byte> buffer(max_payload_bytes(ticket, kSpec, *p.codec));
  const auto code = [&](const FrameSpec& spec, const Profile& profile, std::size_t size) {
    const auto r = build_frame(ticket, profile, spec, 0, rows, std::span(buffer).first(size), scratch);
    REQUIRE_FALSE(r);
    return r.error().code;
  };
  CHECK(code({{0, 4}, kKeysAndValues, {0, 10}}, p, buffer.size()) == Errc::invalid_argument);
  CHECK(code(kSpec, *registry->profile("raw"), buffer.size()) == Errc::invalid_argument);
  CHECK(code(kSpec, p, buffer.size() - 1) == Errc::invalid_argument);
  CHECK(code(kSpec, p, 3) == Errc::invalid_argument);
}
