#pragma once
// Server-sent events that have a name: `event: TYPE`, `data: {"type": TYPE, ...}`, as Responses and Messages send them.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace sluice::test {

/// The data of each, whose name is that of its type.
inline std::vector<nlohmann::json> events_of(const std::string& text) {
  std::vector<nlohmann::json> out;
  for (std::size_t at = 0; at < text.size();) {
    const auto data = text.find("data: ", at) + 6;
    const auto end = text.find("\n\n", data);
    out.push_back(nlohmann::json::parse(text.substr(data, end - data)));
    CHECK(text.substr(at, data - at - 6) == "event: " + out.back()["type"].get<std::string>() + "\n");
    at = end + 2;
  }
  return out;
}

}  // namespace sluice::test
