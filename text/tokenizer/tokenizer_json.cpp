#include "text/tokenizer/tokenizer_json.h"

#include "common/files.h"
#include "common/json/parse.h"
#include "common/lfs_pointer.h"
#include "common/utf8.h"

namespace sluice::text {
namespace {

constexpr std::size_t kMaxFileBytes = 256ULL << 20U;  // the largest published tokenizer.json is near 35 MB
constexpr int kMaxDepth = 1024;                       // components nest; they are bounded by name where they are read

}  // namespace

std::optional<JsonItem> JsonItem::find(std::string_view key) const {
  if (!value_->is_object()) refuse(Errc::invalid_argument, "expected an object, found {}", value_->type_name());
  const auto it = value_->find(key);
  if (it == value_->end() || it->is_null()) return std::nullopt;
  return JsonItem(*it, file_, path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key));
}

JsonItem JsonItem::at(std::string_view key) const {
  auto item = find(key);
  if (!item) refuse(Errc::invalid_argument, "\"{}\" is missing", key);
  return *std::move(item);
}

JsonItem JsonItem::at(std::size_t index) const {
  return {(*value_)[index], file_, fmt::format("{}[{}]", path_, index)};
}

std::size_t JsonItem::array_size() const {
  if (!value_->is_array()) refuse(Errc::invalid_argument, "expected an array, found {}", value_->type_name());
  return value_->size();
}

const std::string& JsonItem::text() const {
  if (!value_->is_string()) refuse(Errc::invalid_argument, "expected a string, found {}", value_->type_name());
  return value_->get_ref<const std::string&>();
}

char32_t JsonItem::character() const {
  const auto step = utf8_step(text());
  if (!step.valid || step.length != text().size())
    refuse(Errc::invalid_argument, "expected one character, found \"{}\"", text());
  return step.code_point;
}

std::int64_t JsonItem::integer(std::int64_t low, std::int64_t high) const {
  if (!value_->is_number_integer()) refuse(Errc::invalid_argument, "expected an integer, found {}", value_->dump());
  const bool too_big =
      value_->is_number_unsigned() && value_->get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX);
  if (too_big || value_->get<std::int64_t>() < low || value_->get<std::int64_t>() > high)
    refuse(Errc::invalid_argument, "{} is outside {}..{}", value_->dump(), low, high);
  return value_->get<std::int64_t>();
}

bool JsonItem::boolean() const {
  if (!value_->is_boolean()) refuse(Errc::invalid_argument, "expected true or false, found {}", value_->type_name());
  return value_->get<bool>();
}

bool JsonItem::boolean(std::string_view key, bool otherwise) const {
  const auto item = find(key);
  return item ? item->boolean() : otherwise;
}

std::optional<nlohmann::json> read_json_file(const std::filesystem::path& path) {
  std::error_code ec;
  if (!std::filesystem::exists(path, ec) && !ec) return std::nullopt;
  const auto text = read_file(path, kMaxFileBytes);
  if (!text) throw LoadError(text.error());
  if (const auto whole = refuse_lfs_pointer(*text, path); !whole) throw LoadError(whole.error());
  auto j = parse_json(*text, {.what = path.string(), .max_bytes = kMaxFileBytes, .max_depth = kMaxDepth});
  if (!j) throw LoadError(j.error());
  return *std::move(j);
}

}  // namespace sluice::text
