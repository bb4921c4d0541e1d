#include "engine/model/safetensors.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <set>
#include <string_view>
#include <utility>

#include "common/lfs_pointer.h"
#include "engine/model/checkpoint_files.h"

namespace sluice::engine {

/// A whole regular file mapped for reading.
class MappedFile {
 public:
  static Result<std::unique_ptr<MappedFile>> open(const std::filesystem::path& path) {
    // O_NONBLOCK: a FIFO in the directory must not hang the daemon; regular files ignore it.
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return fail(Errc::not_found, "cannot open {}: {}", path.string(), std::strerror(errno));
    auto mapped = map(fd, path);
    ::close(fd);
    return mapped;
  }
  ~MappedFile() { ::munmap(base_, bytes_); }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return {static_cast<std::byte*>(base_), bytes_}; }

 private:
  MappedFile(void* base, std::size_t bytes) : base_(base), bytes_(bytes) {}

  static Result<std::unique_ptr<MappedFile>> map(int fd, const std::filesystem::path& path) {
    struct stat st{};
    if (::fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size <= 0)
      return fail(Errc::data_corrupt, "{} is empty or not a regular file; was the download cut short?", path.string());
    const auto bytes = static_cast<std::size_t>(st.st_size);
    void* base = ::mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    if (base == MAP_FAILED)
      return fail(Errc::resource_exhausted, "cannot map {}: {}", path.string(), std::strerror(errno));
    ::madvise(base, bytes, MADV_SEQUENTIAL);
    return std::unique_ptr<MappedFile>(new MappedFile(base, bytes));
  }

  void* base_;
  std::size_t bytes_;
};

namespace {

constexpr std::size_t kMaxShards = 4096;

std::string_view text_of(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

}  // namespace

Checkpoint::Checkpoint() = default;
Checkpoint::~Checkpoint() = default;
Checkpoint::Checkpoint(Checkpoint&&) noexcept = default;
Checkpoint& Checkpoint::operator=(Checkpoint&&) noexcept = default;

Result<> Checkpoint::add_file(const std::filesystem::path& path, TensorMap& out) {
  SLUICE_ASSIGN(auto file, MappedFile::open(path));
  SLUICE_TRY(refuse_lfs_pointer(text_of(*file), path));
  auto parsed = parse_safetensors(file->bytes());
  if (!parsed) return fail(parsed.error().code, "{}: {}", path.string(), parsed.error().message);
  out = std::move(*parsed);
  for (auto& [name, tensor] : out) tensor.file = path.string();
  files_.push_back(std::move(file));
  return {};
}

Result<> Checkpoint::open_shards(const std::filesystem::path& path) {
  SLUICE_ASSIGN(const auto index, MappedFile::open(path));
  SLUICE_TRY(refuse_lfs_pointer(text_of(*index), path));
  SLUICE_ASSIGN(const WeightFiles wanted, parse_weight_index(index->bytes(), path));
  std::set<std::string> names;
  for (const auto& [tensor, file] : wanted) names.insert(file);
  if (names.size() > kMaxShards) return fail(Errc::data_corrupt, "{} names {} files", path.string(), names.size());
  std::map<std::string, TensorMap> shards;
  for (const std::string& name : names) SLUICE_TRY(add_file(path.parent_path() / name, shards[name]));
  for (const auto& [tensor, file] : wanted) {
    const auto it = shards[file].find(tensor);
    if (it == shards[file].end())
      return fail(Errc::data_corrupt, "{} says tensor '{}' is in {}, but it is not", path.string(),
                  tensor.substr(0, 200), file);
    tensors_.emplace(tensor, it->second);
  }
  return {};
}

Result<Checkpoint> Checkpoint::open(const std::filesystem::path& dir) {
  Checkpoint c;
  SLUICE_ASSIGN(const std::filesystem::path path, find_weights(dir));
  c.source_ = path.string();
  if (path.filename() == kSingleFile) {
    SLUICE_TRY(c.add_file(path, c.tensors_));
  } else {
    SLUICE_TRY(c.open_shards(path));
  }
  return c;
}

}  // namespace sluice::engine
