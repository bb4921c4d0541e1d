#include "coordinator/ctl/doctor/program.h"

#include <catch2/catch.hpp>

using namespace sluice;
using namespace sluice::ctl::doctor;
using namespace std::chrono_literals;

TEST_CASE("what a program prints, with its own environment") {
  CHECK(output_of({.argv = {"sh", "-c", "echo $DOCTOR; echo no >&2"}, .env = {{"DOCTOR", "yes"}}}) == "yes\n");
}

TEST_CASE("programs that are not there, fail, hang or flood") {
  const auto code = [](const Program& p) { return output_of(p).error().code; };
  CHECK(code({.argv = {"/none/such"}}) == Errc::not_found);
  CHECK(code({.argv = {"sh", "-c", "exit 3"}}) == Errc::unavailable);
  CHECK(code({.argv = {"sleep", "60"}, .limit = 100ms}) == Errc::deadline_exceeded);
  CHECK(code({.argv = {"yes"}, .max_bytes = 1000}) == Errc::data_corrupt);
}

TEST_CASE("one beside us ends with the scope") {
  const auto begun = std::chrono::steady_clock::now();
  {
    const Beside b({.argv = {"sleep", "60"}});
    CHECK(b.started());
  }
  CHECK(std::chrono::steady_clock::now() - begun < 10s);
  CHECK_FALSE(Beside({.argv = {"/none/such"}}).started());
}
