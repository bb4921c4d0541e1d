// Profiles as people write them. Unknown fields are refused: a misspelt one would silently change what is sent.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "kvtransfer/codec/profile/spec.h"

namespace sluice::kv {
namespace {

using nlohmann::json;

template <class E>
struct Word {
  std::string_view text;
  E value;
};
constexpr Word<Transform> kTransforms[] = {{"none", Transform::none}, {"hadamard", Transform::hadamard}};
constexpr Word<QuantizerKind> kQuantizers[] = {{"none", QuantizerKind::none},       {"absmax", QuantizerKind::absmax},
                                               {"fp8", QuantizerKind::fp8},         {"lloyd", QuantizerKind::lloyd},
                                               {"uniform", QuantizerKind::uniform}, {"minmax", QuantizerKind::minmax}};
constexpr Word<Axis> kAxes[] = {{"token", Axis::token}, {"channel", Axis::channel}};
constexpr Word<Scale> kScales[] = {{"bf16", Scale::bf16}, {"log8", Scale::log8}};
constexpr Word<Coder> kCoders[] = {{"pack", Coder::pack},        {"rans", Coder::rans}, {"zstd", Coder::zstd},
                                   {"lz4", Coder::lz4},          {"raw", Coder::raw},   {"split4", Coder::split4},
                                   {"exp_rans", Coder::exp_rans}};

/// Reads the fields of one object; the first mistake is kept and everything after it is default.
class Fields {
 public:
  Fields(const json& j, std::string where) : j_(j), where_(std::move(where)) {
    if (!j.is_object()) wrong("must be an object");
  }
  [[nodiscard]] const json* find(std::string_view key) {
    known_.emplace(key);
    if (!j_.is_object()) return nullptr;
    const auto it = j_.find(key);
    return it == j_.end() ? nullptr : &*it;
  }
  std::string text(std::string_view key, bool required) {
    const json* v = find(key);
    if (v == nullptr) {
      if (required) wrong(fmt::format("needs '{}'", key));
      return {};
    }
    if (!v->is_string()) return wrong(fmt::format("'{}' must be text", key)), std::string{};
    return v->get<std::string>();
  }
  double number(std::string_view key, double otherwise, double least, double most) {
    const json* v = find(key);
    if (v == nullptr) return otherwise;
    if (!v->is_number() || !(v->get<double>() >= least) || !(v->get<double>() <= most))
      return wrong(fmt::format("'{}' must be a number from {} to {}", key, least, most)), otherwise;
    return v->get<double>();
  }
  std::uint32_t count(std::string_view key, std::uint32_t otherwise, std::uint32_t least, std::uint32_t most) {
    const double d = number(key, otherwise, least, most);
    if (d != std::floor(d)) return wrong(fmt::format("'{}' must be a whole number", key)), otherwise;
    return static_cast<std::uint32_t>(d);
  }
  bool flag(std::string_view key) {
    const json* v = find(key);
    if (v == nullptr) return false;
    if (!v->is_boolean()) return wrong(fmt::format("'{}' must be true or false", key)), false;
    return v->get<bool>();
  }
  template <class E, std::size_t N>
  E word(std::string_view key, const Word<E> (&words)[N], E otherwise) {
    const json* v = find(key);
    if (v == nullptr) return otherwise;
    std::string all;
    for (const auto& w : words) {
      if (v->is_string() && v->get<std::string>() == w.text) return w.value;
      all += all.empty() ? std::string(w.text) : fmt::format(", {}", w.text);
    }
    return wrong(fmt::format("'{}' must be one of {}", key, all)), otherwise;
  }
  template <class T>
  std::vector<T> numbers(std::string_view key, double least, double most) {
    std::vector<T> out;
    const json* v = find(key);
    if (v == nullptr) return out;
    if (!v->is_array() || v->empty()) return wrong(fmt::format("'{}' must be a list of numbers", key)), out;
    for (const json& e : *v) {
      if (!e.is_number_integer() || e.get<double>() < least || e.get<double>() > most)
        return wrong(fmt::format("'{}' must hold whole numbers from {} to {}", key, least, most)), out;
      out.push_back(e.get<T>());
    }
    return out;
  }
  void wrong(std::string what) {
    if (!error_) error_ = Error{Errc::invalid_argument, fmt::format("{} {}", where_, what), "profiles"};
  }
  [[nodiscard]] Result<> done() {
    if (!error_ && j_.is_object())
      for (const auto& [key, value] : j_.items())
        if (!known_.contains(key)) wrong(fmt::format("has an unknown field '{}'", key));
    if (error_) return std::unexpected(*error_);
    return {};
  }

 private:
  const json& j_;
  std::string where_;
  std::set<std::string, std::less<>> known_;
  std::optional<Error> error_;
};

bool one_of(std::uint32_t v, std::initializer_list<std::uint32_t> all) {
  return std::ranges::find(all, v) != all.end();
}

bool is_lossless(Coder c) { return c == Coder::raw || c == Coder::split4 || c == Coder::exp_rans; }

/// What the quantizers and coders can be combined to.
void check_class(const ClassSpec& c, Fields& f) {
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
  Fields f(j, fmt::format("class '{}' of profile '{}'", name, profile));
  ClassSpec c;
  c.name = name;
  c.transform = f.word("transform", kTransforms, Transform::none);
  c.quantizer = f.word("quantizer", kQuantizers, QuantizerKind::none);
  c.levels = f.count("levels",
                     c.quantizer == QuantizerKind::fp8      ? 256
                     : c.quantizer == QuantizerKind::absmax ? 255
                                                            : 0,
                     0, 256);
  c.step = static_cast<float>(f.number("step", 0, 0, 16));
  c.shrink = static_cast<float>(f.number("shrink", 0, 0, 0.5));
  c.axis = f.word("axis", kAxes, Axis::token);
  c.page = f.count("page", 64, 16, kMaxPage);
  c.group = f.count("group", 0, 0, 4096);
  c.scale = f.word("scale", kScales, Scale::bf16);
  c.coder = f.word("coder", kCoders, c.quantizer == QuantizerKind::none ? Coder::raw : Coder::pack);
  c.calibrated = f.flag("calibrated");
  check_class(c, f);
  SLUICE_TRY(f.done());
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
  Fields f(j, fmt::format("a rule of profile '{}'", p.name));
  ClassRule r;
  r.layers = f.numbers<std::int32_t>("layers", -4096, 4095);
  r.heads = f.numbers<std::uint32_t>("heads", 0, 4095);
  const std::string kinds = f.text("kinds", false);
  if (!kinds.empty() && kinds != "k" && kinds != "v" && kinds != "kv") f.wrong("has 'kinds' other than k, v or kv");
  r.keys = kinds != "v";
  r.values = kinds != "k";
  const std::string use = f.text("class", true);
  SLUICE_TRY(f.done());
  SLUICE_ASSIGN(r.use, class_index(p, use));
  return r;
}

bool good_name(const std::string& s) {
  return !s.empty() && s.size() <= 64 && std::ranges::all_of(s, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  });
}

Result<ProfileSpec> read_profile(const json& j, std::size_t index) {
  Fields f(j, fmt::format("profile {}", index));
  ProfileSpec p;
  p.name = f.text("name", true);
  if (!good_name(p.name)) f.wrong("needs a 'name' of a-z, 0-9, '-', '_' and '.'");
  p.about = f.text("about", false);
  p.codec = f.text("codec", false);
  if (!p.codec.empty() && p.codec != "raw" && p.codec != "ll") f.wrong("has a 'codec' other than raw or ll");
  p.stated_kl = f.number("stated_kl", 0, 0, 100);
  p.nominal_ratio = f.number("nominal_ratio", 1, 0.5, 64);
  p.comparator = f.flag("comparator");
  p.sinks = f.count("sinks", 0, 0, kMaxExactTokens);
  p.tail = f.count("tail", 0, 0, kMaxExactTokens);
  const json* classes = f.find("classes");
  const std::string key = f.text("key", p.codec.empty()), value = f.text("value", p.codec.empty());
  const json* rules = f.find("rules");
  (void)f.find("measured");  // figures that sluice-profiler leaves beside a profile, for people
  if (classes != nullptr && !classes->is_object()) f.wrong("has 'classes' that are no object");
  if (rules != nullptr && !rules->is_array()) f.wrong("has 'rules' that are no list");
  SLUICE_TRY(f.done());
  if (!p.codec.empty()) return p;
  if (classes != nullptr)
    for (const auto& [name, c] : classes->items()) {
      SLUICE_ASSIGN(ClassSpec spec, read_class(c, name, p.name));
      p.classes.push_back(std::move(spec));
    }
  SLUICE_ASSIGN(p.key, class_index(p, key));
  SLUICE_ASSIGN(p.value, class_index(p, value));
  if (rules != nullptr)
    for (const json& r : *rules) {
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
  if (text.size() > kMaxText) return fail(Errc::invalid_argument, "profiles of more than {} bytes", kMaxText);
  const json j = json::parse(text, nullptr, false, true);
  if (j.is_discarded() || !j.is_object() || !j.contains("profiles") || !j["profiles"].is_array())
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
