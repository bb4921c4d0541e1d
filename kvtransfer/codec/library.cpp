#include "kvtransfer/codec/library.h"

#include "common/files.h"
#include "common/json/parse.h"
#include "common/json/reader.h"

namespace sluice::kv {
namespace {

constexpr std::size_t kMaxLibrary = 16U << 20;

/// Empty when the file does not say, or cannot be read; reading it is load_registry's to fail.
std::string measured_on(const std::string& profiles_file) {
  const auto text = read_file(profiles_file, kMaxLibrary);
  if (!text) return {};
  const auto j = parse_json(*text, {.max_bytes = kMaxLibrary, .comments = true});
  if (!j) return {};
  JsonReader in(*j, {});
  std::string hash;
  in.object().want("model_hash").into(hash);
  return hash;
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
