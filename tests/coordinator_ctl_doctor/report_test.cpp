#include "coordinator/ctl/doctor/report.h"

#include <catch2/catch.hpp>

#include "coordinator/ctl/doctor/doctor.h"

using namespace sluice::ctl::doctor;

namespace {

Finding finding(Severity s, const std::string& area, const std::string& subject, const std::string& found = "f") {
  return {s, "id", area, subject, found, s > Severity::ok ? "because" : "", s > Severity::note ? "--flag" : ""};
}

}  // namespace

TEST_CASE("exit codes") {
  CHECK(exit_code({}) == 0);
  CHECK(exit_code({finding(Severity::ok, "a", "x"), finding(Severity::note, "a", "x")}) == 0);
  CHECK(exit_code({finding(Severity::warning, "a", "x"), finding(Severity::note, "a", "x")}) == 1);
  CHECK(exit_code({finding(Severity::warning, "a", "x"), finding(Severity::error, "a", "x")}) == 2);
}

TEST_CASE("areas in order, the worst first, and colour only where it is asked for") {
  Report r;
  r.findings = {finding(Severity::ok, "A", "one"), finding(Severity::error, "B", "two"),
                finding(Severity::warning, "A", "three")};
  CHECK(report_text(r, false) ==
        "A\n  warning three: f\n          why: because\n          set: --flag\n  ok      one: f\n\n"
        "B\n  error   two: f\n          why: because\n          set: --flag\n\n"
        "1 error, 1 warning, 0 notes, 1 ok\n");
  CHECK(report_text(r, true).find("\x1b[31merror") != std::string::npos);
}

TEST_CASE("names of others do not steer the terminal, and long words are cut and wrapped") {
  Report r;
  std::string words(100000, 'x');
  words.push_back(' ');
  r.findings = {finding(Severity::ok, "A", "\x1b[2J", words)};
  const std::string text = report_text(r, false);
  CHECK(text.find('\x1b') == std::string::npos);
  CHECK(text.size() < 5000);
  r.findings = {finding(
      Severity::ok, "A", "s",
      "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen")};
  for (std::size_t at = 0, end = 0; (end = report_text(r, false).find('\n', at)) != std::string::npos; at = end + 1)
    CHECK(end - at <= 100);
}

TEST_CASE("as data") {
  Report r;
  r.findings = {finding(Severity::warning, "A", "x")};
  r.measured["links"] = nlohmann::json::array();
  const auto j = report_json(r);
  CHECK(j["worst"] == "warning");
  CHECK(j["counts"] == nlohmann::json({{"ok", 0}, {"note", 0}, {"warning", 1}, {"error", 0}}));
  CHECK(j["findings"][0] == nlohmann::json({{"severity", "warning"},
                                            {"id", "id"},
                                            {"area", "A"},
                                            {"subject", "x"},
                                            {"found", "f"},
                                            {"why", "because"},
                                            {"set", "--flag"}}));
  CHECK(j.contains("links"));
}

TEST_CASE("what is the same of several subjects is said once") {
  const Findings all =
      merged({finding(Severity::ok, "A", "p0"), finding(Severity::ok, "A", "d0"), finding(Severity::ok, "A", "d0"),
              finding(Severity::ok, "B", "d0"), finding(Severity::ok, "A", "d1", "other")});
  REQUIRE(all.size() == 3);
  CHECK(all[0].subject == "p0, d0");
}
