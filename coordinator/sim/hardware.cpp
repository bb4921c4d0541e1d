#include "coordinator/sim/hardware.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>

namespace sluice::sim {
namespace {

using nlohmann::json;

/// One figure S of both directions together, split as KVServe's quantizer is on an H100: encode 1 : decode 2.15.
CodecSpeed both(const char* profile, double s) {
  const double encode = s * (1 + 1 / 2.15);
  return {profile, encode, 2.15 * encode};
}

/// Published figures (docs/evidence/controller.md names each source), in raw bf16 bytes per second.
std::vector<CodecSpeed> gpu_codecs(double scale) {
  std::vector<CodecSpeed> t{{"raw", 2e12, 2e12},       {"int8", 123e9, 259e9},
                            {"int4", 91e9, 143e9},     both("cachegen+ans", 78.1e9),
                            both("quant+ans", 58.1e9), both("hadamard+quant+ans", 41.55e9)};
  for (auto& c : t) {
    c.encode_bps *= scale;
    c.decode_bps *= scale;
  }
  return t;
}

const std::vector<Hardware>& built_in() {
  static const std::vector<Hardware> all{{"a100", 312e12, 2.04e12, 0.5, 0.7, 4e-3, 50e9, gpu_codecs(0.6)},
                                         {"h100", 989e12, 3.35e12, 0.5, 0.7, 4e-3, 50e9, gpu_codecs(1)},
                                         {"h200", 989e12, 4.8e12, 0.5, 0.7, 4e-3, 110e9, gpu_codecs(1)},
                                         {"rtx5090", 209e12, 1.79e12, 0.5, 0.7, 4e-3, 10e9, gpu_codecs(0.5)}};
  return all;
}

Result<json> read_json(const std::string& file) {
  std::ifstream in(file);
  if (!in) return fail(Errc::not_found, "cannot read {}", file);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  auto j = json::parse(text, nullptr, false);
  if (!j.is_object()) return fail(Errc::data_corrupt, "{} holds no JSON object", file);
  return j;
}

/// A positive number at `key`, or `fallback` when it is absent and there is one.
Result<double> positive(const json& j, const char* key, double fallback = -1) {
  const auto it = j.find(key);
  if (it == j.end() && fallback > 0) return fallback;
  if (it == j.end() || !it->is_number() || !(it->get<double>() > 0) || !std::isfinite(it->get<double>()))
    return std::unexpected(Error{Errc::data_corrupt, fmt::format("'{}' must be a number above 0", key), key});
  return it->get<double>();
}

}  // namespace

double pass_seconds(const Hardware& h, const ModelShape& m, double rows, double pairs, double context) {
  const double operations = 2 * m.parameters * rows + 4 * m.attention_width * m.layers * pairs;
  const double bytes = m.weights_bytes + m.kv_bytes_per_token * context;
  return h.pass_s + std::max(operations / (h.flops * h.flops_reached), bytes / (h.memory_bps * h.memory_reached));
}

const std::vector<ProfileSpec>& default_profiles() {
  static const std::vector<ProfileSpec> all{{"raw", 0, 1},
                                            {"int8", 0.0005, 2},
                                            {"int4", 0.02, 3.6},
                                            {"cachegen+ans", 0.02, 5.26},
                                            {"quant+ans", 0.045, 9.18},
                                            {"hadamard+quant+ans", 0.04, 10.3}};
  return all;
}

Result<Hardware> parse_hardware(const json& j) {
  Hardware h;
  h.name = j.contains("name") && j["name"].is_string() ? j["name"].get<std::string>() : "node";
  SLUICE_ASSIGN(h.flops, positive(j, "flops"));
  SLUICE_ASSIGN(h.memory_bps, positive(j, "memory_bps"));
  SLUICE_ASSIGN(h.flops_reached, positive(j, "flops_reached", 0.5));
  SLUICE_ASSIGN(h.memory_reached, positive(j, "memory_reached", 0.7));
  SLUICE_ASSIGN(h.pass_s, positive(j, "pass_s", 1e-3));
  SLUICE_ASSIGN(h.kv_bytes, positive(j, "kv_bytes"));
  if (!j.contains("codecs") || !j["codecs"].is_object())
    return std::unexpected(Error{Errc::data_corrupt, "'codecs' must be an object by profile", "codecs"});
  for (const auto& [profile, c] : j["codecs"].items()) {
    if (!c.is_object()) return std::unexpected(Error{Errc::data_corrupt, "a codec must be an object", profile});
    CodecSpeed s{profile};
    SLUICE_ASSIGN(s.encode_bps, positive(c, "encode_bps"));
    SLUICE_ASSIGN(s.decode_bps, positive(c, "decode_bps"));
    h.codecs.push_back(s);
  }
  return h;
}

Result<ModelShape> parse_model(const json& j) {
  ModelShape m;
  if (j.contains("name") && j["name"].is_string()) m.name = j["name"].get<std::string>();
  SLUICE_ASSIGN(const double layers, positive(j, "layers"));
  m.layers = static_cast<std::uint32_t>(std::min(layers, 1e4));
  SLUICE_ASSIGN(m.weights_bytes, positive(j, "weights_bytes"));
  SLUICE_ASSIGN(m.parameters, positive(j, "parameters"));
  SLUICE_ASSIGN(m.kv_bytes_per_token, positive(j, "kv_bytes_per_token"));
  SLUICE_ASSIGN(m.attention_width, positive(j, "attention_width"));
  return m;
}

Result<ModelShape> find_model(const std::string& name) {
  if (name == "llama-3.1-8b") return ModelShape{};
  if (!name.ends_with(".json"))
    return fail(Errc::not_found, "there is no model '{}'; use llama-3.1-8b, or a JSON file", name);
  SLUICE_ASSIGN(const json j, read_json(name));
  return parse_model(j);
}

Result<Hardware> find_hardware(const std::string& name) {
  const auto it = std::ranges::find(built_in(), name, &Hardware::name);
  if (it != built_in().end()) return *it;
  if (!name.ends_with(".json"))
    return fail(Errc::not_found, "there is no hardware '{}'; use a100, h100, h200, rtx5090, or a JSON file", name);
  SLUICE_ASSIGN(const json j, read_json(name));
  return parse_hardware(j);
}

}  // namespace sluice::sim
