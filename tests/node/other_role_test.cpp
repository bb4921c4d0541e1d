// What the other program is given. The program beside this test is none of a node's, so that of the build is not asked
// here; tests/system/role_change_test.py does.
#include "node/other_role.h"

#include <catch2/catch.hpp>

#include "common/flags/program.h"
#include "tests/support/temp_dir.h"

using namespace sluice;
using namespace sluice::node;
using Catch::Contains;

namespace {

struct Program {
  flags::App app{"test", "test"};
  std::string name, shared = "default", second, mine;
  RoleFlags role;
  Program() {
    add_config_option(app);
    app.add_option("--name", name, "");
    app.add_option("--shared", shared, "");
    app.add_option("--second", second, "");
    add_role_flags(app, role);
    app.add_option("--mine", mine, "");
  }
};

}  // namespace

TEST_CASE("the rest of a file for the other role is what both programs have, as it is here") {
  const test::TempDir dir;
  const std::string file = (dir / "role.toml").string();
  Program p;
  // A node of the build stands beside this test: it does not take these options, which is said and is no error.
  SECTION("without a file") {
    p.app.parse({"--name", "n", "--shared", "x", "--mine", "y"});
    const OtherRole o = OtherRole::prepare(p.app, p.role, control::Role::prefill, "n");
    CHECK_THAT(o.settings(), Contains("shared") && !Contains("mine") && !Contains("name"));
    CHECK_FALSE(o.why_not().empty());
    CHECK(o.after({7, false}) == 7);
  }
  SECTION("with one that cannot be: it is an error at the start") {
    dir.write("role.toml", "shared = \"other\"\n");
    p.app.parse({"--shared", "x", "--second", "z", "--role-config", file});
    CHECK_THROWS_WITH(OtherRole::prepare(p.app, p.role, control::Role::prefill, "n"), Contains("--role-config"));
  }
  SECTION("with one that names what is the process's") {
    dir.write("role.toml", "name = \"other\"\n");
    p.app.parse({"--role-config", file});
    CHECK_THROWS_WITH(OtherRole::prepare(p.app, p.role, control::Role::prefill, "n"), Contains("'name'"));
  }
  SECTION("a file that is whole must be there") {
    p.app.parse({"--role-config-whole"});
    CHECK_THROWS_WITH(OtherRole::prepare(p.app, p.role, control::Role::prefill, "n"), Contains("takes --role-config"));
  }
}
