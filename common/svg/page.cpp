#include "common/svg/page.h"

#include <fmt/format.h>

#include "common/svg/parts.h"

namespace sluice::svg {
namespace {

constexpr double kWidth = 360;
constexpr double kHeight = 220;
constexpr double kLeft = 44;
constexpr double kRight = 10;
constexpr double kTop = 22;
constexpr double kBottom = 36;
constexpr int kColours = 8;
constexpr std::size_t kMarked = 24;  // a line of so few points shows them

class PagePlot {
 public:
  explicit PagePlot(const Chart& c) : c_(c), x_{c.log_x}, y_{c.log_y} {
    if (!c.log_y) y_.from = 0;
    for (const Line& l : c.lines)
      for (const auto& p : l.points) grow(p.first, p.second);
    for (const Dot& d : c.dots) grow(d.x, d.y);
    for (const Rule& r : c.rules) (r.level ? y_ : x_).grow(r.at);
    x_.close();
    y_.close();
  }

  std::string draw() {
    out_ = fmt::format(R"(<svg class="chart" viewBox="0 0 {:.0f} {:.0f}" role="img" aria-label="{}">)", kWidth, kHeight,
                       escaped(c_.title));
    frame();
    for (const Rule& r : c_.rules) rule(r);
    for (std::size_t i = 0; i < c_.lines.size(); ++i) line(c_.lines[i], i % kColours);
    for (const Dot& d : c_.dots) dot(d);
    out_ += "</svg>\n";
    legend();
    return std::move(out_);
  }

 private:
  [[nodiscard]] bool takes(double x, double y) const { return x_.takes(x) && y_.takes(y); }
  void grow(double x, double y) {
    if (takes(x, y)) x_.grow(x), y_.grow(y);
  }
  [[nodiscard]] double px(double x) const { return kLeft + x_.share(x) * (kWidth - kLeft - kRight); }
  [[nodiscard]] double py(double y) const { return kHeight - kBottom - y_.share(y) * (kHeight - kTop - kBottom); }

  void frame() {
    for (const double y : y_.round_ticks(4))
      out_ += fmt::format(
          R"(<line class="grid" x1="{:.0f}" y1="{:.1f}" x2="{:.0f}" y2="{:.1f}"/><text x="{:.0f}" y="{:.1f}" text-anchor="end">{:g}</text>)",
          kLeft, py(y), kWidth - kRight, py(y), kLeft - 5, py(y) + 4, y);
    for (const double x : x_.round_ticks(5))
      out_ += fmt::format(
          R"(<line class="grid" x1="{:.1f}" y1="{:.0f}" x2="{:.1f}" y2="{:.0f}"/><text x="{:.1f}" y="{:.0f}" text-anchor="middle">{:g}</text>)",
          px(x), kHeight - kBottom, px(x), kHeight - kBottom + 4, px(x), kHeight - kBottom + 16, x);
    out_ += fmt::format(R"(<text x="{:.0f}" y="{:.0f}" text-anchor="middle">{}</text><text x="4" y="12">{}</text>)",
                        (kLeft + kWidth - kRight) / 2, kHeight - 5, escaped(c_.x), escaped(c_.y));
  }

  void rule(const Rule& r) {
    if (!(r.level ? y_ : x_).takes(r.at)) return;
    const double x1 = r.level ? kLeft : px(r.at), x2 = r.level ? kWidth - kRight : px(r.at);
    const double y1 = r.level ? py(r.at) : kTop, y2 = r.level ? py(r.at) : kHeight - kBottom;
    const bool right = x1 > kWidth - 80;  // of an upright one: its name stands on the other side
    out_ += fmt::format(
        R"(<line class="rule" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/><text class="named" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>)",
        x1, y1, x2, y2, r.level ? kWidth - kRight : x1 + (right ? -4 : 4), r.level ? y1 - 4 : kHeight - kBottom - 6,
        r.level || right ? "end" : "start", escaped(r.name));
  }

  void line(const Line& l, std::size_t colour) {
    out_ += fmt::format(R"(<polyline class="l{}" points=")", colour);
    for (const auto& p : l.points)
      if (takes(p.first, p.second)) out_ += fmt::format("{:.1f},{:.1f} ", px(p.first), py(p.second));
    out_ += R"("/>)";
    if (l.points.size() > kMarked) return;
    for (const auto& p : l.points)
      if (takes(p.first, p.second))
        out_ +=
            fmt::format(R"(<circle class="c{}" cx="{:.1f}" cy="{:.1f}" r="2.5"/>)", colour, px(p.first), py(p.second));
  }

  void dot(const Dot& d) {
    if (!takes(d.x, d.y)) return;
    out_ +=
        fmt::format(R"(<circle class="c0" cx="{0:.1f}" cy="{1:.1f}" r="2.5"/><text x="{2:.1f}" y="{3:.1f}">{4}</text>)",
                    px(d.x), py(d.y), px(d.x) + 5, py(d.y) + 4, escaped(d.label));
  }

  void legend() {
    out_ += R"(<ul class="legend">)";
    for (std::size_t i = 0; i < c_.lines.size(); ++i)
      out_ += fmt::format(R"(<li><i class="b{}"></i>{}</li>)", i % kColours, escaped(c_.lines[i].name));
    for (const Note& n : c_.notes) out_ += fmt::format("<li>{}</li>", escaped(n.text));
    out_ += "</ul>\n";
  }

  const Chart& c_;
  Axis x_, y_;
  std::string out_;
};

}  // namespace

std::string page_chart_style() {
  static constexpr const char* kLight[kColours] = {"#0b6e8a", "#b3261e", "#1a7f4b", "#8f5b00",
                                                   "#6a3fb0", "#a02c74", "#4c5d69", "#2f5fd0"};
  static constexpr const char* kDark[kColours] = {"#4cc3e4", "#ff8a80", "#57d08f", "#f0b44a",
                                                  "#b79cf5", "#f08fc5", "#a9b8c4", "#8fb0ff"};
  std::string light, dark, use;
  for (int i = 0; i < kColours; ++i) {
    light += fmt::format("--s{}:{};", i, kLight[i]);
    dark += fmt::format("--s{}:{};", i, kDark[i]);
    use += fmt::format(".l{0}{{stroke:var(--s{0})}}.c{0}{{fill:var(--s{0})}}.b{0}{{background:var(--s{0})}}\n", i);
  }
  return fmt::format(
      ":root{{{}}}\n@media (prefers-color-scheme:dark){{:root{{{}}}}}\n"
      ".chart{{width:100%;height:auto;display:block;font:10.5px sans-serif}}\n"
      ".chart text{{fill:currentColor;opacity:.8}}.chart polyline{{fill:none;stroke-width:1.8;stroke-linejoin:round}}\n"
      ".chart .grid{{stroke:currentColor;opacity:.16}}\n"
      ".chart .rule{{stroke:currentColor;stroke-dasharray:4 3;opacity:.75}}.chart .named{{font-weight:600;opacity:1}}\n"
      ".legend{{list-style:none;margin:.3rem 0 0;padding:0;display:flex;flex-wrap:wrap;gap:.15rem "
      ".9rem;font-size:.8rem}}\n"
      ".legend i{{display:inline-block;width:.9em;height:.25em;margin-right:.4em;vertical-align:middle}}\n{}",
      light, dark, use);
}

std::string to_page_svg(const Chart& c) { return PagePlot(c).draw(); }

}  // namespace sluice::svg
