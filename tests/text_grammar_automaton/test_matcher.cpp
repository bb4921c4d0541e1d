// What a matcher allows, place by place.
#include <catch2/catch.hpp>
#include <string>

#include "text/grammar/matcher.h"

using namespace sluice;
using namespace sluice::text;
using namespace sluice::text::grammar;

namespace {

std::shared_ptr<const Vocabulary> bytes_only() {
  std::vector<std::string> bytes(1);
  for (int b = 0; b < 256; ++b) bytes.emplace_back(1, static_cast<char>(b));
  return Vocabulary::create(std::move(bytes), 300, {0});
}

Matcher matcher(const Grammar& g) { return Matcher(or_throw(Automaton::compile(g, bytes_only()))); }

}  // namespace

TEST_CASE("a literal is forced, byte by byte, and ends") {
  Grammar g;
  g.set_root(g.literal("h\xC3\xA9llo"));
  auto m = matcher(g);
  CHECK(m.forced(100) == "h\xC3\xA9llo");
  CHECK(m.forced(2) == "h\xC3");
  CHECK_FALSE(m.may_end());
  CHECK_FALSE(m.accept_text("hx"));
  CHECK(m.accept_text("h\xC3"));
  CHECK(m.forced(100) == "\xA9llo");
  CHECK(m.accept_text("\xA9llo"));
  CHECK(m.must_end());
  CHECK(m.forced(100).empty());
  CHECK_FALSE(m.accept_text("o"));
  CHECK(m.accept(0));
  CHECK_FALSE(m.accept(0));
}
