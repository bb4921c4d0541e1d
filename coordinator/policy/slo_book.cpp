#include "coordinator/policy/slo_book.h"

#include <algorithm>

#include "common/json/reader.h"

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
  return {{"ttft_ms", s.ttft_s * 1e3},     {"tpot_ms", s.tpot_s * 1e3},      {"attainment", s.attainment},
          {"quality_kl", s.quality_kl},    {"objective", name(s.objective)}, {"priority", s.priority},
          {"seeded_lossy", s.seeded_lossy}};
}

Result<Slo> changed_slo(Slo s, const json& change) {
  JsonReader in(change, {.what = "SLO", .null_is_absent = false, .whole_floats = true});
  JsonObject f = in.object();
  constexpr NumberRange<double> kMillis{.least = 1e-3, .most = 1e7};
  double ms = 0;
  if (f.want("ttft_ms").into(ms, kMillis)) s.ttft_s = ms * 1e-3;
  if (f.want("tpot_ms").into(ms, kMillis)) s.tpot_s = ms * 1e-3;
  f.want("attainment").into(s.attainment, {.least = 0, .most = 1});
  f.want("quality_kl").into(s.quality_kl, {.least = 0, .most = 1e3});
  f.want("objective").into(s.objective, kObjectives);
  f.want("priority").into(s.priority, {.least = -1'000'000, .most = 1'000'000});
  f.want("seeded_lossy").into(s.seeded_lossy);
  f.closed();
  SLUICE_TRY(in.done());
  return s;
}

Result<Slo> SloBook::find(const std::string& name) const {
  if (const auto it = classes_.find(name); it != classes_.end()) return it->second;
  std::string known;
  for (const auto& [n, slo] : classes_) known += (known.empty() ? "" : ", ") + n;
  return std::unexpected(Error{
      Errc::not_found, fmt::format("there is no SLO class '{}' (there are: {})", name.substr(0, 64), known), "class"});
}

Result<Slo> SloBook::changed(const std::string& name, const json& settings) const {
  SLUICE_TRY(check_name(name));
  const auto it = classes_.find(name);
  if (it == classes_.end() && classes_.size() >= kMaxClasses)
    return fail_param("class", "there are {} SLO classes already; remove one first", classes_.size());
  return changed_slo(it == classes_.end() ? defaults() : it->second, settings);
}

Result<Slo> SloBook::change(const std::string& name, const json& settings) {
  SLUICE_ASSIGN(const Slo slo, changed(name, settings));
  classes_[name] = slo;
  return slo;
}

Result<> SloBook::may_remove(const std::string& name) const {
  if (name == kDefaultClass) return fail_param("class", "the class '{}' cannot be removed", kDefaultClass);
  SLUICE_TRY(find(name));
  return {};
}

Result<> SloBook::remove(const std::string& name) {
  SLUICE_TRY(may_remove(name));
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
