#include <catch2/catch.hpp>
#include <cstring>

#include "kvtransfer/wire/frame.h"

using namespace sluice;
using namespace sluice::kv;

namespace {

FrameHeader sample() {
  FrameHeader h;
  h.ticket = TicketId({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16});
  h.prefill_incarnation = Incarnation(0x1122334455667788);
  h.decode_incarnation = Incarnation(0x99aabbccddeeff00);
  h.spec = {{2, 3}, kKeysAndValues, {100, 64}};
  h.codec = 0x01020304;
  h.seal = SealMode::digest;
  h.payload_bytes = 4096;
  h.sequence = 77;
  h.queue_us = 11;
  h.encode_us = 22;
  h.sent_at_us = 33;
  h.tag = {9, 8, 7};
  return h;
}

FrameHeaderBytes bytes_of(const FrameHeader& h) {
  FrameHeaderBytes b;
  write_frame_header(h, b);
  return b;
}

template <class T>
FrameHeaderBytes with(std::size_t at, T value) {
  auto b = bytes_of(sample());
  std::memcpy(b.data() + at, &value, sizeof value);
  return b;
}

Errc code_of(std::span<const std::byte> b) {
  const auto r = parse_frame_header(b);
  REQUIRE_FALSE(r);
  return r.error().code;
}

}  // namespace

TEST_CASE("a frame header reads back as it was written") {
  const FrameHeader h = sample();
  const auto r = parse_frame_header(bytes_of(h));
  REQUIRE(r);
  CHECK(r->ticket == h.ticket);
  CHECK(r->prefill_incarnation == h.prefill_incarnation);
  CHECK(r->decode_incarnation == h.decode_incarnation);
  CHECK(r->spec == h.spec);
  CHECK(r->codec == 0x01020304);
  CHECK(r->seal == SealMode::digest);
  CHECK(r->payload_bytes == 4096);
  CHECK(r->sequence == 77);
  CHECK(r->queue_us == 11);
  CHECK(r->encode_us == 22);
  CHECK(r->sent_at_us == 33);
  CHECK(r->tag == h.tag);
}

TEST_CASE("the header's bytes stay where docs/wire_format.md says") {
  const auto b = bytes_of(sample());
  CHECK(std::memcmp(b.data(), "SKVF", 4) == 0);
  CHECK(b[4] == std::byte{2});
  CHECK(b[6] == std::byte{128});
  CHECK(b[8] == std::byte{1});
  CHECK(b[24] == std::byte{0x88});
  CHECK(b[40] == std::byte{2});
  CHECK(b[52] == std::byte{64});
  CHECK(b[56] == std::byte{4});
  CHECK(b[60] == std::byte{3});
  CHECK(b[61] == std::byte{1});
  CHECK(b[64] == std::byte{6});
  CHECK(b[72] == std::byte{77});
  CHECK(b[112] == std::byte{9});
}

TEST_CASE("truncated and longer headers are corrupt") {
  const auto b = bytes_of(sample());
  for (std::size_t n = 0; n < b.size(); ++n) REQUIRE(code_of(std::span(b).first(n)) == Errc::data_corrupt);
  std::vector<std::byte> longer(b.begin(), b.end());
  longer.push_back(std::byte{0});
  REQUIRE(code_of(longer) == Errc::data_corrupt);
}

TEST_CASE("lying headers are refused") {
  const std::uint32_t huge = 0xffffffff;
  CHECK(code_of(with(0, 'X')) == Errc::data_corrupt);
  CHECK(code_of(with(4, std::uint16_t{1})) == Errc::unsupported);
  CHECK(code_of(with(6, std::uint16_t{64})) == Errc::data_corrupt);
  CHECK(code_of(with(40, huge)) == Errc::data_corrupt);
  CHECK(code_of(with(44, huge)) == Errc::data_corrupt);
  CHECK(code_of(with(44, 0U)) == Errc::data_corrupt);
  CHECK(code_of(with(48, huge)) == Errc::data_corrupt);
  CHECK(code_of(with(52, huge)) == Errc::data_corrupt);
  CHECK(code_of(with(52, 0U)) == Errc::data_corrupt);
  CHECK(code_of(with(60, std::uint8_t{0})) == Errc::data_corrupt);
  CHECK(code_of(with(60, std::uint8_t{7})) == Errc::data_corrupt);
  CHECK(code_of(with(61, std::uint8_t{2})) == Errc::data_corrupt);
  CHECK(code_of(with(62, std::uint16_t{1})) == Errc::data_corrupt);
  CHECK(code_of(with(64, 5U)) == Errc::data_corrupt);
  CHECK(code_of(with(68, 23U)) == Errc::data_corrupt);  // shorter than its table
  CHECK(code_of(with(68, huge)) == Errc::data_corrupt);
  CHECK(code_of(with(100, 1U)) == Errc::data_corrupt);
}
