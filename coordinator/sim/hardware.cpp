#include "coordinator/sim/hardware.h"

#include <algorithm>

#include "common/files.h"
#include "common/json/parse.h"
#include "common/json/reader.h"
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
    SLUICE_ASSIGN(text, read_file(name, JsonText{}.max_bytes));
  }
  return parse_json_object(text, {.what = name, .code = Errc::data_corrupt, .refuse_repeated = true});
}

constexpr NumberRange<double> kAbove0{.above = 0};

}  // namespace

double pass_seconds(const Hardware& h, const ModelShape& m, double rows, double pairs, double context) {
  const double operations = 2 * m.parameters * rows + 4 * m.attention_width * m.layers * pairs;
  const double bytes = m.weights_bytes + m.kv_bytes_per_token * context;
  return h.pass_s + std::max(operations / (h.flops * h.flops_reached), bytes / (h.memory_bps * h.memory_reached));
}

Result<std::vector<ProfileSpec>> parse_profiles(const json& j) {
  JsonReader in(j, {.what = "profiles", .code = Errc::data_corrupt});
  JsonObject f = in.object();
  std::vector<ProfileSpec> out;
  f.need("profiles").each({.least = 1}, [&](const JsonValue& v) {
    JsonObject p = v.object();
    ProfileSpec& spec = out.emplace_back();
    p.need("name").into(spec.name);
    p.need("ratio").into(spec.ratio, kAbove0);
    p.need("kl").into(spec.kl, {.least = 0});
  });
  SLUICE_TRY(in.done());
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
  JsonReader in(j, {.what = "hardware", .code = Errc::data_corrupt});
  JsonObject f = in.object();
  Hardware h;
  h.name = "node";
  h.flops_reached = 0.5;
  h.memory_reached = 0.7;
  h.pass_s = 1e-3;
  f.want("name").into(h.name);
  f.need("flops").into(h.flops, kAbove0);
  f.need("memory_bps").into(h.memory_bps, kAbove0);
  f.want("flops_reached").into(h.flops_reached, kAbove0);
  f.want("memory_reached").into(h.memory_reached, kAbove0);
  f.want("pass_s").into(h.pass_s, kAbove0);
  f.need("kv_bytes").into(h.kv_bytes, kAbove0);
  f.want("host_copy_bps").into(h.host_copy_bps, kAbove0);
  f.want("profiles").into(h.profiles);
  f.need("codecs").members({}, [&](const std::string& profile, const JsonValue& v) {
    JsonObject c = v.object();
    CodecSpeed& speed = h.codecs.emplace_back(CodecSpeed{profile});
    c.need("encode_bps").into(speed.encode_bps, kAbove0);
    c.need("decode_bps").into(speed.decode_bps, kAbove0);
  });
  SLUICE_TRY(in.done());
  return h;
}

Result<ModelShape> parse_model(const json& j) {
  JsonReader in(j, {.what = "model", .code = Errc::data_corrupt});
  JsonObject f = in.object();
  ModelShape m;
  double layers = 0;
  f.want("name").into(m.name);
  f.need("layers").into(layers, {.least = 1});
  f.need("weights_bytes").into(m.weights_bytes, kAbove0);
  f.need("parameters").into(m.parameters, kAbove0);
  f.need("kv_bytes_per_token").into(m.kv_bytes_per_token, kAbove0);
  f.need("attention_width").into(m.attention_width, kAbove0);
  SLUICE_TRY(in.done());
  m.layers = static_cast<std::uint32_t>(std::min(layers, 1e4));
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
