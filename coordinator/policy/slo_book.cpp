#include "coordinator/policy/slo_book.h"

#include <algorithm>
#include <cmath>

namespace sluice::coordinator {

using nlohmann::json;

namespace {

Result<> check_name(const std::string& name) {
  const auto fine = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'; };
  if (name.empty() || name.size() > 64 || !std::ranges::all_of(name, fine))
    return fail_param("class", "an SLO class is named by up to 64 of a-z, 0-9, - and _");
  return {};
}

}  // namespace

json slo_json(const Slo& s) {
  return {{"ttft_ms", s.ttft_s * 1e3},
          {"tpot_ms", s.tpot_s * 1e3},
          {"attainment", s.attainment},
          {"quality_kl", s.quality_kl},
          {"priority", s.priority}};
}

Result<Slo> changed_slo(Slo s, const json& change) {
  if (!change.is_object()) return fail(Errc::invalid_argument, "an SLO change must be an object");
  double priority = s.priority;
  struct Setting {
    const char* key;
    double* value;
    double scale, low, high;
  };
  const Setting settings[] = {{"ttft_ms", &s.ttft_s, 1e-3, 1e-3, 1e7},
                              {"tpot_ms", &s.tpot_s, 1e-3, 1e-3, 1e7},
                              {"attainment", &s.attainment, 1, 0, 1},
                              {"quality_kl", &s.quality_kl, 1, 0, 1e3},
                              {"priority", &priority, 1, -1e6, 1e6}};
  for (const auto& [key, v] : change.items()) {
    const auto it = std::ranges::find_if(settings, [&](const Setting& t) { return key == t.key; });
    if (it == std::end(settings))
      return fail_param(key, "'{}' is not an SLO setting; use ttft_ms, tpot_ms, attainment, quality_kl or priority",
                        key);
    if (!v.is_number() || !std::isfinite(v.get<double>()) || v.get<double>() < it->low || v.get<double>() > it->high)
      return fail_param(key, "'{}' must be a number from {} to {}", key, it->low, it->high);
    *it->value = v.get<double>() * it->scale;
  }
  s.priority = static_cast<int>(priority);
  return s;
}

Result<Slo> SloBook::find(const std::string& name) const {
  if (const auto it = classes_.find(name); it != classes_.end()) return it->second;
  std::string known;
  for (const auto& [n, slo] : classes_) known += (known.empty() ? "" : ", ") + n;
  return std::unexpected(Error{
      Errc::not_found, fmt::format("there is no SLO class '{}' (there are: {})", name.substr(0, 64), known), "class"});
}

Result<Slo> SloBook::change(const std::string& name, const json& settings) {
  SLUICE_TRY(check_name(name));
  const auto it = classes_.find(name);
  if (it == classes_.end() && classes_.size() >= kMaxClasses)
    return fail_param("class", "there are {} SLO classes already; remove one first", classes_.size());
  SLUICE_ASSIGN(const Slo slo, changed_slo(it == classes_.end() ? defaults() : it->second, settings));
  classes_[name] = slo;
  return slo;
}

Result<> SloBook::remove(const std::string& name) {
  if (name == kDefaultClass) return fail_param("class", "the class '{}' cannot be removed", kDefaultClass);
  SLUICE_TRY(find(name));
  classes_.erase(name);
  return {};
}

json SloBook::to_json() const {
  json out = json::object();
  for (const auto& [name, slo] : classes_) out[name] = slo_json(slo);
  return out;
}

Result<> SloBook::restore(const json& classes) {
  if (!classes.is_object()) return fail(Errc::data_corrupt, "SLO classes must be an object");
  SloBook next = *this;
  for (const auto& [name, settings] : classes.items()) SLUICE_TRY(next.change(name, settings));
  classes_ = std::move(next.classes_);
  return {};
}

}  // namespace sluice::coordinator
