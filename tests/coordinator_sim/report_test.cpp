#include "coordinator/sim/report.h"

#include <catch2/catch.hpp>
#include <cmath>

using namespace sluice::sim;

TEST_CASE("a summary counts refused requests against attainment") {
  SimResult r;
  r.end_s = 10;
  for (int i = 0; i < 10; ++i)
    r.requests.push_back({.at_s = static_cast<float>(i),
                          .ttft_s = i == 0 ? -1.0F : 0.1F * static_cast<float>(i),
                          .tpot_s = 0.01F,
                          .e2e_s = 1,
                          .predicted_ttft_s = 0.1F * static_cast<float>(i),
                          .met = i > 0 && i < 6,
                          .rejected = i == 0,
                          .raw_bytes = 100,
                          .wire_bytes = 25});
  const Summary s = summarize(r, 5);
  CHECK(s.refused == 1);
  CHECK(s.rejected == 1);
  CHECK(s.attainment == Approx(0.5));
  CHECK(s.goodput_per_s == Approx(0.5));
  CHECK(s.goodput_per_node_s == Approx(0.1));
  CHECK(s.ttft_p50_s == Approx(0.5));
  CHECK(s.e2e_mean_s == Approx(1));
  CHECK(s.bytes_saved == Approx(0.75));
  CHECK(s.prediction_error == Approx(0));
}

TEST_CASE("regret is to the best of the others in each interval") {
  const double none = NAN;
  CHECK(regret({1, 1}, {{1, 4}, {4, 1}}) == Approx(0));
  CHECK(regret({1, 4}, {{1, 4}, {4, 1}}) == Approx(1.5));
  CHECK(regret({2, none, 2}, {{1, 1, none}, {none, 1, 1}}) == Approx(1));
  CHECK(regret({}, {}) == 0);
}

TEST_CASE("intervals without requests are not numbers") {
  SimResult r;
  r.requests.push_back({.at_s = 0.5F, .ttft_s = 1});
  r.requests.push_back({.at_s = 2.5F, .ttft_s = -1});
  const auto v = by_interval(r, 1, 30);
  REQUIRE(v.size() == 3);
  CHECK(v[0] == 1);
  CHECK(std::isnan(v[1]));
  CHECK(v[2] == 30);
}

TEST_CASE("a chart is an SVG whatever its points are") {
  Chart c{"t", "x", "y", {{"a", {{1, 1}, {2, NAN}, {3, 2}}}, {"b", {}}}, true, true};
  const std::string svg = to_svg(c);
  CHECK(svg.starts_with("<svg"));
  CHECK(svg.find("nan") == std::string::npos);
  CHECK(to_svg({}).ends_with("</svg>\n"));
  const std::string named =
      to_svg({"R&D <b>", "x", "y", {{"a<b", {{1, 1}}}}, false, false, {{1, 1, "#123456", "<&>"}}});
  CHECK(named.find("R&amp;D &lt;b&gt;") != std::string::npos);
  CHECK(named.find("a&lt;b") != std::string::npos);
  CHECK(named.find("&lt;&amp;&gt;") != std::string::npos);
}

TEST_CASE("a chart is as wide as its names are long") {
  const auto width = [](const std::string& name) {
    const std::string svg = to_svg({"t", "x", "y", {{name, {{1, 1}, {2, 2}}}}});
    return std::stod(svg.substr(svg.find("viewBox=\"0 0 ") + 13));
  };
  CHECK(width("a") == 720);
  CHECK(width(std::string(60, 'a')) > 720 + 200);
}

TEST_CASE("dots stand where both axes take them, with their labels and the notes") {
  Chart c{.title = "t", .x = "x", .y = "y", .log_y = true};
  c.dots = {{1, 1, "#123456", "one"}, {2, 10, "#654321", ""}, {3, 0, "#ffffff", "left out"}};
  c.notes = {{"#abcdef", "a note"}};
  const std::string svg = to_svg(c);
  CHECK(svg.find("fill=\"#123456\"/><text") != std::string::npos);
  CHECK(svg.find("one</text>") != std::string::npos);
  CHECK(svg.find("left out") == std::string::npos);
  CHECK(svg.find("a note") != std::string::npos);
  CHECK(sluice::svg::heat(0) == "#440154");
  CHECK(sluice::svg::heat(2) == sluice::svg::heat(1));
}
