#pragma once
// What a template expects as a message's content: a string, or a list of parts ({"type": "text", "text": ...}). Clients
// of the OpenAI API send either; a template given the other kind loses the text, or prints a list as Python would.
// Found out at load, by rendering a chat of each kind and looking for its words; for each role apart, since templates
// that walk the user's parts often take the system's content as it is.
#include <array>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::text {

enum class Content { text, parts, either };

/// Renders messages; null where the template refuses them.
using TryRender = std::function<std::optional<std::string>(const nlohmann::ordered_json& messages)>;

class ContentFormat {
 public:
  ContentFormat() = default;  // text for all
  [[nodiscard]] static ContentFormat of(const TryRender& render);

  /// Of an unknown role: the user's.
  [[nodiscard]] Content of_role(std::string_view role) const;

 private:
  std::array<Content, 4> by_role_{};
};

/// The content as the template expects it; null if it is so already, or has parts that are not text.
[[nodiscard]] std::optional<nlohmann::ordered_json> adapt_content(const nlohmann::ordered_json& content,
                                                                  Content expected);

}  // namespace sluice::text
