#include "common/svg/parts.h"

namespace sluice::svg {

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else
      out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return out;
}

std::vector<double> Axis::round_ticks(int wanted) const {
  std::vector<double> ticks;
  if (log) {
    const bool fine = to - from < 2.5;  // decades
    for (double decade = std::floor(from); decade <= to; ++decade)
      for (const double step : {1.0, 2.0, 5.0}) {
        const double v = std::pow(10, decade) * step;
        const double at = std::log10(v);
        if ((fine || step == 1) && at >= from - 1e-9 && at <= to + 1e-9) ticks.push_back(v);
      }
    return ticks;
  }
  const double rough = (to - from) / wanted;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  const double step = power * (rough <= power ? 1 : rough <= 2 * power ? 2 : rough <= 5 * power ? 5 : 10);
  for (double k = std::ceil(from / step - 1e-9); k * step <= to + step * 1e-9; ++k)
    ticks.push_back(k * step + 0.0);  // never -0
  return ticks;
}

}  // namespace sluice::svg
