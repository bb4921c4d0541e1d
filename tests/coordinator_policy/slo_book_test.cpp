#include "coordinator/policy/slo_book.h"

#include <catch2/catch.hpp>

using namespace sluice;
using namespace sluice::coordinator;
using nlohmann::json;

TEST_CASE("a class starts as the default and takes what is set") {
  SloBook book(Slo{.ttft_s = 1, .tpot_s = 0.1});
  REQUIRE(book.change("default", {{"ttft_ms", 300}, {"tpot_ms", 40}, {"attainment", 0.95}, {"quality_kl", 0.02}}));
  REQUIRE(book.change("batch", {{"ttft_ms", 5000}, {"priority", 10}}));
  CHECK(book.defaults().ttft_s == Approx(0.3));
  const auto batch = book.find("batch");
  REQUIRE(batch);
  CHECK(batch->ttft_s == Approx(5));
  CHECK(batch->tpot_s == Approx(0.04));
  CHECK(batch->quality_kl == Approx(0.02));
  CHECK(batch->priority == 10);
}

TEST_CASE("a class may relax the rule for seeds, and keeps that") {
  SloBook book(Slo{});
  CHECK(book.defaults().objective == Objective::quality);
  REQUIRE(book.change("draft", {{"objective", "latency"}}));
  CHECK(book.find("draft")->objective == Objective::latency);
  CHECK(book.change("draft", {{"objective", "speed"}}).error().param == "objective");
  REQUIRE(book.change("draft", {{"seeded_lossy", true}}));
  CHECK(book.find("draft")->seeded_lossy);
  CHECK_FALSE(book.defaults().seeded_lossy);
  SloBook again(Slo{});
  REQUIRE(again.restore(json::parse(book.to_json().dump())));
  CHECK(again.find("draft")->seeded_lossy);
  const auto wrong = book.change("draft", {{"seeded_lossy", "yes"}});
  REQUIRE_FALSE(wrong);
  CHECK(wrong.error().param == "seeded_lossy");
}

TEST_CASE("an unknown class is named together with those there are") {
  SloBook book(Slo{});
  REQUIRE(book.change("gold", {{"ttft_ms", 100}}));
  const auto none = book.find("silver");
  REQUIRE_FALSE(none);
  CHECK(none.error().code == Errc::not_found);
  CHECK(none.error().message.find("default, gold") != std::string::npos);
}

TEST_CASE("a wrong change changes nothing and names the setting") {
  SloBook book(Slo{});
  const json before = book.to_json();
  for (const auto& [name, settings, param] :
       std::vector<std::tuple<std::string, json, std::string>>{{"gold", {{"ttft", 1}}, "ttft"},
                                                               {"gold", {{"ttft_ms", -1}}, "ttft_ms"},
                                                               {"gold", {{"attainment", 2}}, "attainment"},
                                                               {"gold", {{"priority", "high"}}, "priority"},
                                                               {"Gold!", {{"ttft_ms", 1}}, "class"},
                                                               {"", {{"ttft_ms", 1}}, "class"}}) {
    const auto r = book.change(name, settings);
    REQUIRE_FALSE(r);
    CHECK(r.error().code == Errc::invalid_argument);
    CHECK(r.error().param == param);
  }
  CHECK(book.to_json() == before);
}

TEST_CASE("classes are bounded, the default stays") {
  SloBook book(Slo{});
  for (std::size_t i = 1; i < SloBook::kMaxClasses; ++i) REQUIRE(book.change(fmt::format("c{}", i), {{"ttft_ms", 1}}));
  CHECK_FALSE(book.change("one-more", {{"ttft_ms", 1}}));
  CHECK(book.change("c1", {{"ttft_ms", 2}}));
  CHECK(book.remove("c1"));
  CHECK_FALSE(book.remove("c1"));
  CHECK_FALSE(book.remove("default"));
}

TEST_CASE("classes come back from their JSON, all or none") {
  SloBook book(Slo{});
  REQUIRE(book.change("gold", {{"ttft_ms", 100}, {"priority", -5}}));
  SloBook again(Slo{.ttft_s = 9});
  REQUIRE(again.restore(json::parse(book.to_json().dump())));
  CHECK(again.to_json() == book.to_json());
  json broken = book.to_json();
  broken["gold"]["tpot_ms"] = "x";
  SloBook kept(Slo{.ttft_s = 9});
  CHECK_FALSE(kept.restore(broken));
  CHECK(kept.defaults().ttft_s == 9);
}
