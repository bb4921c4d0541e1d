// Profiles as people write them. Unknown fields are refused: a misspelt one would silently change what is sent.
#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <nlohmann/json.hpp>

#include "common/json/parse.h"
#include "common/json/reader.h"
#include "kvtransfer/codec/profile/spec.h"

namespace sluice::kv {
namespace {

using nlohmann::json;

constexpr Named<Transform> kTransforms[] = {{"none", Transform::none}, {"hadamard", Transform::hadamard}};
constexpr Named<QuantizerKind> kQuantizers[] = {{"none", QuantizerKind::none},       {"absmax", QuantizerKind::absmax},
                                                {"fp8", QuantizerKind::fp8},         {"lloyd", QuantizerKind::lloyd},
                                                {"uniform", QuantizerKind::uniform}, {"minmax", QuantizerKind::minmax}};
constexpr Named<Axis> kAxes[] = {{"token", Axis::token}, {"channel", Axis::channel}};
constexpr Named<Scale> kScales[] = {{"bf16", Scale::bf16}, {"log8", Scale::log8}};
constexpr Named<Coder> kCoders[] = {{"pack", Coder::pack},        {"rans", Coder::rans}, {"zstd", Coder::zstd},
                                    {"lz4", Coder::lz4},          {"raw", Coder::raw},   {"split4", Coder::split4},
                                    {"exp_rans", Coder::exp_rans}};

enum class Kinds : std::uint8_t { k, v, kv };
constexpr Named<Kinds> kKinds[] = {{"k", Kinds::k}, {"v", Kinds::v}, {"kv", Kinds::kv}};

/// People write these: 8.0 is a whole number, and null is a mistake.
JsonRules rules(std::string what) { return {.what = std::move(what), .null_is_absent = false, .whole_floats = true}; }

bool one_of(std::uint32_t v, std::initializer_list<std::uint32_t> all) {
  return std::ranges::find(all, v) != all.end();
}

bool is_lossless(Coder c) { return c == Coder::raw || c == Coder::split4 || c == Coder::exp_rans; }

/// What the quantizers and coders can be combined to.
void check_class(const ClassSpec& c, const JsonObject& f) {
  if (c.quantizer == QuantizerKind::none) {
    if (!is_lossless(c.coder)) f.wrong("without a quantizer needs coder raw, split4 or exp_rans");
    if (c.transform != Transform::none || c.calibrated) f.wrong("without a quantizer cannot be transformed");
    return;
  }
  if (is_lossless(c.coder)) f.wrong("with a quantizer needs coder pack, rans, zstd or lz4");
  const bool book = c.quantizer == QuantizerKind::lloyd || c.quantizer == QuantizerKind::uniform;
  if (c.scale == Scale::log8 && !book) f.wrong("has log8 scales, which only lloyd and uniform know");
  if (c.axis == Axis::channel && c.quantizer != QuantizerKind::minmax &&
      !(c.quantizer == QuantizerKind::absmax && c.levels == 255))
    f.wrong("has axis channel, which only minmax and absmax with 255 levels know");
  if (c.group != 0 && c.quantizer != QuantizerKind::minmax) f.wrong("has a group, which only minmax knows");
  if (c.coder == Coder::rans && !book && c.quantizer != QuantizerKind::minmax)
    f.wrong("has coder rans, which only lloyd, uniform and minmax know");
  switch (c.quantizer) {
    case QuantizerKind::absmax:
      if (!one_of(c.levels, {15, 255})) f.wrong("with absmax needs 15 or 255 levels");
      // Its symbols leave the quantizer packed, two in a byte.
      if (c.levels == 15 && c.coder != Coder::pack) f.wrong("with absmax and 15 levels needs coder pack");
      break;
    case QuantizerKind::lloyd:
      if (!one_of(c.levels, {4, 8, 16})) f.wrong("with lloyd needs 4, 8 or 16 levels");
      break;
    case QuantizerKind::uniform:
      if (c.levels < 3 || c.levels > 255 || c.levels % 2 == 0)
        f.wrong("with uniform needs an odd number of levels, 3 to 255");
      if (!(c.step > 0)) f.wrong("with uniform needs a 'step'");
      break;
    case QuantizerKind::minmax:
      if (c.levels < 2 || c.levels > 255) f.wrong("with minmax needs 2 to 255 levels");
      break;
    case QuantizerKind::fp8:
    case QuantizerKind::none:
      break;
  }
}

Result<ClassSpec> read_class(const json& j, const std::string& name, const std::string& profile) {
  JsonReader in(j, rules(fmt::format("class '{}' of profile '{}'", name, profile)));
  JsonObject f = in.object();
  ClassSpec c;
  c.name = name;
  f.want("transform").into(c.transform, kTransforms);
  f.want("quantizer").into(c.quantizer, kQuantizers);
  c.levels = c.quantizer == QuantizerKind::fp8 ? 256 : c.quantizer == QuantizerKind::absmax ? 255 : 0;
  f.want("levels").into(c.levels, {.least = 0, .most = 256});
  f.want("step").into(c.step, {.least = 0, .most = 16});
  f.want("shrink").into(c.shrink, {.least = 0, .most = 0.5F});
  f.want("axis").into(c.axis, kAxes);
  c.page = 64;
  f.want("page").into(c.page, {.least = 16, .most = kMaxPage});
  f.want("group").into(c.group, {.least = 0, .most = 4096});
  f.want("scale").into(c.scale, kScales);
  c.coder = c.quantizer == QuantizerKind::none ? Coder::raw : Coder::pack;
  f.want("coder").into(c.coder, kCoders);
  f.want("calibrated").into(c.calibrated);
  check_class(c, f);
  f.closed();
  SLUICE_TRY(in.done());
  return c;
}

Result<std::size_t> class_index(const ProfileSpec& p, const std::string& name) {
  const auto it = std::ranges::find(p.classes, name, &ClassSpec::name);
  if (it == p.classes.end())
    return std::unexpected(Error{Errc::invalid_argument,
                                 fmt::format("profile '{}' names a class '{}' that it lacks", p.name, name),
                                 "profiles"});
  return static_cast<std::size_t>(it - p.classes.begin());
}

Result<ClassRule> read_rule(const json& j, const ProfileSpec& p) {
  JsonReader in(j, rules(fmt::format("a rule of profile '{}'", p.name)));
  JsonObject f = in.object();
  ClassRule r;
  Kinds kinds = Kinds::kv;
  std::string use;
  f.want("layers").into(r.layers, {.least = 1}, {.least = -4096, .most = 4095});
  f.want("heads").into(r.heads, {.least = 1}, {.least = 0, .most = 4095});
  f.want("kinds").into(kinds, kKinds);
  f.need("class").into(use);
  f.closed();
  SLUICE_TRY(in.done());
  r.keys = kinds != Kinds::v;
  r.values = kinds != Kinds::k;
  SLUICE_ASSIGN(r.use, class_index(p, use));
  return r;
}

bool good_name(const std::string& s) {
  return !s.empty() && s.size() <= 64 && std::ranges::all_of(s, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  });
}

Result<ProfileSpec> read_profile(const json& j, std::size_t index) {
  JsonReader in(j, rules(fmt::format("profile {}", index)));
  JsonObject f = in.object();
  ProfileSpec p;
  f.need("name").into(p.name);
  if (!good_name(p.name)) f.need("name").wrong("must be 1 to 64 of a-z, 0-9, '-', '_' and '.'");
  f.want("about").into(p.about);
  f.want("codec").into(p.codec);
  if (!p.codec.empty() && p.codec != "raw" && p.codec != "ll") f.want("codec").wrong("must be raw or ll");
  f.want("stated_kl").into(p.stated_kl, {.least = 0, .most = 100});
  p.nominal_ratio = 1;
  f.want("nominal_ratio").into(p.nominal_ratio, {.least = 0.5, .most = 64});
  f.want("comparator").into(p.comparator);
  f.want("sinks").into(p.sinks, {.least = 0, .most = kMaxExactTokens});
  f.want("tail").into(p.tail, {.least = 0, .most = kMaxExactTokens});
  f.ignore({"measured"});  // figures that sluice-profiler leaves beside a profile, for people
  std::string key, value;
  const JsonValue key_class = p.codec.empty() ? f.need("key") : f.want("key");
  const JsonValue value_class = p.codec.empty() ? f.need("value") : f.want("value");
  key_class.into(key);
  value_class.into(value);
  const json* classes = nullptr;
  const json* rule_list = nullptr;
  if (const JsonObject o = f.want("classes").object(); o.present()) classes = &f.want("classes").raw();
  if (f.want("rules").each({}, [](const JsonValue&) {})) rule_list = &f.want("rules").raw();
  f.closed();
  SLUICE_TRY(in.done());
  if (!p.codec.empty()) return p;
  if (classes != nullptr)
    for (const auto& [name, c] : classes->items()) {
      SLUICE_ASSIGN(ClassSpec spec, read_class(c, name, p.name));
      p.classes.push_back(std::move(spec));
    }
  SLUICE_ASSIGN(p.key, class_index(p, key));
  SLUICE_ASSIGN(p.value, class_index(p, value));
  if (rule_list != nullptr)
    for (const json& r : *rule_list) {
      SLUICE_ASSIGN(ClassRule rule, read_rule(r, p));
      p.rules.push_back(std::move(rule));
    }
  if (p.lossless() != (p.stated_kl == 0))
    return std::unexpected(Error{Errc::invalid_argument,
                                 fmt::format("profile '{}' must state a KL of 0 exactly if it is lossless", p.name),
                                 "profiles"});
  return p;
}

}  // namespace

Result<std::vector<ProfileSpec>> parse_profiles(std::string_view text) {
  constexpr std::size_t kMaxText = 16U << 20, kMaxProfiles = 4096;
  SLUICE_ASSIGN(
      const json j,
      parse_json_object(text, {.what = "profiles", .max_bytes = kMaxText, .comments = true, .refuse_repeated = true}));
  if (!j.contains("profiles") || !j["profiles"].is_array())
    return fail(Errc::invalid_argument, "profiles must be JSON of the form {{\"profiles\": [...]}}");
  if (j.contains("format") && (j["format"] != "sluice-profile-library" || j.value("version", json()) != 1))
    return fail(Errc::unsupported, "profiles of format {} version {}; this build reads sluice-profile-library 1",
                j["format"].dump(), j.value("version", json()).dump());
  if (j["profiles"].size() > kMaxProfiles) return fail(Errc::invalid_argument, "more than {} profiles", kMaxProfiles);
  std::vector<ProfileSpec> out;
  for (const json& e : j["profiles"]) {
    SLUICE_ASSIGN(ProfileSpec p, read_profile(e, out.size()));
    if (std::ranges::find(out, p.name, &ProfileSpec::name) != out.end())
      return fail(Errc::invalid_argument, "two profiles are named '{}'", p.name);
    out.push_back(std::move(p));
  }
  return out;
}

}  // namespace sluice::kv
