#include "coordinator/ctl/doctor/perftest.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <sstream>
#include <thread>
#include <vector>

#include "coordinator/ctl/doctor/program.h"

namespace sluice::ctl::doctor {
namespace {

using namespace std::chrono_literals;

/// A port of the loopback that was free a moment ago.
int free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof at;
  const bool bound = fd >= 0 && ::bind(fd, reinterpret_cast<sockaddr*>(&at), size) == 0 &&
                     ::getsockname(fd, reinterpret_cast<sockaddr*>(&at), &size) == 0;
  if (fd >= 0) ::close(fd);
  return bound ? ntohs(at.sin_port) : 0;
}

/// A server and a client, both of ucx_perftest; what the client prints.
Result<PerftestLine> one(const char* test, const char* bytes, const char* count) {
  const int port = free_port();
  if (port == 0) return fail(Errc::resource_exhausted, "no free port of the loopback");
  const std::vector<std::pair<std::string, std::string>> env{{"UCX_TLS", "tcp,self"}, {"UCX_NET_DEVICES", "lo"}};
  const std::string at = std::to_string(port);
  const Beside server({.argv = {"ucx_perftest", "-p", at}, .env = env});
  if (!server.started()) return fail(Errc::not_found, "ucx_perftest is not installed (Debian: ucx-utils)");
  Result<std::string> text = fail(Errc::unavailable, "ucx_perftest did not run");
  for (int attempt = 0; attempt < 5; ++attempt) {  // until its server listens
    std::this_thread::sleep_for(200ms);
    text = output_of(
        {.argv = {"ucx_perftest", "127.0.0.1", "-p", at, "-t", test, "-s", bytes, "-n", count, "-w", "50", "-f"},
         .env = env,
         .limit = 8s});
    if (text || text.error().code == Errc::deadline_exceeded) break;
  }
  if (!text) return std::unexpected(text.error());
  return parse_perftest(*text);
}

}  // namespace

Result<PerftestLine> parse_perftest(const std::string& text) {
  std::vector<double> numbers;
  std::istringstream words(text);
  for (std::string w; words >> w;) {
    char* end = nullptr;
    const double v = std::strtod(w.c_str(), &end);
    if (end != w.c_str() && *end == '\0') numbers.push_back(v);
  }
  if (numbers.size() < 8) return fail(Errc::data_corrupt, "ucx_perftest printed no figures");
  const auto last = numbers.end();
  return PerftestLine{.typical_us = *(last - 7), .mib_per_s = *(last - 3)};
}

Result<Perftest> run_perftest() {
  SLUICE_ASSIGN(const auto bandwidth, one("ucp_am_bw", "65536", "8000"));
  SLUICE_ASSIGN(const auto latency, one("ucp_am_lat", "64", "2000"));
  return Perftest{bandwidth.mib_per_s * 1048576.0, 2e-6 * latency.typical_us};
}

}  // namespace sluice::ctl::doctor
