// Options handed on from one process to another: nothing is lost, and nothing that was not given is invented.
#include "common/flags/settings.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <cstdlib>

#include "common/flags/program.h"
#include "tests/support/temp_dir.h"

using namespace sluice;
using Catch::Contains;

namespace {

struct Program {
  flags::App app{"test", "test"};
  std::string word = "default", secret, from_env;
  std::vector<std::string> list;
  double number = 1.5;
  std::uint32_t whole = 3;
  bool flag = false, other = false;
  Program() {
    add_config_option(app);
    app.add_option("--word", word, "");
    app.add_option("--list", list, "")->delimiter(',');
    app.add_option("--number", number, "");
    app.add_option("--whole", whole, "");
    app.add_flag("--flag", flag, "");
    app.add_flag("--other", other, "");
    app.add_option("--from-env", from_env, "")->envname("SLUICE_TEST_WORD");
    app.add_option("--secret", secret, "")->secret("SLUICE_TEST_SECRET", "--secret-file FILE");
  }
};

}  // namespace

TEST_CASE("what is in effect, whoever gave it, comes back from the text") {
  const test::TempDir dir;
  ::setenv("SLUICE_TEST_WORD", "of the environment", 1);
  ::setenv("SLUICE_TEST_SECRET", "s3 \"cret\"\\", 1);
  dir.write("a.toml", "whole = 7\nother = true\n");
  Program p;
  p.app.parse({"--word", "it's \"so\"\n#=\t\\ é", "--list", "a,b", "--list", "c", "--number", "0.1", "--flag",
               "--config", (dir / "a.toml").string()});
  ::unsetenv("SLUICE_TEST_WORD");
  dir.write("b.toml", settings_in_effect(p.app, option_names(p.app)));
  ::chmod((dir / "b.toml").c_str(), 0600);
  Program q;
  q.app.parse({"--config", (dir / "b.toml").string()});
  CHECK(q.word == p.word);
  CHECK(q.list == std::vector<std::string>{"a", "b", "c"});
  CHECK(q.number == p.number);
  CHECK(q.whole == 7);
  CHECK(q.flag);
  CHECK(q.other);
  CHECK(q.from_env == "of the environment");
  CHECK(q.secret == "s3 \"cret\"\\");
  CHECK(settings_in_effect(q.app, option_names(q.app)) == settings_in_effect(p.app, option_names(p.app)));
}

TEST_CASE("an empty word and a flag that is off are told; what nobody gave is not") {
  const test::TempDir dir;
  dir.write("a.toml", "flag = false\n");
  Program p;
  p.app.parse({"--word", "", "--config", (dir / "a.toml").string()});
  const std::string text = settings_in_effect(p.app, option_names(p.app));
  CHECK_THAT(text, !Contains("number") && !Contains("list"));
  dir.write("b.toml", text);
  Program q;
  q.app.parse({"--config", (dir / "b.toml").string()});
  CHECK(q.word.empty());
  CHECK_FALSE(q.flag);
}

TEST_CASE("only the options that are asked for are told") {
  Program p;
  p.app.parse({"--word", "x", "--whole", "9"});
  CHECK_THAT(settings_in_effect(p.app, {"whole"}), Contains("9") && !Contains("word"));
}

TEST_CASE("a file for another program is read with its names; what is no such file is refused by line") {
  const test::TempDir dir;
  const std::string file = (dir / "a.toml").string();
  Program p;
  dir.write("a.toml", "theirs = 1\nword = \"x\"\n");
  const SettingsFile s = read_settings(p.app, "--role-config", file);
  CHECK(s.names == std::set<std::string>{"theirs", "word"});
  dir.write("a.toml", "a = 1\n[b]\nc = 2\n");
  CHECK_THROWS_WITH(read_settings(p.app, "--role-config", file), Contains("--role-config") && Contains("line 2"));
  dir.write("a.toml", "a = 1\nb\n");
  CHECK_THROWS_WITH(read_settings(p.app, "--role-config", file), Contains("not TOML"));
  dir.write("a.toml", "secret = \"s3cret\"\n");
  ::chmod(file.c_str(), 0644);
  CHECK_THROWS_WITH(read_settings(p.app, "--role-config", file), Contains("chmod 600") && !Contains("s3cret"));
  ::chmod(file.c_str(), 0600);
  CHECK(read_settings(p.app, "--role-config", file).names.contains("secret"));
  CHECK_THROWS_AS(read_settings(p.app, "--role-config", (dir / "none").string()), UsageError);
}
