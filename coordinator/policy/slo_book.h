#pragma once
// Named service objectives that a person tunes while the service runs. The class "default" is always there. Pure state;
// not thread-safe.
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "common/json/reader.h"
#include "common/result.h"
#include "coordinator/policy/types.h"

namespace sluice::coordinator {

inline constexpr const char* kDefaultClass = "default";
inline constexpr Named<Objective> kObjectives[] = {{"quality", Objective::quality}, {"latency", Objective::latency}};

/// {"ttft_ms", "tpot_ms", "attainment", "quality_kl", "objective", "priority", "seeded_lossy"}
[[nodiscard]] nlohmann::json slo_json(const Slo& s);
/// `s` with any subset of those changed; invalid_argument names the setting at fault.
[[nodiscard]] Result<Slo> changed_slo(Slo s, const nlohmann::json& change);

class SloBook {
 public:
  static constexpr std::size_t kMaxClasses = 64;  // each is a metric label
  explicit SloBook(const Slo& defaults) { classes_.emplace(kDefaultClass, defaults); }

  [[nodiscard]] const Slo& defaults() const { return classes_.at(kDefaultClass); }
  /// not_found names the classes there are.
  [[nodiscard]] Result<Slo> find(const std::string& name) const;
  /// What change() would make of it.
  [[nodiscard]] Result<Slo> changed(const std::string& name, const nlohmann::json& settings) const;
  /// Changes a class, or makes one that starts as the default is. Names are up to 64 of [a-z0-9_-].
  [[nodiscard]] Result<Slo> change(const std::string& name, const nlohmann::json& settings);
  [[nodiscard]] Result<> remove(const std::string& name);
  /// What remove() would refuse.
  [[nodiscard]] Result<> may_remove(const std::string& name) const;
  [[nodiscard]] const std::map<std::string, Slo>& classes() const noexcept { return classes_; }

  /// {"NAME": slo_json, ...}
  [[nodiscard]] nlohmann::json to_json() const;
  /// Takes over every class; nothing is changed when one of them is wrong.
  [[nodiscard]] Result<> restore(const nlohmann::json& classes);

 private:
  std::map<std::string, Slo> classes_;
};

}  // namespace sluice::coordinator
