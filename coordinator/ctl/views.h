#pragma once
// The coordinator's JSON as people read it. Pure; a field that is missing or of another type reads "-", because the
// server may be of another version.
#include <nlohmann/json.hpp>
#include <string>

namespace sluice::ctl {

/// The array or object at a key; empty when there is none.
[[nodiscard]] nlohmann::json list(const nlohmann::json& j, const char* key);
[[nodiscard]] nlohmann::json object_at(const nlohmann::json& j, const char* key);
[[nodiscard]] bool is_true(const nlohmann::json& j, const char* key);
/// 0 when there is none.
[[nodiscard]] double number(const nlohmann::json& j, const char* key);
/// A string, number or boolean as text; "-" for nothing and for anything else.
[[nodiscard]] std::string word(const nlohmann::json& j, const char* key);
[[nodiscard]] std::string millis_at(const nlohmann::json& j, const char* key);

[[nodiscard]] std::string status_text(const nlohmann::json& status, const std::string& address);
[[nodiscard]] std::string nodes_text(const nlohmann::json& nodes);
[[nodiscard]] std::string coordinators_text(const nlohmann::json& coordinators);
[[nodiscard]] std::string slo_text(const nlohmann::json& slo);
[[nodiscard]] std::string slo_classes_text(const nlohmann::json& slos);
[[nodiscard]] std::string slo_explain_text(const nlohmann::json& said);
[[nodiscard]] std::string profiles_text(const nlohmann::json& profiles);
[[nodiscard]] std::string migrate_text(const nlohmann::json& said);
[[nodiscard]] std::string decisions_text(const nlohmann::json& decisions);

}  // namespace sluice::ctl
