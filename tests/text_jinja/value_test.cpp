// Numbers and dicts of the template language, where a template does not reach them easily.
#include <catch2/catch.hpp>

#include "text/jinja/characters.h"
#include "text/jinja/dict.h"
#include "text/jinja/from_json.h"
#include "text/jinja/number.h"

using namespace sluice::text::jinja;

namespace {

struct Fixture {
  Limits limits;
  Budget budget{limits};
  [[nodiscard]] Value text(const std::string& s) { return Value::string(s, budget); }
};

}  // namespace

TEST_CASE("numbers: a quotient of integers of any size is the nearest double") {
  CHECK(divide(1, 3) == 1.0 / 3);
  CHECK(divide(-7, 2) == -3.5);
  CHECK(divide(Integer("9007199254740993"), 1) == 9007199254740992.0);  // a tie goes to the even one
  CHECK(divide(Integer("9007199254740995"), 1) == 9007199254740996.0);
  CHECK(divide(Integer("18014398509481986001"), 2000) == 9007199254740994.0);  // just above a tie
  CHECK(to_double(Integer("123456789012345678901234567890")) == 123456789012345678901234567890.0);
  CHECK(divide(0, 5) == 0);
}

TEST_CASE("numbers: rounding looks at the exact value") {
  CHECK(round_float(2.675, 2) == 2.67);
  CHECK(round_float(0.5, 0) == 0.0);
  CHECK(round_float(1.5, 0) == 2.0);
  CHECK(round_float(1250.0, -2) == 1200.0);
  CHECK(round_float(1250.5, -2) == 1300.0);
  CHECK(round_float(-0.4, 0) == 0.0);
  CHECK(std::signbit(round_float(-0.4, 0)));
  CHECK(round_float(1e300, 400) == 1e300);
  CHECK(round_float(1e300, -400) == 0.0);
}

TEST_CASE_METHOD(Fixture, "numbers: integers of JSON keep their digits") {
  const auto j =
      parse_exact(R"([12345678901234567890123, -12345678901234567890123, 18446744073709551615, 1.5, 1e30, 7])");
  REQUIRE(j);
  const Value v = from_json(*j, Writer::client, budget);
  CHECK(repr(v, budget).bytes ==
        "[12345678901234567890123, -12345678901234567890123, 18446744073709551615, 1.5, 1e+30, 7]");
  CHECK_FALSE(parse_exact("[1"));
  CHECK_FALSE(parse_exact(R"({"a": 1} x)"));
  const auto ordered = parse_exact(R"({"z": 1, "a": {"y": null}})");
  CHECK(ordered.value().dump() == R"({"z":1,"a":{"y":null}})");
  CHECK_FALSE(parse_exact(std::string(5000, '7')));  // JSON's reader itself has a limit
}

TEST_CASE_METHOD(Fixture, "dicts: equal keys of different kinds are one, and each is found among many") {
  Dict d;
  for (int i = 0; i < 1000; ++i) {
    d.set(Value::integer(i), Value::integer(-i), budget);
    d.set(text(std::to_string(i)), Value::integer(i), budget);
  }
  d.set(Value::real(7.0), text("seven"), budget);
  d.set(Value::boolean(true), text("one"), budget);
  d.set(Value::none(), text("none"), budget);
  CHECK(d.size() == 2001);
  CHECK(d.find(Value::integer(7), budget)->str()->bytes == "seven");
  CHECK(d.find(Value::integer(1), budget)->str()->bytes == "one");
  CHECK(d.find("7")->as_int() == 7);
  CHECK(d.find("1000") == nullptr);
  CHECK(d.find(Value::real(7.5), budget) == nullptr);
  CHECK(d.items()[14].key.as_int() == 7);  // an equal key keeps its place
  CHECK_THROWS_AS(d.set(Value::list({}, budget), Value(), budget), Fault);
  CHECK_THROWS_AS(d.find(Value::dict({}, budget), budget), Fault);
}

TEST_CASE("characters: lone surrogates are one each, other ill-formed bytes come one by one") {
  std::string s = "a";
  append_character(s, 0xD83D);
  append_character(s, U'\u00e9');
  s += '\xFF';
  CHECK(character_count(s) == 4);
  CHECK(character_at(s, 1).code == 0xD83D);
  CHECK(character_at(s, 1).length == 3);
  CHECK(character_at(s, 4).code == U'\u00e9');
  CHECK(character_at(s, 6).length == 1);
  CHECK(last_character("a\xED\xA0\xBD") == 1);
  CHECK(named_character("em dash") == U'\u2014');
  CHECK_FALSE(named_character("no such name"));
}
