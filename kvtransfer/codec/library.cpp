#include "kvtransfer/codec/library.h"

#include <fstream>
#include <nlohmann/json.hpp>

namespace sluice::kv {
namespace {

/// Empty when the file does not say, or cannot be read; reading it is load_registry's to fail.
std::string measured_on(const std::string& profiles_file) {
  std::ifstream in(profiles_file, std::ios::binary);
  const auto j = nlohmann::json::parse(in, nullptr, false);
  if (!j.is_object() || !j.contains("model_hash") || !j["model_hash"].is_string()) return {};
  return j["model_hash"].get<std::string>();
}

}  // namespace

Result<std::unique_ptr<CodecRegistry>> load_library(const std::string& model_dir, const std::string& profiles_file,
                                                    const std::string& model_hash) {
  const std::string other = profiles_file.empty() ? "" : measured_on(profiles_file);
  if (!other.empty() && other != model_hash)
    return fail(Errc::invalid_argument,
                "{} was measured on another model ({}, this one is {}): run `sluicectl profile` for this one, or take "
                "model_hash out of the file to use its profiles all the same",
                profiles_file, other, model_hash);
  return load_registry(model_dir, profiles_file);
}

}  // namespace sluice::kv
