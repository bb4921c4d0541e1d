#include "coordinator/ctl/load/report.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "common/svg/page.h"

using namespace sluice;
using namespace sluice::ctl::load;
using Catch::Contains;

namespace {

const char* const kHostile = "<script>alert('x')</script> & \"q\"";

RequestResult request(int i) {
  RequestResult r;
  r.input_tokens = 100;
  r.output_tokens = 3;
  r.start_s = i * 0.1;
  r.ttft_ms = 10 + i;
  r.itl_ms = {5, 7};
  r.e2el_ms = r.ttft_ms + 12;
  r.usage = true;
  r.explained = Explained{.profile = i % 2 == 0 ? "q8" : kHostile,
                          .kv_raw_bytes = 1000,
                          .kv_wire_bytes = 400,
                          .ttft_ms = 10.0,
                          .predicted_ttft_ms = 11.0};
  return r;
}

Step step(double rate) {
  std::vector<RequestResult> all;
  for (int i = 0; i < 40; ++i) all.push_back(request(i));
  RequestResult bad;
  bad.error = kHostile;
  bad.error_kind = "HTTP 429";
  all.push_back(bad);
  Goodput goal;
  goal.ttft = 30;
  Step s{.rate = rate, .summary = summarize(all, 4.5, goal)};
  s.summary.client.cpu_s = 0.012;
  return s;
}

Report report(bool ramp) {
  Report r;
  r.setup = {{"command", std::string("sluicectl bench ") + kHostile}, {"model", "m"}};
  r.steps = {step(ramp ? 1 : 0)};
  r.ramp = ramp;
  r.open_loop = ramp;
  if (ramp) r.steps.push_back(step(2));
  if (ramp) r.knee = knee_of(r.steps, 0.4);
  return r;
}

/// Tags are opened and closed in order, attributes are quoted, and nothing that could fetch or run is there.
void check_page(std::string_view html) {
  std::vector<std::string> open;
  for (auto at = html.find('<'); at != std::string_view::npos; at = html.find('<', at + 1)) {
    const auto end = html.find('>', at);
    REQUIRE(end != std::string_view::npos);
    const std::string_view tag = html.substr(at + 1, end - at - 1);
    CHECK(tag.find('<') == std::string_view::npos);
    CHECK(std::ranges::count(tag, '"') % 2 == 0);
    if (tag.starts_with('!') || tag.starts_with("meta") || tag.ends_with('/')) continue;
    const std::string name(tag.substr(tag.starts_with('/') ? 1 : 0, tag.find(' ') - (tag.starts_with('/') ? 1 : 0)));
    if (!tag.starts_with('/')) {
      open.push_back(name);
      continue;
    }
    REQUIRE_FALSE(open.empty());
    CHECK(open.back() == name);
    open.pop_back();
  }
  CHECK(open.empty());
  for (const char* no :
       {"<script", "http-equiv", "<img", "<link", "src=", "href=", "url(", "@import", "nan", "inf\""}) {
    CAPTURE(no);
    CHECK(html.find(no) == std::string_view::npos);
  }
}

}  // namespace

TEST_CASE("the page is well formed, asks for nothing from elsewhere, and shows foreign text as text") {
  for (const bool ramp : {false, true}) {
    CAPTURE(ramp);
    const std::string html = report_html(report(ramp));
    check_page(html);
    CHECK_THAT(html, Contains("&lt;script&gt;") && Contains("HTTP 429") && Contains("prefers-color-scheme:dark") &&
                         Contains("width=device-width") && Contains("SLO 30 ms"));
    CHECK_THAT(html, Contains(ramp ? "Knee" : "Over time"));
  }
}

TEST_CASE("a test in which nothing completed still has a page") {
  Report r;
  r.steps = {{.rate = 0, .summary = summarize({}, 0, {})}};
  check_page(report_html(r));
  RequestResult bad;
  bad.error = "no";
  r.steps = {{.rate = 0, .summary = summarize({bad, bad}, 1, {})}};
  check_page(report_html(r));
  CHECK(report_json(r)["errors"]["other"] == 2);
}

TEST_CASE("JSON has what vLLM's benchmark calls its figures, and what is ours") {
  const auto j = report_json(report(false));
  for (const char* name : {"completed",
                           "failed",
                           "clipped",
                           "duration",
                           "latest_start_ms",
                           "total_input_tokens",
                           "total_output_tokens",
                           "request_throughput",
                           "output_throughput",
                           "total_token_throughput",
                           "request_goodput",
                           "first_error",
                           "mean_ttft_ms",
                           "median_ttft_ms",
                           "p90_ttft_ms",
                           "p95_ttft_ms",
                           "p99_ttft_ms",
                           "mean_tpot_ms",
                           "p99_itl_ms",
                           "median_e2el_ms"}) {
    CAPTURE(name);
    CHECK(j.contains(name));
  }
  CHECK(j["errors"]["HTTP 429"] == 1);
  CHECK(j["slo_attainment"].get<double>() == Approx(21.0 / 41));
  CHECK(j["client_cpu_us_per_token"].get<double>() == Approx(100));
  CHECK(j["tokens_counted_by"] == "usage");
  CHECK(j["latency_from"] == "sent");
  CHECK(j["sluice"]["profiles"]["q8"] == 20);
  CHECK(j["sluice"]["kv_bytes_saved"] == 40 * 600);
  CHECK(j["sluice"]["median_ttft_prediction_error"].get<double>() == Approx(0.1));
  const auto ramp = report_json(report(true));
  CHECK(ramp["rates"].size() == 2);
  CHECK(ramp["rates"][1]["rate"] == 2);
  CHECK(ramp["knee"]["rate"] == 2);
  CHECK(ramp["latency_from"] == "due");
}

TEST_CASE("readers are told what the figures cannot say themselves") {
  Report r = report(true);
  CHECK_THAT(notes_of(r).at(0), Contains("coordinated omission"));
  for (Step& s : r.steps) s.summary.without_usage = s.summary.completed;
  CHECK(token_source(r.steps[0].summary) == "chunks");
  r.steps[0].summary.client.cpu_s = 4;
  const auto notes = notes_of(r);
  REQUIRE(notes.size() == 3);
  CHECK_THAT(notes[1], Contains("no usage"));
  CHECK_THAT(notes[2], Contains("load generator"));
  CHECK_THAT(report_text(r), Contains("knee: 2 requests/s") && Contains("note: "));
}

TEST_CASE("slices say what happened when") {
  const auto s = step(0).summary;
  std::size_t started = 0;
  double tokens = 0;
  for (const Slice& x : s.slices) {
    started += x.started;
    tokens += x.output_tokens;
    CHECK(x.to_s <= 4.5);
  }
  CHECK(started == 40);
  CHECK(tokens == Approx(120));
  CHECK(s.slices.front().ttft_p50_ms == Approx(11));  // requests 0 to 2 of 10 a second in a quarter of a second
}
