// Other programs, asked and waited for; /bin/sh stands for them.
#include "node/run_program.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "common/secret_file.h"

using namespace sluice;
using namespace sluice::node;
using Catch::Contains;

namespace {

ProgramEnd sh(const std::string& script, const std::string& file = "") {
  const auto f = PrivateFile::of(file);
  REQUIRE(f);
  auto r = run_program({"/bin/sh", "-c", script, "sh", "@"}, *f);
  REQUIRE(r);
  return *r;
}

}  // namespace

TEST_CASE("a private file is one that may hold secrets, and its path leads to it") {
  const auto f = PrivateFile::of("one\ntwo");
  REQUIRE(f);
  CHECK(read_secret_file(f->path(), 100) == "one\ntwo");
}

TEST_CASE("a program gets the file, and its status and words come back") {
  CHECK(sh("cat $1", "s3cret\nx").output == "s3cret x");
  const ProgramEnd bad = sh("echo wrong >&2; exit 2");
  CHECK(bad.code == 2);
  CHECK(bad.output == "wrong");
  CHECK(sh("kill -9 $$").code == 128 + 9);
  CHECK(sh("yes | head -c 100000").output.size() < 10000);
  const auto f = PrivateFile::of("");
  CHECK_FALSE(run_program({"/nowhere/program"}, *f));
  CHECK_FALSE(is_program("/nowhere/program"));
  CHECK_FALSE(is_program("/bin"));
  CHECK(is_program("/bin/sh"));
}

TEST_CASE("a program that takes this one's place has its PID, the files it is given, and no others") {
  const auto file = PrivateFile::of("s3cret");
  REQUIRE(file);
  const int open = ::dup(1);  // not closed on exec by itself
  int out[2];
  REQUIRE(::pipe(out) == 0);
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::dup2(out[1], 1);
    const std::string script =
        "echo $$; cat " + file->path() + "; [ -e /proc/self/fd/" + std::to_string(open) + " ] && echo leak";
    (void)replace_process({"/bin/sh", "-c", script}, {file->descriptor()});
    ::_exit(9);
  }
  ::close(out[1]);
  std::string said;
  char block[256];
  for (ssize_t n = 0; (n = ::read(out[0], block, sizeof block)) > 0;) said.append(block, static_cast<std::size_t>(n));
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  CHECK(said == std::to_string(pid) + "\ns3cret");
  ::close(out[0]);
  ::close(open);
  const Error why = [] {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(replace_process({"/nowhere/program"}, {}).code == Errc::unavailable ? 0 : 1);
    int end = 0;
    ::waitpid(child, &end, 0);
    return Error{WEXITSTATUS(end) == 0 ? Errc::unavailable : Errc::internal, "", {}};
  }();
  CHECK(why.code == Errc::unavailable);
}
