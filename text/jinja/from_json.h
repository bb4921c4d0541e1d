#pragma once
// JSON to values. What a client sent is marked as typed by it (text.h).
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

#include "text/jinja/value.h"

namespace sluice::text::jinja {

enum class Writer { template_, client };

/// JSON whose integers beyond 64 bits keep their digits (as binary nodes, which JSON text cannot hold otherwise); null
/// if it is none. Objects keep the order of their keys.
[[nodiscard]] std::optional<nlohmann::ordered_json> parse_exact(std::string_view text);

[[nodiscard]] Value from_json(const nlohmann::json& j, Writer writer, Budget& budget);
[[nodiscard]] Value from_json(const nlohmann::ordered_json& j, Writer writer, Budget& budget);

/// Bytes of text in it, and a few for each value: what the limits grow by.
[[nodiscard]] std::size_t input_size(const nlohmann::json& j);
[[nodiscard]] std::size_t input_size(const nlohmann::ordered_json& j);

}  // namespace sluice::text::jinja
