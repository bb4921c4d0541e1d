#include "engine/model/safetensors.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "common/json/parse.h"
#include "common/json/reader.h"

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
      return fail(Errc::data_corrupt, "{} is empty or not a regular file", path.string());
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

using nlohmann::json;

constexpr const char* kSingle = "model.safetensors";
constexpr const char* kIndex = "model.safetensors.index.json";
constexpr std::size_t kMaxShards = 4096;

// A shard lies in the model's directory itself. Its file may be a link elsewhere: Hugging Face caches are made so.
bool is_shard_name(const std::string& name) {
  return name.ends_with(".safetensors") && name.find('/') == std::string::npos && name.front() != '.' &&
         name.find('\0') == std::string::npos;
}

using WeightFiles = std::map<std::string, std::string>;  // tensor -> file

Result<WeightFiles> parse_index(std::span<const std::byte> bytes) {
  constexpr std::size_t kMaxIndex = 100'000'000;  // as a header
  SLUICE_ASSIGN(const json index, parse_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()},
                                             {.what = kIndex, .code = Errc::data_corrupt, .max_bytes = kMaxIndex}));
  JsonReader in(index, {.what = kIndex, .code = Errc::data_corrupt});
  JsonObject f = in.object();
  WeightFiles out;
  f.need("weight_map").members({}, [&](const std::string& tensor, const JsonValue& v) {
    std::string file;
    if (v.into(file) && !is_shard_name(file)) v.wrong("must be a *.safetensors name in the same directory");
    out.emplace(tensor, std::move(file));
  });
  SLUICE_TRY(in.done());
  return out;
}

}  // namespace

Checkpoint::Checkpoint() = default;
Checkpoint::~Checkpoint() = default;
Checkpoint::Checkpoint(Checkpoint&&) noexcept = default;
Checkpoint& Checkpoint::operator=(Checkpoint&&) noexcept = default;

Result<> Checkpoint::add_file(const std::filesystem::path& path, TensorMap& out) {
  SLUICE_ASSIGN(auto file, MappedFile::open(path));
  auto parsed = parse_safetensors(file->bytes());
  if (!parsed) return fail(parsed.error().code, "{}: {}", path.string(), parsed.error().message);
  out = std::move(*parsed);
  files_.push_back(std::move(file));
  return {};
}

Result<> Checkpoint::open_shards(const std::filesystem::path& dir) {
  SLUICE_ASSIGN(const auto index, MappedFile::open(dir / kIndex));
  SLUICE_ASSIGN(const WeightFiles wanted, parse_index(index->bytes()));
  std::set<std::string> names;
  for (const auto& [tensor, file] : wanted) names.insert(file);
  if (names.size() > kMaxShards) return fail(Errc::data_corrupt, "{} names {} files", kIndex, names.size());
  std::map<std::string, TensorMap> shards;
  for (const std::string& name : names) SLUICE_TRY(add_file(dir / name, shards[name]));
  for (const auto& [tensor, file] : wanted) {
    const auto it = shards[file].find(tensor);
    if (it == shards[file].end())
      return fail(Errc::data_corrupt, "{} says tensor '{}' is in {}, but it is not", kIndex, tensor, file);
    tensors_.emplace(tensor, it->second);
  }
  return {};
}

Result<Checkpoint> Checkpoint::open(const std::filesystem::path& dir) {
  Checkpoint c;
  std::error_code ec;
  if (std::filesystem::exists(dir / kSingle, ec)) {
    SLUICE_TRY(c.add_file(dir / kSingle, c.tensors_));
  } else if (std::filesystem::exists(dir / kIndex, ec)) {
    SLUICE_TRY(c.open_shards(dir));
  } else {
    return fail(Errc::not_found, "{} holds neither {} nor {}", dir.string(), kSingle, kIndex);
  }
  return c;
}

}  // namespace sluice::engine
