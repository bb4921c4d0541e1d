#include "common/json/reader.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "common/ids.h"

using namespace sluice;
using nlohmann::json;

namespace {

enum class Mode { fast, safe };
constexpr Named<Mode> kModes[] = {{"fast", Mode::fast}, {"safe", Mode::safe}};

struct Refusal {
  std::string message, param;
  JsonMistake mistake{};
};

/// Reads `j` with `read`, which must find a mistake.
template <class F>
Refusal refused(const json& j, F&& read, JsonRules rules = {}) {
  JsonReader in(j, std::move(rules));
  JsonObject f = in.object();
  read(f);
  REQUIRE_FALSE(in.done());
  return {in.done().error().message, in.done().error().param, in.mistake()};
}

/// What is said of `v` as field "x" read into a T.
template <class T, class... L>
std::string said(const json& v, const L&... limits) {
  T kept{};
  const json j{{"x", v}};
  const Refusal r = refused(j, [&](JsonObject& f) {
    T out{};
    CHECK_FALSE(f.want("x").into(out, limits...));
    CHECK(out == kept);
  });
  CHECK(r.param == "x");
  return r.message;
}

template <class T, class... L>
T read(const json& v, JsonRules rules, const L&... limits) {
  T out{};
  const json j{{"x", v}};
  JsonReader in(j, std::move(rules));
  JsonObject f = in.object();
  CHECK(f.need("x").into(out, limits...));
  CHECK(in.done());
  return out;
}

}  // namespace

TEST_CASE("every kind of value is read, and nothing else is taken for it") {
  CHECK(read<bool>(true, {}));
  CHECK(said<bool>(1) == "'x' must be true or false, not 1");
  CHECK(said<bool>("true") == "'x' must be true or false, not a string");

  CHECK(read<std::string>("a", {}) == "a");
  CHECK(said<std::string>(1) == "'x' must be a string, not 1");
  CHECK(said<std::string>("abcd", Length{1, 3}) == "'x' must be 1 to 3 bytes long, not 4");
  CHECK(said<std::string>("", Length{.least = 1}) == "'x' must be at least 1 bytes long, not 0");
  CHECK(said<std::string>("abc", Length{2, 2}) == "'x' must be exactly 2 bytes long, not 3");

  CHECK(read<int>(-3, {}) == -3);
  CHECK(said<int>(true) == "'x' must be a whole number, not a boolean");
  CHECK(said<int>("5") == "'x' must be a whole number, not a string");
  CHECK(said<int>(5.0) == "'x' must be a whole number, not 5.0");
  CHECK(said<int>(9, NumberRange<int>{.least = 1, .most = 8}) == "'x' must be a whole number from 1 to 8, not 9");
  CHECK(said<int>(-5, NumberRange<int>{.least = -1}) == "'x' must be a whole number of at least -1, not -5");
  CHECK(said<std::uint32_t>(1ULL << 32) == "'x' must be a whole number from 0 to 4294967295, not 4294967296");
  CHECK(said<std::uint32_t>(-1) == "'x' must be a whole number of at least 0, not -1");
  CHECK(said<int>(0, NumberRange<int>{.above = 0}) == "'x' must be a whole number of at least 1, not 0");

  CHECK(read<double>(1, {}) == 1.0);
  CHECK(said<double>("1") == "'x' must be a number, not a string");
  CHECK(said<double>(json(NAN)) == "'x' must be a number, not nan");
  CHECK(said<double>(json(INFINITY)) == "'x' must be a number, not inf");
  CHECK(said<double>(-0.5, NumberRange<double>{.least = 0, .most = 2}) == "'x' must be a number from 0 to 2, not -0.5");
  CHECK(said<double>(0, NumberRange<double>{.above = 0}) == "'x' must be a number above 0, not 0");
  CHECK(said<double>(3, NumberRange<double>{.most = 1, .above = 0}) ==
        "'x' must be a number above 0 and at most 1, not 3");
  CHECK(said<float>(1e300) == "'x' must be a number, not 1e+300");

  CHECK(read<Mode>("safe", {}, kModes) == Mode::safe);
  CHECK(said<Mode>("slow", kModes) == "'x' must be one of fast, safe, not 'slow'");
  CHECK(said<Mode>(1, kModes) == "'x' must be a string, not 1");

  CHECK(read<RequestId>(7, {}) == RequestId(7));
  CHECK(read<NodeId>("p0", {}) == NodeId("p0"));
  CHECK(said<NodeId>("", Length{1, 128}) == "'x' must be 1 to 128 bytes long, not 0");

  CHECK(read<std::optional<int>>(3, {}) == 3);
  CHECK(read<json>({{"any", "thing"}}, {})["any"] == "thing");
}

TEST_CASE("the whole range of 64 bits is read exactly") {
  constexpr auto kTop = std::numeric_limits<std::uint64_t>::max();
  constexpr auto kLow = std::numeric_limits<std::int64_t>::min();
  CHECK(read<std::uint64_t>(kTop, {}) == kTop);
  CHECK(read<std::int64_t>(kLow, {}) == kLow);
  CHECK(said<std::int64_t>(kTop).find("18446744073709551615") != std::string::npos);
}

TEST_CASE("floats are whole numbers only where the rules say so") {
  CHECK(read<int>(1e3, {.whole_floats = true}) == 1000);
  const json half{{"x", 1.5}}, huge{{"x", 1e30}};
  for (const json& j : {half, huge}) {
    const auto r = refused(j,
                           [](JsonObject& f) {
                             std::uint64_t out = 0;
                             f.want("x").into(out);
                           },
                           {.whole_floats = true});
    CHECK(r.mistake == JsonMistake::type);
  }
}

TEST_CASE("lists are read whole or not at all, within their bounds") {
  CHECK(read<std::vector<int>>({1, 2}, {}, Length{}) == std::vector{1, 2});
  CHECK(read<std::vector<std::string>>({"a"}, {}, Length{1, 2}, Length{1, 8}) == std::vector<std::string>{"a"});
  CHECK(said<std::vector<int>>({{"a", 1}}, Length{}) == "'x' must be a list, not an object");
  CHECK(said<std::vector<int>>({1, 2, 3}, Length{.most = 2}) == "'x' must hold at most 2 items, not 3");
  const json j{{"x", {1, "2"}}};
  std::vector<int> out{7};
  const auto r = refused(j, [&](JsonObject& f) { f.want("x").into(out, Length{}, {.least = 0}); });
  CHECK(r.message == "'x[1]' must be a whole number of at least 0, not a string");
  CHECK(r.param == "x[1]");
  CHECK(out == std::vector{7});
}

TEST_CASE("errors name the way to the value, and the document") {
  const json j{{"a", {{"list", {{{"role", "user"}}, {{"role", 5}}}}}}};
  const auto r = refused(j,
                         [](JsonObject& f) {
                           JsonObject a = f.need("a").object();
                           a.need("list").each({}, [](const JsonValue& v) {
                             JsonObject item = v.object();
                             std::string role;
                             item.need("role").into(role);
                           });
                         },
                         {.what = "chat", .code = Errc::data_corrupt});
  CHECK(r.message == "chat: 'a.list[1].role' must be a string, not 5");
  CHECK(r.param == "a.list[1].role");
  CHECK(r.mistake == JsonMistake::type);
}

TEST_CASE("missing, absent and null are told apart") {
  const json j{{"null", nullptr}, {"deep", {{"x", 1}}}};
  int out = 7;
  CHECK(refused(j, [&](JsonObject& f) { f.need("gone").into(out); }).message == "'gone' is missing");
  CHECK(refused(j, [&](JsonObject& f) { f.need("null").into(out); }).mistake == JsonMistake::missing);
  CHECK(refused(j, [&](JsonObject& f) { f.want("null").into(out); }, {.null_is_absent = false}).message ==
        "'null' must be a whole number, not null");
  JsonReader in(j, {});
  JsonObject f = in.object();
  f.want("null").into(out);
  f.want("gone").into(out);
  JsonObject none = f.want("gone").object();  // of an absent object nothing is missed
  none.need("x").into(out);
  CHECK_FALSE(none.present());
  CHECK(f.mentions("null"));
  CHECK_FALSE(f.has("null"));
  CHECK(in.done());
  CHECK(out == 7);
  CHECK(refused(j, [&](JsonObject& o) {
          JsonObject deep = o.need("deep").object();
          deep.need("y").into(out);
        }).param == "deep.y");
}

TEST_CASE("an unknown field is refused by name, with the one that was meant") {
  const json j{{"levels", 3}, {"steps", {{"lvl", 1}}}};
  const auto r = refused(j, [](JsonObject& f) {
    f.ignore({"steps"});
    (void)f.has("level");
    f.closed();
  });
  CHECK(r.message == "unknown field 'levels'; did you mean 'level'?");
  CHECK(r.param == "levels");
  CHECK(r.mistake == JsonMistake::unknown);
  CHECK(refused(j, [](JsonObject& f) {
          JsonObject steps = f.want("steps").object();
          (void)steps.has("at");
          steps.closed();
        }).message == "unknown field 'steps.lvl'; known are at");
}

TEST_CASE("the first mistake is kept, and what comes after it is left alone") {
  const json j{{"a", "x"}, {"b", 2}, {"list", {1, 2}}};
  int b = 0, items = 0;
  const auto r = refused(j, [&](JsonObject& f) {
    f.need("a").into(b);
    f.need("gone").into(b);
    f.need("b").into(b);
    f.need("list").each({}, [&](const JsonValue&) { ++items; });
    f.refuse("b", "too late");
    f.need("b").wrong("too late");
    f.closed();
  });
  CHECK(r.param == "a");
  CHECK(b == 0);
  CHECK(items == 0);
}

TEST_CASE("a caller's own rules name the field too") {
  const json j{{"o", {{"n", 3}}}};
  CHECK(refused(j, [](JsonObject& f) {
          JsonObject o = f.need("o").object();
          o.need("n").wrong("must be even, not {}", 3);
        }).message == "'o.n' must be even, not 3");
  const auto r = refused(j,
                         [](JsonObject& f) {
                           JsonObject o = f.need("o").object();
                           o.refuse("n", "n and m exclude each other");
                         },
                         {.what = "form"});
  CHECK(r.message == "form: n and m exclude each other");
  CHECK(r.param == "o.n");
}

TEST_CASE("objects whose names are data are read field by field; hostile names are clipped") {
  const json j{{"codecs", {{"raw", 1}, {"zip", "x"}}}};
  std::string seen;
  const auto r = refused(j, [&](JsonObject& f) {
    f.need("codecs").members({}, [&](const std::string& name, const JsonValue& v) {
      int out = 0;
      seen += name;
      v.into(out);
    });
  });
  CHECK(seen == "rawzip");
  CHECK(r.param == "codecs.zip");
  const json hostile{{std::string(100'000, 'x'), 1}};
  CHECK(refused(hostile, [](JsonObject& f) { f.closed(); }).message.size() < 200);
  CHECK(refused({{"m", {1}}}, [](JsonObject& f) { f.need("m").members({}, [](auto&&...) {}); }).message ==
        "'m' must be an object, not a list");
}

TEST_CASE("a document that is no object is refused, whatever is read of it") {
  for (const json& j : {json(), json(5), json::array()}) {
    const auto r = refused(j,
                           [](JsonObject& f) {
                             int out = 0;
                             f.need("x").into(out);
                             f.closed();
                           },
                           {.what = "the ticket"});
    CHECK(r.message.starts_with("the ticket: must be an object, not "));
    CHECK(r.param.empty());
  }
}
