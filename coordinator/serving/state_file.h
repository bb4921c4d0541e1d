#pragma once
// The coordinator's small lasting state as one JSON file: what the policies learned, and SLO classes a person set.
// A write is whole or absent (a temporary file beside it, flushed, renamed). Threading: none.
#include <nlohmann/json.hpp>
#include <string>

#include "common/result.h"

namespace sluice::coordinator {

class StateFile {
 public:
  explicit StateFile(std::string path) : path_(std::move(path)) {}
  [[nodiscard]] bool enabled() const noexcept { return !path_.empty(); }
  /// An empty object when there is no file yet; data_corrupt when there is one that is no JSON object.
  [[nodiscard]] Result<nlohmann::json> load() const;
  /// unavailable: save() would fail as things are; known at the start rather than at the first loss.
  [[nodiscard]] Result<> check_writable() const;
  /// unavailable: the directory cannot be written.
  [[nodiscard]] Result<> save(const nlohmann::json& state) const;
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
};

}  // namespace sluice::coordinator
