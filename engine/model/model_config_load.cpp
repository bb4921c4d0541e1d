// Configuration as it lies in a directory: reads the files, model_config.cpp understands them.
#include <filesystem>
#include <system_error>

#include "common/files.h"
#include "common/lfs_pointer.h"
#include "engine/model/model_config.h"

namespace sluice::engine {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxConfigBytes = 1U << 20;

// Why there is no file at `path`, in words for somebody who gave the wrong directory.
std::string why_missing(const fs::path& path) {
  std::error_code ec;
  if (fs::is_symlink(fs::symlink_status(path, ec)))
    return fmt::format("it is a link to {}, which is not there", fs::read_symlink(path, ec).string());
  const fs::path dir = path.parent_path();
  if (!fs::exists(dir, ec)) return "there is no such directory";
  if (!fs::is_directory(dir, ec)) return "a model is a directory, not a file";
  if (fs::exists(dir / "snapshots", ec))
    return "this is a folder of the Hugging Face cache; give one of the directories below its snapshots/";
  return "there is no such file";
}

Result<std::string> read_text(const fs::path& path) {
  std::error_code ec;
  if (!fs::exists(path, ec)) return fail(Errc::not_found, "cannot open {}: {}", path.string(), why_missing(path));
  // A pipe would hang the daemon.
  if (!fs::is_regular_file(path, ec)) return fail(Errc::invalid_argument, "{} is not a regular file", path.string());
  SLUICE_ASSIGN(std::string text, read_file(path, kMaxConfigBytes));
  if (text.empty()) return fail(Errc::invalid_argument, "{} is empty", path.string());
  SLUICE_TRY(refuse_lfs_pointer(text, path));
  return text;
}

}  // namespace

Result<ModelConfig> load_model_config(const fs::path& dir) {
  SLUICE_ASSIGN(const std::string config, read_text(dir / "config.json"));
  std::string generation;
  std::error_code ec;
  if (const fs::path path = dir / "generation_config.json";
      fs::symlink_status(path, ec).type() != fs::file_type::not_found) {
    SLUICE_ASSIGN(generation, read_text(path));
  }
  auto parsed = parse_model_config(config, generation);
  // Errors begin with the file's name.
  if (!parsed) parsed.error().message = (dir / "").string() + parsed.error().message;
  return parsed;
}

}  // namespace sluice::engine
