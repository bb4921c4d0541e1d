// sluice-bench SUITE [--json] [--quick] [--threads N] [-- suite's own arguments]
#include <iostream>

#include "common/flags/program.h"
#include "tools/bench/bench_util.h"

namespace {

int run_suite(const std::string& name, const sluice::bench::BenchOptions& options, bool json) {
  using namespace sluice::bench;
  for (const Suite& suite : suites()) {
    if (suite.name != name) continue;
    const auto figures = suite.run(options);
    if (!figures) {
      std::cerr << "sluice-bench " << name << ": " << figures.error().message << '\n';
      return sluice::kExitFailure;
    }
    std::cout << (json ? to_json(name, *figures).dump(2) + "\n" : to_table(name, *figures));
    return 0;
  }
  std::cerr << "sluice-bench: no suite '" << name << "' in this build; there are:";
  for (const Suite& suite : suites()) std::cerr << ' ' << suite.name;
  std::cerr << '\n';
  return sluice::kExitUsage;
}

std::string footer() {
  std::string text = "Suites:\n";
  for (const auto& s : sluice::bench::suites()) text += fmt::format("  {:<12} {}\n", s.name, s.summary);
  return text;
}

}  // namespace

int main(int argc, char** argv) {
  sluice::flags::App app("Measures Sluice's parts, each figure beside a reference from the same run");
  sluice::LogOptions log;
  std::string suite;
  sluice::bench::BenchOptions options;
  bool json = false;
  app.add_option("suite", suite, "What to measure")->required();
  app.add_flag("--json", json, "Print JSON instead of a table");
  app.add_flag("--quick", options.quick, "Few sizes and repetitions");
  app.add_option("--threads", options.threads, "Threads to use; 0 is all cores");
  app.add_option("arguments", options.arguments, "The suite's own arguments, after --");
  app.footer(footer());
  sluice::add_common_options(app, log);
  return sluice::run_main(app, argc, argv, [&] { return run_suite(suite, options, json); });
}
