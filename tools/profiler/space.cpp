#include "tools/profiler/space.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace sluice::profiler {
namespace {

using kv::Axis;
using kv::ClassSpec;
using kv::Coder;
using kv::QuantizerKind;
using kv::Scale;
using kv::Transform;

ClassSpec exact() { return {.coder = Coder::split4}; }

/// Rotated, `step` apart: as many levels as reach 2.8 norms, where a unit Gaussian has 0.5% of its mass beyond. shrink
/// follows the mass, which lies nearer zero the longer the step is (steps and shrinks of the built-in profiles).
ClassSpec uniform(double step, bool calibrated) {
  const auto half = static_cast<std::uint32_t>(std::max(std::ceil(2.8 / step), 7.0));
  const double shrink = step <= 0.4 ? 0.01 : std::min(0.14, 0.01 + 0.1 * (step - 0.4));
  return {.transform = Transform::hadamard,
          .quantizer = QuantizerKind::uniform,
          .levels = 2 * half + 1,
          .step = static_cast<float>(step),
          .shrink = std::round(static_cast<float>(shrink) * 1000) / 1000,
          .scale = Scale::log8,
          .coder = Coder::rans,
          .calibrated = calibrated};
}
ClassSpec lloyd(std::uint32_t levels, Scale scale, bool calibrated) {
  return {.transform = Transform::hadamard,
          .quantizer = QuantizerKind::lloyd,
          .levels = levels,
          .scale = scale,
          .coder = Coder::pack,
          .calibrated = calibrated};
}
ClassSpec by_channel(QuantizerKind q, std::uint32_t levels, std::uint32_t page) {
  return {.quantizer = q, .levels = levels, .axis = Axis::channel, .page = page, .coder = Coder::pack};
}
ClassSpec by_token(QuantizerKind q, std::uint32_t levels, std::uint32_t group = 0) {
  return {.quantizer = q, .levels = levels, .group = group, .coder = Coder::pack};
}

std::vector<Coder> coders_of(const ClassSpec& c) {
  if (c.lossless()) return {Coder::split4, Coder::exp_rans};
  if (c.quantizer == QuantizerKind::absmax || c.quantizer == QuantizerKind::fp8) return {Coder::pack, Coder::zstd};
  return {Coder::pack, Coder::rans};
}

/// Collects choices; those of keys only or values only say so.
class Choices {
 public:
  explicit Choices(std::vector<ClassChoice>& out) : out_(out) {}
  void add(std::string tag, std::string family, double fineness, ClassSpec spec, ClassSpec guarded, bool keys = true,
           bool values = true) {
    ClassChoice c{.tag = std::move(tag),
                  .spec = spec,
                  .guarded = guarded,
                  .family = std::move(family),
                  .fineness = fineness,
                  .coders = coders_of(spec),
                  .for_keys = keys,
                  .for_values = values};
    c.spec.coder = c.coders.front();
    out_.push_back(std::move(c));
  }
  void uniforms(std::initializer_list<double> steps, bool calibrated) {
    for (const double s : steps)
      add(fmt::format("{}u{:.2f}", calibrated ? "c" : "", s), calibrated ? "cu" : "u", -s, uniform(s, calibrated),
          uniform(s / 2, calibrated));
  }
  void lloyds(std::initializer_list<std::uint32_t> levels, Scale scale, bool calibrated) {
    const std::string family = fmt::format("{}l{}", calibrated ? "c" : "", scale == Scale::bf16 ? "b" : "");
    for (const std::uint32_t n : levels)
      add(fmt::format("{}{}", family, n), family, n, lloyd(n, scale, calibrated),
          n == 16 ? by_token(QuantizerKind::absmax, 255) : lloyd(16, scale, calibrated));
  }
  void channels(std::initializer_list<std::uint32_t> levels, std::initializer_list<std::uint32_t> pages) {
    for (const std::uint32_t page : pages)
      for (const std::uint32_t n : levels)
        add(fmt::format("m{}.{}", page, n), fmt::format("m{}", page), n, by_channel(QuantizerKind::minmax, n, page),
            by_channel(QuantizerKind::minmax, std::min(2 * n, 255U), page), true, false);
  }
  void tokens(std::initializer_list<std::uint32_t> levels, std::initializer_list<std::uint32_t> groups) {
    for (const std::uint32_t g : groups)
      for (const std::uint32_t n : levels)
        add(fmt::format("t{}.{}", g, n), fmt::format("t{}", g), n, by_token(QuantizerKind::minmax, n, g),
            by_token(QuantizerKind::minmax, std::min(2 * n, 255U), g), false, true);
  }

 private:
  std::vector<ClassChoice>& out_;
};

void fill_small(Choices c) {
  c.uniforms({0.25, 0.4, 0.5, 0.65, 0.8, 1.0, 1.25, 1.5, 1.8}, false);
  c.lloyds({4, 8, 16}, Scale::log8, false);
  c.channels({8, 16, 64}, {64});
  c.tokens({8, 16}, {0});
  c.add("a255c64", "a255c", 1, by_channel(QuantizerKind::absmax, 255, 64), exact(), true, false);
  c.add("a255", "a", 255, by_token(QuantizerKind::absmax, 255), exact(), false, true);
}

void fill_full(Choices c, bool calibrated) {
  c.add("x", "x", 0, exact(), exact());
  c.add("f8", "f8", 0, by_token(QuantizerKind::fp8, 256), exact());
  c.add("a255", "a", 255, by_token(QuantizerKind::absmax, 255), exact());
  c.add("a15", "a", 15, by_token(QuantizerKind::absmax, 15), by_token(QuantizerKind::absmax, 255));
  for (const std::uint32_t page : {64, 256})
    c.add(fmt::format("a255c{}", page), "a255c", -static_cast<double>(page),
          by_channel(QuantizerKind::absmax, 255, page), exact(), true, false);
  for (const bool k : {false, true}) {
    if (k && !calibrated) break;
    c.uniforms({0.25, 0.32, 0.4, 0.5, 0.65, 0.8, 1.0, 1.25, 1.5, 1.8}, k);
    c.lloyds({4, 8, 16}, Scale::log8, k);
    c.lloyds({4, 8, 16}, Scale::bf16, k);
  }
  c.channels({4, 6, 8, 12, 16, 32, 64}, {64, 256});
  c.tokens({4, 8, 16, 32}, {0, 32});
}

/// The codec's own word on a class with one of its coders.
Result<> judge(const ClassSpec& spec) {
  const nlohmann::json profile{{"name", "judged"},
                               {"stated_kl", spec.lossless() ? 0.0 : 1.0},
                               {"classes", {{"c", to_json(spec)}}},
                               {"key", "c"},
                               {"value", "c"}};
  SLUICE_TRY(kv::parse_profiles(nlohmann::json{{"profiles", {profile}}}.dump()));
  return {};
}

char letter(Coder c) {
  switch (c) {
    case Coder::pack:
      return 'p';
    case Coder::rans:
      return 'r';
    case Coder::zstd:
      return 'z';
    case Coder::lz4:
      return 'l';
    case Coder::raw:
      return 'o';
    case Coder::split4:
      return 's';
    case Coder::exp_rans:
      return 'e';
  }
  return '?';
}

constexpr std::array<const char*, 4> kGuards{"", "-lk", "-l", "-fl"};

ClassSpec named(ClassSpec c, const char* name) {
  c.name = name;
  return c;
}

/// The coder of a guarded layer follows that of the others: packed where those are packed.
ClassSpec guarded(const ClassChoice& c, Coder coder, const char* name) {
  ClassSpec g = named(c.guarded, name);
  const auto all = coders_of(g);
  const bool fast = coder == c.coders.front();
  g.coder = fast ? all.front() : all.back();
  return g;
}

}  // namespace

Result<Space> Space::make(const SpaceOptions& o) {
  Space s;
  if (o.small)
    fill_small(Choices(s.choices));
  else
    fill_full(Choices(s.choices), o.calibrated);
  std::erase_if(s.choices, [](ClassChoice& c) {
    std::erase_if(c.coders, [&c](Coder coder) {
      ClassSpec with = c.spec;
      with.coder = coder;
      return !judge(with) || !judge(guarded(c, coder, "g"));
    });
    return c.coders.empty();
  });
  constexpr std::array<std::pair<std::uint32_t, std::uint32_t>, 3> kExact{{{0, 0}, {kSinks, 0}, {kSinks, kTail}}};
  for (std::size_t k = 0; k < s.choices.size(); ++k)
    for (std::size_t v = 0; v < s.choices.size(); ++v) {
      const ClassChoice &key = s.choices[k], &value = s.choices[v];
      // Calibration is of a whole profile: a calibrated class beside a plain one of the same kind adds nothing new.
      if (!key.for_keys || !value.for_values || key.spec.calibrated != value.spec.calibrated) continue;
      const bool nothing_lost = key.spec.lossless() && value.spec.lossless();
      for (const Guard g : {Guard::none, Guard::last_keys, Guard::last, Guard::ends})
        for (const auto& [sinks, tail] : kExact) {
          if (nothing_lost && (g != Guard::none || sinks + tail > 0)) continue;
          if (g == Guard::last_keys && key.spec.lossless()) continue;
          s.lossy.push_back({k, v, g, sinks, tail});
          for (const Coder kc : key.coders)
            for (const Coder vc : value.coders) s.candidates.push_back({s.lossy.size() - 1, kc, vc});
        }
    }
  if (s.lossy.empty()) return fail(Errc::internal, "the codec's parser accepts no class of the search space");
  return s;
}

std::string Space::id(const Lossy& l) const {
  std::string out =
      fmt::format("k{}-v{}{}", choices[l.key].tag, choices[l.value].tag, kGuards[static_cast<std::size_t>(l.guard)]);
  if (l.sinks > 0) out += fmt::format("-s{}", l.sinks);
  if (l.tail > 0) out += fmt::format("-t{}", l.tail);
  return out;
}

std::string Space::id(const Candidate& c) const {
  return fmt::format("{}-{}{}", id(lossy[c.lossy]), letter(c.key_coder), letter(c.value_coder));
}

kv::ProfileSpec Space::profile(const Candidate& c) const {
  const Lossy& l = lossy[c.lossy];
  const ClassChoice &key = choices[l.key], &value = choices[l.value];
  kv::ProfileSpec p{.name = id(c), .sinks = l.sinks, .tail = l.tail};
  p.classes = {named(key.spec, "k"), named(value.spec, "v")};
  p.classes[0].coder = c.key_coder;
  p.classes[1].coder = c.value_coder;
  p.key = 0, p.value = 1;
  if (l.guard == Guard::none) return p;
  const std::vector<std::int32_t> layers =
      l.guard == Guard::ends ? std::vector<std::int32_t>{0, -1} : std::vector<std::int32_t>{-1};
  p.classes.push_back(guarded(key, c.key_coder, "kg"));
  p.rules.push_back({.layers = layers, .values = false, .use = 2});
  if (l.guard == Guard::last_keys) return p;
  p.classes.push_back(guarded(value, c.value_coder, "vg"));
  p.rules.push_back({.layers = layers, .keys = false, .use = 3});
  return p;
}

Part Space::part(const Candidate& c, std::uint32_t layer, std::uint32_t layers, bool value) const {
  const Lossy& l = lossy[c.lossy];
  const bool last = layer + 1 == layers;
  const bool guards = (last && l.guard != Guard::none && !(value && l.guard == Guard::last_keys)) ||
                      (layer == 0 && l.guard == Guard::ends);
  return {.choice = value ? l.value : l.key,
          .guarded = guards,
          .value = value,
          .coder = value ? c.value_coder : c.key_coder,
          .sinks = l.sinks,
          .tail = l.tail};
}

std::string Space::id(const Part& p) const {
  return fmt::format("{}{}{}-{}-s{}-t{}", p.value ? 'v' : 'k', choices[p.choice].tag, p.guarded ? "-g" : "",
                     letter(p.coder), p.sinks, p.tail);
}

kv::ProfileSpec Space::profile(const Part& p) const {
  const ClassChoice& c = choices[p.choice];
  kv::ProfileSpec s{.name = id(p), .sinks = p.sinks, .tail = p.tail};
  s.classes = {p.guarded ? guarded(c, p.coder, "c") : named(c.spec, "c")};
  if (!p.guarded) s.classes[0].coder = p.coder;
  return s;
}

std::string Space::digest() const {
  std::string all;
  for (const ClassChoice& c : choices) {
    all += fmt::format("{} {} {} ", c.tag, to_json(c.spec).dump(), to_json(c.guarded).dump());
    for (const Coder coder : c.coders) all += letter(coder);
  }
  return fmt::format("{:016x}", XXH64(all.data(), all.size(), 0));
}

bool Space::finer(const Lossy& a, const Lossy& b) const {
  const auto part = [this](std::size_t x, std::size_t y) {
    return choices[x].family == choices[y].family && choices[x].fineness >= choices[y].fineness;
  };
  return part(a.key, b.key) && part(a.value, b.value) && a.guard >= b.guard && a.sinks >= b.sinks && a.tail >= b.tail;
}

bool Space::lossless(const Lossy& l) const {
  return choices[l.key].spec.lossless() && choices[l.value].spec.lossless();
}

}  // namespace sluice::profiler
