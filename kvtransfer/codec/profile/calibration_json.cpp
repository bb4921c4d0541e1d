#include "kvtransfer/codec/profile/calibration_json.h"

#include <xxhash.h>

#include <cmath>
#include <nlohmann/json.hpp>

namespace sluice::kv {
namespace {

using nlohmann::json;

constexpr float kMost = 0x1p60F, kLeast = 0x1p-60F;
constexpr std::uint32_t kMaxSide = 4096;

Result<std::vector<float>> numbers(const json& j, const char* kind, const char* field, std::size_t count) {
  const auto k = j.find(kind);
  if (k == j.end() || !k->is_object() || !k->contains(field) || !(*k)[field].is_array() || (*k)[field].size() != count)
    return fail_param("calibration", "the KV calibration needs {}.{} with {} numbers", kind, field, count);
  std::vector<float> out;
  out.reserve(count);
  for (const json& v : (*k)[field]) {
    const float f = v.is_number() ? v.get<float>() : NAN;
    const bool scale = std::string_view(field) == "scale";
    if (!(std::fabs(f) <= kMost) || (scale && !(f >= kLeast)))
      return fail_param("calibration", "the KV calibration's {}.{} holds a number out of range", kind, field);
    out.push_back(f);
  }
  return out;
}

Result<std::uint32_t> side(const json& j, const char* field) {
  const auto v = j.find(field);
  if (v == j.end() || !v->is_number_unsigned() || v->get<std::uint64_t>() == 0 || v->get<std::uint64_t>() > kMaxSide)
    return fail_param("calibration", "the KV calibration needs '{}' from 1 to {}", field, kMaxSide);
  return v->get<std::uint32_t>();
}

}  // namespace

Result<CalibrationPtr> parse_calibration(std::string_view text) {
  constexpr std::size_t kMaxText = 256U << 20;
  if (text.size() > kMaxText) return fail_param("calibration", "a KV calibration of more than {} bytes", kMaxText);
  const json j = json::parse(text, nullptr, false);
  if (!j.is_object()) return fail_param("calibration", "the KV calibration is no JSON object");
  auto c = std::make_shared<Calibration>();
  SLUICE_ASSIGN(c->layers, side(j, "layers"));
  SLUICE_ASSIGN(c->kv_heads, side(j, "kv_heads"));
  SLUICE_ASSIGN(c->head_dim, side(j, "head_dim"));
  const std::size_t n = std::size_t{c->layers} * c->kv_heads * c->head_dim;
  std::uint64_t digest = n;
  for (const std::size_t kind : {0U, 1U}) {
    const char* name = kind == 0 ? "key" : "value";
    SLUICE_ASSIGN(c->shift[kind], numbers(j, name, "shift", n));
    SLUICE_ASSIGN(c->scale[kind], numbers(j, name, "scale", n));
    for (const float s : c->scale[kind]) c->inverse[kind].push_back(1.0F / s);
    digest = XXH64(c->shift[kind].data(), 4 * n, digest);
    digest = XXH64(c->scale[kind].data(), 4 * n, digest);
  }
  c->digest = digest;
  return c;
}

}  // namespace sluice::kv
