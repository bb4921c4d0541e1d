#include "tools/bench/front_process.h"

#include <unistd.h>

#include <chrono>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

namespace sluice::bench {

Result<FrontProcess> FrontProcess::coordinator(const std::string& program, const std::string& model_dir) {
  const auto ready = std::filesystem::temp_directory_path() / fmt::format("sluice-bench-front-{}", ::getpid());
  std::filesystem::remove(ready);
  // What it logs is a part of what a request costs, but not who reads it.
  SLUICE_ASSIGN(Child child, Child::start({"sh",
                                           "-c",
                                           "exec \"$0\" \"$@\" >/dev/null 2>&1",
                                           program,
                                           "--model",
                                           model_dir,
                                           "--model-name",
                                           "bench",
                                           "--host",
                                           "127.0.0.1",
                                           "--port",
                                           "0",
                                           "--control-listen",
                                           "127.0.0.1:0",
                                           "--local-prefill",
                                           "off",
                                           "--link-probe-s",
                                           "0",
                                           "--ready-file",
                                           ready.string()}));
  FrontProcess p(std::move(child));
  for (int tries = 0; tries < 1000 && !std::filesystem::exists(ready); ++tries)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  std::ifstream in(ready);
  const auto addresses = nlohmann::json::parse(in, nullptr, false);
  std::filesystem::remove(ready);
  if (!addresses.is_object()) return fail(Errc::unavailable, "'{}' did not start with model '{}'", program, model_dir);
  p.http_ = addresses.value("http", "");
  p.control_ = addresses.value("control", "");
  return p;
}

Result<FrontProcess> FrontProcess::relay(const std::vector<std::string>& arguments) {
  std::vector<std::string> argv{self_path(), "front", "--", "relay"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  SLUICE_ASSIGN(Child child, Child::start(argv));
  FrontProcess p(std::move(child));
  p.http_ = p.child_.line();
  p.control_ = p.child_.line();
  if (p.control_.empty()) return fail(Errc::unavailable, "the relay did not start");
  return p;
}

CpuTime FrontProcess::cpu() const {
  CpuTime t;
  clockid_t clock{};
  timespec now{};
  if (clock_getcpuclockid(child_.pid(), &clock) == 0 && clock_gettime(clock, &now) == 0)
    t.process = static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
  std::ifstream in(fmt::format("/proc/{0}/task/{0}/schedstat", child_.pid()));
  double nanoseconds = 0;
  if (in >> nanoseconds) t.main_thread = nanoseconds * 1e-9;
  return t;
}

}  // namespace sluice::bench
