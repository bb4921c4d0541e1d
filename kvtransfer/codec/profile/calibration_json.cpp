#include "kvtransfer/codec/profile/calibration_json.h"

#include <xxhash.h>

#include <nlohmann/json.hpp>

#include "common/json/parse.h"
#include "common/json/reader.h"

namespace sluice::kv {
namespace {

using nlohmann::json;

constexpr float kMost = 0x1p60F, kLeast = 0x1p-60F;
constexpr std::uint32_t kMaxSide = 4096;

}  // namespace

Result<CalibrationPtr> parse_calibration(std::string_view text) {
  constexpr std::size_t kMaxText = 256U << 20;
  SLUICE_ASSIGN(const json j, parse_json(text, {.what = "the KV calibration", .max_bytes = kMaxText}));
  JsonReader in(j, {.what = "the KV calibration", .null_is_absent = false});
  JsonObject f = in.object();
  auto c = std::make_shared<Calibration>();
  const NumberRange<std::uint32_t> side{.least = 1, .most = kMaxSide};
  f.need("layers").into(c->layers, side);
  f.need("kv_heads").into(c->kv_heads, side);
  f.need("head_dim").into(c->head_dim, side);
  SLUICE_TRY(in.done());
  const std::size_t n = std::size_t{c->layers} * c->kv_heads * c->head_dim;
  const FieldName kinds[] = {"key", "value"};
  std::uint64_t digest = n;
  for (const std::size_t kind : {0U, 1U}) {
    JsonObject k = f.need(kinds[kind]).object();
    k.need("shift").into(c->shift[kind], {n, n}, {.least = -kMost, .most = kMost});
    k.need("scale").into(c->scale[kind], {n, n}, {.least = kLeast, .most = kMost});
    SLUICE_TRY(in.done());
    for (const float s : c->scale[kind]) c->inverse[kind].push_back(1.0F / s);
    digest = XXH64(c->shift[kind].data(), 4 * n, digest);
    digest = XXH64(c->scale[kind].data(), 4 * n, digest);
  }
  c->digest = digest;
  return c;
}

}  // namespace sluice::kv
