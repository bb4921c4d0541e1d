#pragma once
// Certificates of a cluster, made by openssl with the script that users have.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "tests/support/temp_dir.h"

namespace sluice::test {

class Certificates {
 public:
  explicit Certificates(const std::string& hosts = "localhost 127.0.0.1") { make(hosts); }
  [[nodiscard]] std::string operator[](const std::string& file) const { return (dir_.path() / file).string(); }
  /// A new pair in place of the old one.
  void renew(const std::string& role, const std::string& hosts = "localhost 127.0.0.1") {
    make(hosts, "ROLE=" + role + " ");
  }
  /// Takes a role's certificate back: crl.pem lists it, and those before it. Empty: nobody's.
  void revoke(const std::string& role) { make("", "REVOKE=" + (role.empty() ? role : role + ".pem") + " "); }
  [[nodiscard]] std::filesystem::path path() const { return dir_.path(); }

 private:
  void make(const std::string& hosts, const std::string& before = {}) {
    const std::string command =
        before + SLUICE_SOURCE_DIR "/deploy/tls/make_certs.sh " + dir_.path().string() + " " + hosts;
    REQUIRE(std::system(command.c_str()) == 0);
  }
  TempDir dir_;
};

}  // namespace sluice::test
