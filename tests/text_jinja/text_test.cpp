// A text knows who wrote each byte of it, through whatever it is cut into and put together from.
#include "text/jinja/text.h"

#include <catch2/catch.hpp>
#include <random>

using namespace sluice::text::jinja;

namespace {

/// The same, kept the plain way: a mark for each byte.
struct Plain {
  std::string bytes;
  std::string marks;
};

void check_same(const Text& t, const Plain& p) {
  REQUIRE(t.bytes == p.bytes);
  for (std::size_t i = 0; i < p.bytes.size(); ++i) REQUIRE(t.origin.typed_at(i) == (p.marks[i] == 't'));
}

}  // namespace

TEST_CASE("text: one origin for all of it takes no turns") {
  const Limits limits;
  Budget budget(limits);
  TextBuilder out(budget);
  const Text typed{.bytes = "abc", .origin = Origin::all_typed()};
  out.add(typed);
  out.add(typed, 1, 3);
  const Text t = out.take();
  CHECK(t.bytes == "abcbc");
  CHECK(t.origin.turns() == 0);
  CHECK(t.origin.typed_at(4));
  CHECK(Origin().next_typed(0) == std::string::npos);
}

TEST_CASE("text: where the template's parts lie, and the next typed byte") {
  const Limits limits;
  Budget budget(limits);
  TextBuilder out(budget);
  out.put("ab", false);
  out.put("cd", true);
  out.put("ef", false);
  const Text t = out.take();
  CHECK(t.origin.turns() == 2);
  CHECK(t.origin.next_typed(0) == 2);
  CHECK(t.origin.next_typed(3) == 3);
  CHECK(t.origin.next_typed(4) == std::string::npos);
  CHECK(t.origin.template_part(1) == std::pair<std::size_t, std::size_t>(0, 2));
  CHECK(t.origin.template_part(5) == std::pair<std::size_t, std::size_t>(4, std::string::npos));
}

TEST_CASE("text: pieces put together at random keep their origins") {
  const Limits limits;
  Budget budget(limits);
  std::mt19937 rng(7);
  const auto pick = [&](std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n)(rng); };
  std::vector<std::pair<Text, Plain>> pool = {
      {Text{.bytes = "template"}, {"template", "........"}},
      {Text{.bytes = "typed", .origin = Origin::all_typed()}, {"typed", "ttttt"}}};
  for (int round = 0; round < 300; ++round) {
    TextBuilder out(budget);
    Plain plain;
    for (std::size_t n = pick(4); n > 0; --n) {
      const auto& [t, p] = pool[pick(pool.size() - 1)];
      const std::size_t from = pick(t.size());
      const std::size_t to = from + pick(t.size() - from);
      out.add(t, from, to);
      plain.bytes += p.bytes.substr(from, to - from);
      plain.marks += p.marks.substr(from, to - from);
    }
    Text t = out.take();
    check_same(t, plain);
    const Text copy = t;
    check_same(copy, plain);
    check_same(piece(t, t.size() / 3, t.size()), {plain.bytes.substr(t.size() / 3), plain.marks.substr(t.size() / 3)});
    if (t.size() < 200) pool.emplace_back(std::move(t), std::move(plain));
  }
}

TEST_CASE("text: repeated more often than memory allows is refused before it is made") {
  const Limits limits;
  Budget budget(limits);
  TextBuilder out(budget);
  out.repeat(Text{.bytes = "ab"}, 3);
  CHECK(out.take().bytes == "ababab");
  CHECK_THROWS_AS(out.repeat(Text{.bytes = "ab"}, SIZE_MAX / 2), Fault);
}
