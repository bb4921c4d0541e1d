#include "common/json/parse.h"

#include <catch2/catch.hpp>

using namespace sluice;
using Catch::Contains;
using nlohmann::json;

namespace {

std::string refusal(std::string_view text, const JsonText& as = {.what = "the file"}) {
  const auto r = parse_json_object(text, as);
  REQUIRE_FALSE(r);
  CHECK(r.error().code == as.code);
  return r.error().message;
}

}  // namespace

TEST_CASE("what is no JSON is refused with the place and, where it is known, the reason") {
  CHECK_THAT(refusal(""), Contains("the file is not valid JSON (at byte 0)"));
  CHECK_THAT(refusal(R"({"a": nul})"), Contains("at byte"));
  CHECK_THAT(refusal(R"({"a": NaN})"), Contains("no NaN or Infinity"));
  CHECK_THAT(refusal(R"({"a": 1e999})"), Contains("too large"));
  CHECK_THAT(refusal("{\"a\": \"\xff\"}"), Contains("UTF-8"));
  CHECK_THAT(refusal("[]"), Contains("must be a JSON object, not a list"));
  CHECK_THAT(refusal("{} {}"), Contains("not valid JSON"));
}

TEST_CASE("length and nesting are bounded before anything is built") {
  CHECK_THAT(refusal("{\"a\": 1}", {.what = "x", .code = Errc::data_corrupt, .max_bytes = 7}), Contains("at most 7"));
  const std::string deep = "{\"a\": " + std::string(64, '[') + std::string(64, ']') + "}";
  CHECK_THAT(refusal(deep), Contains("64 levels"));
  CHECK(parse_json(deep, {.max_depth = 65}));
  CHECK_THAT(refusal(std::string(10'000'000, '[')), Contains("64 levels"));
  CHECK(parse_json(R"({"a": "[[[[\"[["})", {.max_depth = 1}));  // brackets in a string nest nothing
}

TEST_CASE("a field given twice: the last counts, or it is refused by name") {
  CHECK((*parse_json(R"({"a": 1, "a": 2})"))["a"] == 2);
  const JsonText once{.what = "the file", .refuse_repeated = true};
  CHECK_THAT(refusal(R"({"b": {"a": 1, "c": {"a": 3}, "a": 2}})", once), Contains("'a' is given twice"));
  CHECK(parse_json(R"([{"a": 1}, {"a": {"a": 2}}, {"a": 3}])", once));
}

TEST_CASE("comments are skipped where they are allowed") {
  CHECK_FALSE(parse_json("{} // no"));
  CHECK(parse_json("{} // yes", {.comments = true}));
}
