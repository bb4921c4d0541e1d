#pragma once
// Read-only, memory-mapped access to the tensors of a model directory: model.safetensors, or the shards that
// model.safetensors.index.json names.
//
// Failure: every header is hostile input. Lengths are checked against the file, element counts against overflow,
// and the tensors must tile the data area exactly; data_corrupt (or not_found) names the file and the tensor.
// The files must not be truncated while they are mapped: the kernel raises SIGBUS then, so copy what must live on.
// Threading: immutable after open.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/result.h"

namespace sluice::engine {

/// One tensor where it lies in the file. `data` may be misaligned for its type.
struct TensorView {
  std::string dtype;  // as the file names it: "BF16", "F16", "F32", "I64", ...
  std::vector<std::uint64_t> shape;
  std::span<const std::byte> data;  // exactly the bytes that type and shape need
  std::string file;                 // where it lies, for errors; empty from parse_safetensors
};

using TensorMap = std::map<std::string, TensorView, std::less<>>;

/// Parses the header and checks that the tensors tile `file` exactly; the views point into it.
[[nodiscard]] Result<TensorMap> parse_safetensors(std::span<const std::byte> file);

class MappedFile;

class Checkpoint {
 public:
  [[nodiscard]] static Result<Checkpoint> open(const std::filesystem::path& dir);
  ~Checkpoint();
  Checkpoint(Checkpoint&&) noexcept;
  Checkpoint& operator=(Checkpoint&&) noexcept;

  /// All tensors by name; valid while the checkpoint lives.
  [[nodiscard]] const TensorMap& tensors() const noexcept { return tensors_; }
  /// The single file or the index, for errors.
  [[nodiscard]] const std::string& source() const noexcept { return source_; }

 private:
  Checkpoint();
  Result<> add_file(const std::filesystem::path& path, TensorMap& out);
  Result<> open_shards(const std::filesystem::path& index);

  std::vector<std::unique_ptr<MappedFile>> files_;
  TensorMap tensors_;
  std::string source_;
};

}  // namespace sluice::engine
