// Profiles as JSON that the codec's parser takes; fields at their default are left out.
#include <cmath>

#include "tools/profiler/space.h"

namespace sluice::profiler {
namespace {

using nlohmann::json;

const char* word(kv::QuantizerKind q) {
  switch (q) {
    case kv::QuantizerKind::none:
      return "none";
    case kv::QuantizerKind::absmax:
      return "absmax";
    case kv::QuantizerKind::fp8:
      return "fp8";
    case kv::QuantizerKind::lloyd:
      return "lloyd";
    case kv::QuantizerKind::uniform:
      return "uniform";
    case kv::QuantizerKind::minmax:
      return "minmax";
  }
  return "";
}

const char* word(kv::Coder c) {
  switch (c) {
    case kv::Coder::pack:
      return "pack";
    case kv::Coder::rans:
      return "rans";
    case kv::Coder::zstd:
      return "zstd";
    case kv::Coder::lz4:
      return "lz4";
    case kv::Coder::raw:
      return "raw";
    case kv::Coder::split4:
      return "split4";
    case kv::Coder::exp_rans:
      return "exp_rans";
  }
  return "";
}

/// The float as few digits as give it back: 0.4, not 0.4000000059604645.
double short_number(float f) { return std::stod(fmt::format("{}", f)); }

}  // namespace

json to_json(const kv::ClassSpec& c) {
  json j{{"coder", word(c.coder)}};
  if (c.quantizer == kv::QuantizerKind::none) return j;
  j["quantizer"] = word(c.quantizer);
  if (c.quantizer != kv::QuantizerKind::fp8) j["levels"] = c.levels;
  if (c.transform == kv::Transform::hadamard) j["transform"] = "hadamard";
  if (c.step > 0) j["step"] = short_number(c.step);
  if (c.shrink > 0) j["shrink"] = short_number(c.shrink);
  if (c.axis == kv::Axis::channel) j["axis"] = "channel", j["page"] = c.page;
  if (c.group > 0) j["group"] = c.group;
  if (c.scale == kv::Scale::log8) j["scale"] = "log8";
  if (c.calibrated) j["calibrated"] = true;
  return j;
}

json to_json(const kv::ProfileSpec& p) {
  json j{{"name", p.name}, {"stated_kl", p.stated_kl}, {"nominal_ratio", p.nominal_ratio}};
  if (!p.about.empty()) j["about"] = p.about;
  if (p.comparator) j["comparator"] = true;
  if (!p.codec.empty()) {
    j["codec"] = p.codec;
    return j;
  }
  for (const auto& c : p.classes) j["classes"][c.name] = to_json(c);
  j["key"] = p.classes[p.key].name;
  j["value"] = p.classes[p.value].name;
  for (const auto& r : p.rules) {
    json rule{{"class", p.classes[r.use].name}};
    if (!r.layers.empty()) rule["layers"] = r.layers;
    if (!r.heads.empty()) rule["heads"] = r.heads;
    if (r.keys != r.values) rule["kinds"] = r.keys ? "k" : "v";
    j["rules"].push_back(std::move(rule));
  }
  if (p.sinks > 0) j["sinks"] = p.sinks;
  if (p.tail > 0) j["tail"] = p.tail;
  return j;
}

}  // namespace sluice::profiler
