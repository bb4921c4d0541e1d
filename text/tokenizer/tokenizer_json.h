#pragma once
// Reading a model's JSON files with errors that name the file and the item. Used while loading only, so these
// throw (LoadError); Tokenizer::load turns what they throw into a Result.
#include <cstdint>
#include <exception>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "common/result.h"

namespace sluice::text {

class LoadError final : public std::exception {
 public:
  explicit LoadError(Error e) : error(std::move(e)) {}
  [[nodiscard]] const char* what() const noexcept override { return error.message.c_str(); }
  Error error;
};

/// A value in a JSON document and the way to it, e.g. "tokenizer.json: model.merges[12]". Does not own the document.
class JsonItem {
 public:
  JsonItem(const nlohmann::json& value, std::string file) : JsonItem(value, std::move(file), "") {}

  [[nodiscard]] const nlohmann::json& json() const noexcept { return *value_; }
  /// A member that may be absent or null.
  [[nodiscard]] std::optional<JsonItem> find(std::string_view key) const;
  [[nodiscard]] JsonItem at(std::string_view key) const;
  [[nodiscard]] JsonItem at(std::size_t index) const;
  [[nodiscard]] std::size_t array_size() const;

  [[nodiscard]] const std::string& text() const;
  [[nodiscard]] char32_t character() const;  // a string of exactly one code point
  [[nodiscard]] std::int64_t integer(std::int64_t low, std::int64_t high) const;
  [[nodiscard]] bool boolean() const;
  [[nodiscard]] bool boolean(std::string_view key, bool otherwise) const;
  /// The "type" member: which kind of component this is.
  [[nodiscard]] const std::string& type() const { return at("type").text(); }

  template <class... A>
  [[noreturn]] void refuse(Errc code, fmt::format_string<A...> f, A&&... args) const {
    throw LoadError({code, where() + ": " + fmt::format(f, std::forward<A>(args)...), {}});
  }

  /// Runs `leaf` on each component of a {"type": "Sequence", <key>: [...]} tree, in order.
  template <class F>
  void for_each_component(std::string_view key, F&& leaf, int depth = 0) const {
    if (type() != "Sequence") return leaf(*this);
    if (depth == 16) refuse(Errc::invalid_argument, "Sequence nested more than 16 deep");
    const auto parts = at(key);
    for (std::size_t i = 0; i < parts.array_size(); ++i) parts.at(i).for_each_component(key, leaf, depth + 1);
  }

 private:
  JsonItem(const nlohmann::json& value, std::string file, std::string path)
      : value_(&value), file_(std::move(file)), path_(std::move(path)) {}
  [[nodiscard]] std::string where() const { return path_.empty() ? file_ : file_ + ": " + path_; }

  const nlohmann::json* value_;
  std::string file_;
  std::string path_;
};

/// The parsed file, or nothing if there is no such file. Throws LoadError if it can't be read or parsed.
[[nodiscard]] std::optional<nlohmann::json> read_json_file(const std::filesystem::path& path);

}  // namespace sluice::text
