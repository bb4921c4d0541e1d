#include "common/http/sse.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace sluice::test {
namespace {

using Events = std::vector<std::string>;

/// What comes of bytes that are cut into pieces of `size`.
Events read(std::string_view bytes, std::size_t size) {
  Events events;
  http::SseParser sse([&](std::string_view e) { events.emplace_back(e); });
  for (; !bytes.empty(); bytes.remove_prefix(std::min(size, bytes.size()))) REQUIRE(sse.push(bytes.substr(0, size)));
  return events;
}

TEST_CASE("events are read whatever their lines end in and wherever bytes are cut") {
  const std::string text =
      "data: one\n\n: note\n\ndata:two\r\ndata: more\r\n\r\nevent: x\rdata: {\"a\": 1}\r\rid: 5\n\ndata\n\ndata: "
      "\n\ndata: cut";
  for (const std::size_t size : {std::size_t{1}, std::size_t{2}, std::size_t{3}, std::size_t{7}, text.size()}) {
    CAPTURE(size);
    CHECK(read(text, size) == Events{"one", "two\nmore", "{\"a\": 1}", ""});
  }
}

TEST_CASE("an event beyond the bound ends the reading, in one line or in many") {
  http::SseParser sse([](std::string_view) { FAIL("no event is whole"); }, 100);
  CHECK(sse.push("data: " + std::string(50, 'x')));
  const auto r = sse.push(std::string(60, 'x'));
  REQUIRE_FALSE(r);
  CHECK(r.error().code == Errc::data_corrupt);
  http::SseParser lines([](std::string_view) {}, 100);
  Result<> last;
  for (int i = 0; i < 20 && last; ++i) last = lines.push("data: 1234567890\n");
  CHECK_FALSE(last);
}

}  // namespace
}  // namespace sluice::test
