#pragma once
// Every JSON document that differs from a good one in one place: another type there, or nothing.
#include <nlohmann/json.hpp>

namespace sluice::test {

/// Calls see(mutation, path) for each.
template <class F>
void each_mutation(const nlohmann::json& good, F see) {
  using nlohmann::json;
  static const json kOthers[] = {nullptr,
                                 true,
                                 -1,
                                 0.5,
                                 "",
                                 "x",
                                 json::array(),
                                 json::array({1}),
                                 json::object(),
                                 {{"a", 1}},
                                 json::array({nullptr}),
                                 1e300,
                                 json::array({{{"type", "x"}}})};
  const auto walk = [&](const auto& self, const json& at, const json::json_pointer& path) -> void {
    if (!path.empty()) {
      for (const json& other : kOthers) {
        json mutation = good;
        mutation[path] = other;
        see(mutation, path.to_string());
      }
      json mutation = good;
      json& owner = mutation[path.parent_pointer()];
      if (owner.is_object())
        owner.erase(path.back());
      else
        owner.erase(std::stoul(path.back()));
      see(mutation, path.to_string());
    }
    if (at.is_object())
      for (const auto& [name, value] : at.items()) self(self, value, path / name);
    if (at.is_array())
      for (std::size_t i = 0; i < at.size(); ++i) self(self, at[i], path / i);
  };
  walk(walk, good, json::json_pointer());
}

}  // namespace sluice::test
