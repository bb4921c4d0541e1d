#pragma once
// Files that hold secrets: private keys, API keys, tokens. One that other users of the machine can read is refused,
// with the command that mends it. Threading: any. Failure: permission_denied (its mode), else as read_file().
#include <sys/types.h>

#include <filesystem>
#include <string>

#include "common/result.h"

namespace sluice {

/// What is wrong with a file of this mode and owner, as the end of a sentence; empty: nothing. Only the owner may have
/// rights, but for one case: root's file may be readable by its group. That is how Kubernetes and systemd hand a secret
/// to a process that is not root, and who could add a member to that group could read the file anyway.
[[nodiscard]] std::string secret_mode_problem(mode_t mode, uid_t owner);

/// The whole file. Its mode is read from the open file, so that it cannot be swapped in between.
[[nodiscard]] Result<std::string> read_secret_file(const std::filesystem::path& path, std::size_t max_bytes);
/// Without the line break at its end; invalid_argument when it is empty or has more than one line.
[[nodiscard]] Result<std::string> read_secret_line(const std::filesystem::path& path);

}  // namespace sluice
