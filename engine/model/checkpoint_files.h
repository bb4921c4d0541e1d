#pragma once
// Which files of a directory hold a model's weights. Private to the checkpoint.
//
// Failure: not_found in words that say what there is instead and what to do; data_corrupt for an index that lies.
#include <cstddef>
#include <filesystem>
#include <map>
#include <span>
#include <string>

#include "common/result.h"

namespace sluice::engine {

inline constexpr const char* kSingleFile = "model.safetensors";
inline constexpr const char* kIndexFile = "model.safetensors.index.json";

/// The file to begin with: the single file, which wins as in transformers, or the index.
[[nodiscard]] Result<std::filesystem::path> find_weights(const std::filesystem::path& dir);

using WeightFiles = std::map<std::string, std::string>;  // tensor -> file, relative to the directory

/// What an index says. Every file is a *.safetensors below the directory.
[[nodiscard]] Result<WeightFiles> parse_weight_index(std::span<const std::byte> bytes,
                                                     const std::filesystem::path& index);

}  // namespace sluice::engine
