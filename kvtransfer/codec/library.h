#pragma once
// Profiles as a node loads them for its model: what was measured on one model (`sluicectl profile`) says nothing of
// another.
#include <memory>
#include <string>

#include "kvtransfer/codec/codec.h"

namespace sluice::kv {

/// As load_registry; invalid_argument when the file names a model_hash that is not this model's. A file without one may
/// serve any model.
[[nodiscard]] Result<std::unique_ptr<CodecRegistry>> load_library(const std::string& model_dir,
                                                                  const std::string& profiles_file,
                                                                  const std::string& model_hash);

}  // namespace sluice::kv
