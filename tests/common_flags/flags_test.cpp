// Programs are scripted: a value that makes no sense ends the program at its start, with the flag's name and the bound.
#include "common/flags/flags.h"

#include <catch2/catch.hpp>

#include "common/flags/program.h"

using namespace sluice;

namespace {

std::string refusal(flags::App& app, const std::vector<std::string>& arguments) {
  try {
    app.parse(arguments);
  } catch (const std::exception& e) {
    return e.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("flags fill values of every type that programs use") {
  std::string text;
  int whole = 0;
  std::uint64_t large = 0;
  double real = 0;
  bool flag = false;
  std::optional<int> absent, given;
  std::vector<double> list;
  std::vector<std::string> words;
  std::string seen;
  flags::App app("test");
  app.add_option("--text", text, "");
  app.add_option("--whole", whole, "");
  app.add_option("--large", large, "");
  app.add_option("--real", real, "");
  app.add_flag("--flag", flag, "");
  app.add_option("--absent", absent, "");
  app.add_option("--given", given, "");
  app.add_option("--list", list, "")->delimiter(',');
  app.add_option("words", words, "");
  app.add_option_function("--seen", [&](const std::string& v) { seen = v; }, "");
  app.parse({"--text", "a b", "--whole=-3", "--large", "18446744073709551615", "--real", "1e-3", "--flag", "--given",
             "7", "--list", "1,2.5", "--seen", "007", "x", "y"});
  CHECK(text == "a b");
  CHECK(whole == -3);
  CHECK(large == 18446744073709551615ULL);
  CHECK(real == 1e-3);
  CHECK(flag);
  CHECK_FALSE(absent);
  CHECK(given == 7);
  CHECK(list == std::vector<double>{1, 2.5});
  CHECK(seen == "007");
  CHECK(words == std::vector<std::string>{"x", "y"});
}

TEST_CASE("values outside their bounds are refused with the flag's name") {
  const auto with = [](const flags::Check& check, const std::string& value) {
    std::string v;
    flags::App app("test");
    app.add_option("--v", v, "")->check(check);
    return refusal(app, {"--v=" + value});
  };
  CHECK(with(flags::range(1, 64), "64") == "accepted");
  CHECK_THAT(with(flags::range(1, 64), "65"), Catch::Contains("--v") && Catch::Contains("1 to 64"));
  CHECK_THAT(with(flags::range(0, 1e-3), "0.01"), Catch::Contains("0 to 0.001"));
  for (const char* wrong : {"", "x", "nan", "inf", "-1"}) {
    CAPTURE(wrong);
    CHECK_THAT(with(flags::range(0, 10), wrong), Catch::Contains("--v"));
  }
  CHECK_THAT(with(flags::positive(), "0"), Catch::Contains("--v"));
  CHECK(with(flags::non_negative(), "0") == "accepted");
  CHECK_THAT(with(flags::one_of({"a", "b"}), "c"), Catch::Contains("--v"));
  CHECK_THAT(with(flags::existing_file(), "/does/not/exist"), Catch::Contains("--v"));
  CHECK_THAT(with(flags::existing_directory(), "/does/not/exist"), Catch::Contains("--v"));
}

TEST_CASE("a subcommand runs when it is named, and its parent's flags may follow it") {
  std::string url, node;
  std::string ran;
  flags::App app("test");
  app.require_subcommand(1);
  app.add_option("--url", url, "");
  flags::App* drain = app.add_subcommand("drain", "")->fallthrough()->callback([&] { ran = "drain"; });
  drain->add_option("node", node, "")->required();
  flags::App* other = app.add_subcommand("other", "")->no_help_flag()->prefix_command();
  other->callback([&] { ran = "other"; });
  SECTION("one") {
    app.parse({"drain", "d0", "--url", "u"});
    CHECK(ran == "drain");
    CHECK(node == "d0");
    CHECK(url == "u");
    CHECK(app.got_subcommand("drain"));
    CHECK_FALSE(app.got_subcommand("other"));
  }
  SECTION("all that follows is another program's") {
    app.parse({"other", "search", "--help"});
    CHECK(ran == "other");
    CHECK(other->remaining() == std::vector<std::string>{"search", "--help"});
  }
  SECTION("none, or unknown flags") {
    CHECK(refusal(app, {}) != "accepted");
    CHECK_THAT(refusal(app, {"drain", "d0", "--nope"}), Catch::Contains("--nope"));
  }
}

TEST_CASE("a flag that ends the program runs after the flags before it, also where required ones are missing") {
  std::string text, seen;
  flags::App app("test");
  app.add_option("--text", text, "");
  app.add_option("--must", text, "")->required();
  app.add_flag_that_ends("--report", [&] { seen = text; }, "");
  CHECK_THROWS(app.parse({"--report", "--text", "x"}));  // CLI11 ends a parse that way; run_main() exits with 0
  CHECK(seen == "x");
  seen.clear();
  CHECK(refusal(app, {"--text", "x"}) != "accepted");  // without it the required one is asked for
  CHECK(seen.empty());
}
