#include "tools/quality/channels.h"

#include <cmath>

#include "kvtransfer/bytes.h"
#include "kvtransfer/codec/kernels/bf16.h"
#include "kvtransfer/codec/parts/signs.h"

namespace sluice::quality {
namespace {

/// Sums of one (layer, kind, head).
struct Channels {
  std::vector<double> sum, square, rotated;
  double crest = 0, rotated_crest = 0;
  std::size_t vectors = 0;
};

void transform(std::vector<double>& y, std::size_t block) {
  for (std::size_t b = 0; b < y.size(); b += block)
    for (std::size_t h = 1; h < block; h *= 2)
      for (std::size_t i = b; i < b + block; i += 2 * h)
        for (std::size_t j = i; j < i + h; ++j) {
          const double u = y[j], v = y[j + h];
          y[j] = u + v, y[j + h] = u - v;
        }
  for (double& v : y) v /= std::sqrt(static_cast<double>(block));
}

double crest(const std::vector<double>& x) {
  double most = 0, power = 0;
  for (const double v : x) most = std::max(most, std::fabs(v)), power += v * v;
  return power > 0 ? most / std::sqrt(power / static_cast<double>(x.size())) : 0;
}

/// 1/2 log2 of arithmetic over geometric mean.
double gain_bits(const std::vector<double>& v) {
  double sum = 0, logs = 0;
  for (const double x : v) sum += x, logs += std::log2(std::max(x, 1e-30));
  const auto n = static_cast<double>(v.size());
  return 0.5 * (std::log2(std::max(sum / n, 1e-30)) - logs / n);
}

void add(ChannelFigures& f, const Channels& c, double share) {
  const auto n = static_cast<double>(c.vectors);
  std::vector<double> power, variance, rotated;
  double all_power = 0, all_variance = 0;
  for (std::size_t i = 0; i < c.sum.size(); ++i) {
    const double mean = c.sum[i] / n;
    power.push_back(c.square[i] / n);
    variance.push_back(std::max(power.back() - mean * mean, 1e-30));
    rotated.push_back(c.rotated[i] / n);
    all_power += power.back(), all_variance += variance.back();
  }
  f.shift_bits += share * 0.5 * std::log2(all_power / all_variance);
  f.power_bits += share * gain_bits(power);
  f.spread_bits += share * gain_bits(variance);
  f.rotated_bits += share * gain_bits(rotated);
  f.crest += share * c.crest / n;
  f.rotated_crest += share * c.rotated_crest / n;
}

}  // namespace

ChannelMoments channel_moments(Lab& lab, std::span<const Row> rows, std::uint32_t tokens) {
  const auto& s = lab.shape();
  ChannelMoments m;
  for (auto* table : {&m.mean, &m.deviation})
    for (auto& kind : *table) kind.resize(std::size_t{s.layers} * s.kv_heads * s.head_dim);
  for (const Row& r : rows)
    lab.each_vector(r, tokens,
                    [&](std::uint32_t layer, bool value, std::uint32_t head, std::uint32_t, const std::byte* v) {
                      const std::size_t at = (std::size_t{layer} * s.kv_heads + head) * s.head_dim;
                      for (std::size_t i = 0; i < s.head_dim; ++i) {
                        const double x = kv::bf16_to_f32(kv::load_le<std::uint16_t>(v + 2 * i));
                        m.mean[value][at + i] += x;
                        m.deviation[value][at + i] += x * x;
                      }
                    });
  const double n = static_cast<double>(rows.size()) * tokens;
  for (const std::size_t kind : {0U, 1U})
    for (std::size_t i = 0; i < m.mean[kind].size(); ++i) {
      const double mean = m.mean[kind][i] /= n;
      m.deviation[kind][i] = std::sqrt(std::max(m.deviation[kind][i] / n - mean * mean, 1e-12));
    }
  return m;
}

std::vector<ChannelFigures> channel_figures(Lab& lab, std::span<const Row> rows, std::uint32_t tokens) {
  const auto& s = lab.shape();
  const std::size_t dim = s.head_dim, block = dim & (~dim + 1);
  std::vector<Channels> all(std::size_t{2} * s.layers * s.kv_heads);
  std::vector<std::uint16_t> signs(dim);
  std::vector<double> x(dim);
  for (const Row& r : rows)
    lab.each_vector(r, tokens,
                    [&](std::uint32_t layer, bool value, std::uint32_t head, std::uint32_t, const std::byte* v) {
                      Channels& c = all[(2 * std::size_t{layer} + (value ? 1 : 0)) * s.kv_heads + head];
                      if (c.sum.empty()) c.sum.resize(dim), c.square.resize(dim), c.rotated.resize(dim);
                      for (std::size_t i = 0; i < dim; ++i) {
                        x[i] = kv::bf16_to_f32(kv::load_le<std::uint16_t>(v + 2 * i));
                        c.sum[i] += x[i];
                        c.square[i] += x[i] * x[i];
                      }
                      c.crest += crest(x);
                      kv::fill_signs(layer, value ? kv::KvKind::value : kv::KvKind::key, head, signs);
                      for (std::size_t i = 0; i < dim; ++i) x[i] = signs[i] != 0 ? -x[i] : x[i];
                      transform(x, block);
                      for (std::size_t i = 0; i < dim; ++i) c.rotated[i] += x[i] * x[i];
                      c.rotated_crest += crest(x);
                      ++c.vectors;
                    });
  std::vector<ChannelFigures> out;
  for (std::uint32_t layer = 0; layer < s.layers; ++layer)
    for (const bool value : {false, true}) {
      ChannelFigures f{.layer = layer, .value = value};
      for (std::uint32_t h = 0; h < s.kv_heads; ++h)
        add(f, all[(2 * std::size_t{layer} + (value ? 1 : 0)) * s.kv_heads + h], 1.0 / s.kv_heads);
      out.push_back(f);
    }
  return out;
}

}  // namespace sluice::quality
