#pragma once
// The suites of sluice-bench. A suite is a file tools/bench/<name>_bench.cpp that registers itself:
//
//   static const SuiteRegistration registration{"codec", "encode and decode of every profile", run_codec_suite};
//
// and a line in tools/CMakeLists.txt that says what it links. Every figure that has a reference (a library, a
// measured limit of this machine) measures it in the same run, so that the ratio means something anywhere.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace sluice::bench {

struct BenchOptions {
  bool quick = false;                  // fewer sizes and repetitions; for tests
  std::uint32_t threads = 0;           // 0: all cores
  std::vector<std::string> arguments;  // what follows "--" on the command line, the suite's own
};

struct Measured {
  std::string name;
  double value = 0;
  std::string unit;
};

/// One figure. With a reference, ratio = value / reference.value.
struct Figure {
  std::string name;
  double value = 0;
  std::string unit;
  std::optional<Measured> reference;
};

using SuiteResult = Result<std::vector<Figure>>;

struct Suite {
  std::string_view name;
  std::string_view summary;
  SuiteResult (*run)(const BenchOptions&) = nullptr;
};

/// All suites linked into this program, by name.
[[nodiscard]] std::vector<Suite> suites();

/// Registers a suite before main runs.
struct SuiteRegistration {
  SuiteRegistration(std::string_view name, std::string_view summary, SuiteResult (*run)(const BenchOptions&));
};

}  // namespace sluice::bench
