#include "coordinator/sim/hardware.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>

#include "coordinator/sim/hardware_files.h"

namespace sluice::sim {
namespace {

using nlohmann::json;

constexpr std::string_view kProfiles = "profiles_";

/// A file of hardware/ by its name, or a user's by its path.
Result<json> read_json(const std::string& prefix, const std::string& name, const char* what) {
  const auto& files = hardware_files();
  std::string text;
  if (const auto it = files.find(prefix + name); it != files.end()) {
    text = it->second;
  } else {
    std::string known;
    for (const auto& [n, t] : files)
      if (n.starts_with(kProfiles) != prefix.empty()) known += n.substr(prefix.size()) + ", ";
    if (!name.ends_with(".json"))
      return fail(Errc::not_found, "there is no {} '{}'; use {}or a JSON file", what, name, known);
    std::ifstream in(name);
    if (!in) return fail(Errc::not_found, "cannot read {}", name);
    text.assign(std::istreambuf_iterator<char>(in), {});
  }
  auto j = json::parse(text, nullptr, false);
  if (!j.is_object()) return fail(Errc::data_corrupt, "{} holds no JSON object", name);
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

Result<std::vector<ProfileSpec>> parse_profiles(const json& j) {
  std::vector<ProfileSpec> out;
  for (const auto& f : j.contains("profiles") && j["profiles"].is_array() ? j["profiles"] : json::array()) {
    ProfileSpec p;
    if (!f.is_object() || !f.contains("name") || !f["name"].is_string())
      return std::unexpected(Error{Errc::data_corrupt, "each profile needs a 'name'", "profiles"});
    p.name = f["name"].get<std::string>();
    SLUICE_ASSIGN(p.ratio, positive(f, "ratio"));
    const auto kl = f.find("kl");
    if (kl == f.end() || !kl->is_number() || !(kl->get<double>() >= 0))
      return std::unexpected(Error{Errc::data_corrupt, "'kl' must be a number, 0 or more", "kl"});
    p.kl = kl->get<double>();
    out.push_back(p);
  }
  if (out.empty()) return std::unexpected(Error{Errc::data_corrupt, "'profiles' must list profiles", "profiles"});
  return out;
}

Result<std::vector<ProfileSpec>> find_profiles(const std::string& name) {
  SLUICE_ASSIGN(const json j, read_json(std::string(kProfiles), name, "set of profiles"));
  return parse_profiles(j);
}

std::vector<std::string> known_hardware() {
  std::vector<std::string> names;
  for (const auto& [name, text] : hardware_files())
    if (!name.starts_with(kProfiles)) names.push_back(name);
  return names;
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
  if (j.contains("profiles") && j["profiles"].is_string()) h.profiles = j["profiles"].get<std::string>();
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
  if (layers < 1) return std::unexpected(Error{Errc::data_corrupt, "'layers' must be a number, 1 or more", "layers"});
  m.layers = static_cast<std::uint32_t>(std::min(layers, 1e4));
  SLUICE_ASSIGN(m.weights_bytes, positive(j, "weights_bytes"));
  SLUICE_ASSIGN(m.parameters, positive(j, "parameters"));
  SLUICE_ASSIGN(m.kv_bytes_per_token, positive(j, "kv_bytes_per_token"));
  SLUICE_ASSIGN(m.attention_width, positive(j, "attention_width"));
  return m;
}

Result<ModelShape> find_model(const std::string& name) {
  if (name == ModelShape{}.name) return ModelShape{};
  if (!name.ends_with(".json"))
    return fail(Errc::not_found, "there is no model '{}'; use llama-3.1-8b, or a JSON file", name);
  SLUICE_ASSIGN(const json j, read_json("", name, "model"));
  return parse_model(j);
}

Result<Hardware> find_hardware(const std::string& name) {
  if (name.starts_with(kProfiles)) return fail(Errc::not_found, "there is no hardware '{}'", name);
  SLUICE_ASSIGN(const json j, read_json("", name, "hardware"));
  return parse_hardware(j);
}

}  // namespace sluice::sim
