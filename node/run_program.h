#pragma once
// Other programs: asked something and waited for, or taken in this process's place. No shell is involved.
// Threading: any. Failure: Errors in words.
#include <string>
#include <vector>

#include "common/result.h"
#include "node/private_file.h"

namespace sluice::node {

[[nodiscard]] bool is_program(const std::string& path);

struct ProgramEnd {
  int code = 0;        // 128 + N: signal N ended it
  std::string output;  // what it wrote, in one line
};
/// Runs argv[0] to its end, ten seconds at most. An argument "@" stands for the file's path.
[[nodiscard]] Result<ProgramEnd> run_program(std::vector<std::string> argv, const PrivateFile& file);

/// Executes argv[0] in place of this process: same PID, directory and environment. Of the descriptors, those of `kept`
/// and the first three stay open. Returns what went wrong.
[[nodiscard]] Error replace_process(std::vector<std::string> argv, const std::vector<int>& kept);

}  // namespace sluice::node
