// A configuration file that does not say what its writer meant must not start a program: a misspelt api-key once left
// the API open to everybody.
#include "common/flags/config_file.h"

#include <catch2/catch.hpp>
#include <sstream>

#include "common/flags/program.h"
#include "tests/support/temp_dir.h"

using namespace sluice;

namespace {

struct Program {
  flags::App app{"test", "test"};
  LogOptions log;
  std::vector<std::string> keys;
  std::string model;
  int port = 8000;
  double wait = 1;
  bool quiet = false;
  Program() {
    add_common_options(app, log);
    app.add_option("--api-key", keys, "");
    app.add_option("--model", model, "");
    app.add_option("--port", port, "");
    app.add_option("--max-wait-s", wait, "");
    app.add_flag("--quiet", quiet, "");
  }
  /// As a program that was started with this file.
  void read(const std::string& text) {
    const ConfigFile file(app.cli());
    std::istringstream in(text);
    const auto items = file.from_config(in);
    std::vector<std::string> arguments;
    for (const auto& i : items)
      for (const auto& v : i.inputs) arguments.push_back(fmt::format("--{}={}", i.name, v));
    app.parse(arguments);
  }
  std::string refusal(const std::string& text) {
    try {
      read(text);
    } catch (const std::exception& e) {
      return e.what();
    }
    return "accepted";
  }
};

}  // namespace

TEST_CASE("a config file gives options by their long names") {
  Program p;
  p.read("# who we are\nmodel = \"m\"\nport = 9\nmax-wait-s = 2.5\nquiet = true\napi-key = [\"a\", 'b']\n");
  CHECK(p.model == "m");
  CHECK(p.port == 9);
  CHECK(p.wait == 2.5);
  CHECK(p.quiet);
  CHECK(p.keys == std::vector<std::string>{"a", "b"});
}

TEST_CASE("a misspelt key is refused with the right one and its line") {
  Program p;
  const std::string said = p.refusal("model = \"m\"\napi_key = \"secret\"\n");
  CHECK_THAT(said, Catch::Contains("line 2") && Catch::Contains("'api_key'") && Catch::Contains("'api-key'"));
  CHECK_THAT(said, !Catch::Contains("secret"));
  CHECK_THAT(Program().refusal("modle = \"m\"\n"), Catch::Contains("did you mean 'model'"));
  CHECK_THAT(Program().refusal("unheard-of-thing = 1\n"), Catch::Contains("--help lists the options"));
}

TEST_CASE("sections, lines that are no TOML, and values no option takes are refused") {
  CHECK_THAT(Program().refusal("[auth]\napi-key = \"secret\"\n"),
             Catch::Contains("no sections") && Catch::Contains("'auth'") && !Catch::Contains("secret"));
  CHECK_THAT(Program().refusal("this is no toml\n"), Catch::Contains("line 1") && Catch::Contains("not TOML"));
  CHECK_THAT(Program().refusal("model = m\n"), Catch::Contains("not TOML"));
  CHECK_THAT(Program().refusal("port = 1\nport = 2\n"), Catch::Contains("not TOML"));
  CHECK_THAT(Program().refusal("port = [1, 2]\n"), Catch::Contains("one value"));
  CHECK_THAT(Program().refusal("model = 1979-05-27\n"), Catch::Contains("takes a string"));
  CHECK_THAT(Program().refusal("api-key = [[\"a\"]]\n"), Catch::Contains("takes a string"));
  CHECK_THAT(Program().refusal("config = \"other.toml\"\n"), Catch::Contains("command line only"));
  CHECK_THAT(Program().refusal("auth.key = 1\n"), Catch::Contains("no sections"));
}

TEST_CASE("hostile config files end quickly") {
  CHECK_THAT(Program().refusal(std::string(2U << 20U, '#')), Catch::Contains("1 MiB"));
  CHECK_THAT(Program().refusal("model = " + std::string(100'000, '[')), Catch::Contains("not TOML"));
  CHECK_THAT(Program().refusal(std::string("model = \"\xff\"")), Catch::Contains("not TOML"));
}

TEST_CASE("a file gives options of the command that is run, and of no other") {
  struct Tool {
    flags::App app{"tool", "tool"};
    std::string url, name;
    int prefill = 1;
    Tool() {
      add_config_option(app);
      app.require_subcommand(1);
      app.add_option("--url", url, "");
      app.add_subcommand("status", "")->fallthrough();
      app.add_subcommand("up", "")->fallthrough()->add_option("--prefill", prefill, "")->required();
      app.add_subcommand("slo", "")->fallthrough()->add_subcommand("set", "")->add_option("--name", name, "");
    }
  };
  test::TempDir dir;
  dir.write("up.toml", "url = \"u\"\nprefill = 3\n");
  dir.write("slo.toml", "name = \"gold\"\n");
  const std::string up = (dir.path() / "up.toml").string();
  const std::string slo = (dir.path() / "slo.toml").string();
  Tool a;
  a.app.parse({"up", "--config", up});
  CHECK(a.url == "u");
  CHECK(a.prefill == 3);
  Tool b;
  b.app.parse({"--config", up, "up", "--prefill", "5"});
  CHECK(b.prefill == 5);
  Tool c;
  c.app.parse({"slo", "--config", slo, "set"});
  CHECK(c.name == "gold");
  Tool d;
  CHECK_THROWS_WITH(d.app.parse({"status", "--config", up}), Catch::Contains("unknown option 'prefill'"));
}
