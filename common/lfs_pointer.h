#pragma once
// A Git LFS pointer: the few lines of text that a clone leaves in place of a large file until it is fetched.
// Pure, thread-safe.
#include <filesystem>
#include <string_view>

#include "common/result.h"

namespace sluice {

[[nodiscard]] inline bool is_lfs_pointer(std::string_view bytes) noexcept {
  return bytes.starts_with("version https://git-lfs.github.com/spec/v1");
}

/// data_corrupt, with what to do about it, if `bytes`, the file's beginning, say that it is a pointer.
[[nodiscard]] inline Result<> refuse_lfs_pointer(std::string_view bytes, const std::filesystem::path& path) {
  if (!is_lfs_pointer(bytes)) return {};
  return fail(Errc::data_corrupt,
              "{} is a Git LFS pointer, not the file itself; fetch it: run 'git lfs pull' in its repository",
              path.string());
}

}  // namespace sluice
