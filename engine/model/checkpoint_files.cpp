#include "engine/model/checkpoint_files.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>
#include <system_error>
#include <vector>

#include "common/json/parse.h"
#include "common/json/reader.h"

namespace sluice::engine {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::size_t kMaxIndexBytes = 64U << 20;
constexpr std::size_t kMaxListed = 8;

// A shard lies below the model's directory. Its file may be a link elsewhere: Hugging Face caches are made so.
bool is_shard_path(const std::string& name) {
  if (!name.ends_with(".safetensors") || name.find('\0') != std::string::npos || name.find('\\') != std::string::npos)
    return false;
  // No part may be empty (also an absolute path's first) or begin with a dot (hidden, or "..").
  const fs::path path(name);
  return path.is_relative() &&
         std::ranges::none_of(path, [](const fs::path& p) { return p.empty() || p.native().front() == '.'; });
}

// Files that hold weights in a form this engine does not read.
bool is_other_weights(const std::string& name) {
  return name.ends_with(".bin") || name.ends_with(".pth") || name.ends_with(".pt") || name.ends_with(".gguf") ||
         name.ends_with(".h5") || name.ends_with(".msgpack") || name.ends_with(".safetensors");
}

std::vector<std::string> weight_like(const fs::path& dir) {
  std::vector<std::string> out;
  std::error_code ec;
  fs::directory_iterator it(dir, ec);
  for (; !ec && it != fs::directory_iterator() && out.size() < kMaxListed; it.increment(ec))
    if (const std::string name = it->path().filename().string(); is_other_weights(name)) out.push_back(name);
  std::ranges::sort(out);
  return out;
}

// What somebody with these files should do.
std::string_view advice(const std::vector<std::string>& names) {
  const auto any = [&](auto&& like) { return std::ranges::any_of(names, like); };
  if (any([](const std::string& n) { return n.starts_with("adapter_"); }))
    return "it is an adapter (LoRA), not a model; merge it into its base model and save that";
  if (any([](const std::string& n) { return n.starts_with("model-") && n.ends_with(".safetensors"); }))
    return "the shards' index is missing; download the directory again";
  if (any([](const std::string& n) { return n.starts_with("consolidated"); }))
    return "these are the authors' own files, not Hugging Face's; get or make the model in that form";
  if (any([](const std::string& n) { return n.ends_with(".bin") || n.starts_with("pytorch_model"); }))
    return "pickled files are not read, since loading one can run code; save the model with transformers' "
           "save_pretrained(), which writes safetensors";
  if (any([](const std::string& n) { return n.ends_with(".gguf"); }))
    return "GGUF is not read; use the model that it was made from";
  return "convert the model with transformers' save_pretrained(), which writes safetensors";
}

}  // namespace

Result<fs::path> find_weights(const fs::path& dir) {
  std::error_code ec;
  for (const char* name : {kSingleFile, kIndexFile})
    if (fs::exists(dir / name, ec)) return dir / name;
  for (const char* name : {kSingleFile, kIndexFile})
    if (fs::is_symlink(fs::symlink_status(dir / name, ec)))
      return fail(Errc::not_found, "{} is a link to {}, which is not there; the download is incomplete",
                  (dir / name).string(), fs::read_symlink(dir / name, ec).string());
  const auto others = weight_like(dir);
  if (others.empty()) return fail(Errc::not_found, "{} holds neither {} nor {}", dir.string(), kSingleFile, kIndexFile);
  return fail(Errc::not_found, "{} holds neither {} nor {}, but {}: {}", dir.string(), kSingleFile, kIndexFile,
              fmt::join(others, ", "), advice(others));
}

Result<WeightFiles> parse_weight_index(std::span<const std::byte> bytes, const fs::path& index) {
  const std::string what = index.string();
  SLUICE_ASSIGN(const json root, parse_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()},
                                            {.what = what, .code = Errc::data_corrupt, .max_bytes = kMaxIndexBytes}));
  JsonReader in(root, {.what = what, .code = Errc::data_corrupt});
  JsonObject f = in.object();
  WeightFiles out;
  f.need("weight_map").members({}, [&](const std::string& tensor, const JsonValue& v) {
    std::string file;
    if (v.into(file) && !is_shard_path(file)) v.wrong("must be a *.safetensors below {}", index.parent_path().string());
    out.emplace(tensor, std::move(file));
  });
  SLUICE_TRY(in.done());
  return out;
}

}  // namespace sluice::engine
