#pragma once
// Model directories built on the fly, each from a few words of golden/directories.json. The weights follow from the
// tensors' names, the same here and in tools/golden/engine_directories.py, which asked transformers about each.
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/ids.h"

namespace sluice::test {

class Directories {
 public:
  Directories();

  [[nodiscard]] const nlohmann::json& cases() const { return golden_["cases"]; }
  [[nodiscard]] std::vector<TokenId> prompt() const { return golden_["prompt"].get<std::vector<TokenId>>(); }
  [[nodiscard]] nlohmann::json config(const nlohmann::json& of_case) const;
  /// Writes the directory below `root` and says where it is.
  [[nodiscard]] std::filesystem::path write(const nlohmann::json& of_case, const std::filesystem::path& root) const;
  /// What transformers computes for it: one result for each version that counts. Empty: none loads it.
  [[nodiscard]] std::map<std::string, std::vector<float>> logits(const nlohmann::json& of_case) const;

 private:
  nlohmann::json golden_;
};

}  // namespace sluice::test
