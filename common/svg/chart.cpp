#include "common/svg/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "common/svg/parts.h"

namespace sluice::svg {
namespace {

constexpr double kPlot = 460;  // wide, between the margins
constexpr double kHeight = 360;
constexpr double kLeft = 70;
constexpr double kRight = 190;  // of the plot, at least: names and notes stand there
constexpr double kLetter = 6.8;
constexpr double kTop = 44;
constexpr double kBottom = 48;
constexpr const char* kColours[] = {"#0b6", "#c33", "#36c", "#b80", "#839", "#077", "#777", "#d5a", "#490", "#024"};

class Plot {
 public:
  explicit Plot(const Chart& c) : c_(c), x_{c.log_x}, y_{c.log_y} {
    if (!c.log_y) y_.from = 0;
    for (const Line& l : c.lines)
      for (const auto& p : l.points) grow(p.first, p.second);
    for (const Dot& d : c.dots) grow(d.x, d.y);
    for (const Rule& r : c.rules) (r.level ? y_ : x_).grow(r.at);
    for (const Line& l : c.lines) fit(l.name);
    for (const Note& n : c.notes) fit(n.text);
    x_.close();
    y_.close();
  }

  std::string draw() {
    frame();
    for (std::size_t i = 0; i < c_.lines.size(); ++i) line(c_.lines[i], kColours[i % std::size(kColours)]);
    for (const Dot& d : c_.dots) dot(d);
    for (const Rule& r : c_.rules) rule(r);
    for (const Note& n : c_.notes) note(n.text, n.colour);
    return std::move(out_) + "</svg>\n";
  }

 private:
  [[nodiscard]] bool takes(double x, double y) const { return x_.takes(x) && y_.takes(y); }
  void grow(double x, double y) {
    if (takes(x, y)) x_.grow(x), y_.grow(y);
  }
  void fit(const std::string& text) {
    width_ = std::max(width_, kLeft + kPlot + 20 + kLetter * static_cast<double>(text.size()));
  }
  [[nodiscard]] double px(double x) const { return kLeft + x_.share(x) * kPlot; }
  [[nodiscard]] double py(double y) const { return kHeight - kBottom - y_.share(y) * (kHeight - kTop - kBottom); }

  void frame() {
    out_ = fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {:.0f} {:.0f}\" font-family=\"sans-serif\" "
        "font-size=\"12\">\n"
        "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n<text x=\"{}\" y=\"20\" font-size=\"14\">{}</text>\n",
        width_, kHeight, kLeft, escaped(c_.title));
    for (int i = 0; i <= 4; ++i) {
      const double x = kLeft + kPlot * i / 4;
      const double y = kHeight - kBottom - (kHeight - kTop - kBottom) * i / 4;
      out_ += fmt::format(
          "<line x1=\"{0:.1f}\" y1=\"{1:.1f}\" x2=\"{2:.1f}\" y2=\"{1:.1f}\" stroke=\"#ddd\"/>"
          "<text x=\"{3:.1f}\" y=\"{4:.1f}\" text-anchor=\"end\">{5:.3g}</text>"
          "<text x=\"{6:.1f}\" y=\"{7:.1f}\" text-anchor=\"middle\">{8:.3g}</text>\n",
          kLeft, y, kLeft + kPlot, kLeft - 6, y + 4, y_.value(i / 4.0), x, kHeight - kBottom + 16, x_.value(i / 4.0));
    }
    out_ += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text><text x=\"14\" y=\"{}\">{}</text>\n",
                        kLeft + kPlot / 2, kHeight - 10, escaped(c_.x), kTop - 10, escaped(c_.y));
  }
  void line(const Line& l, const char* colour) {
    out_ += fmt::format("<polyline fill=\"none\" stroke=\"{}\" stroke-width=\"1.6\" points=\"", colour);
    for (const auto& p : l.points)
      if (takes(p.first, p.second)) out_ += fmt::format("{:.1f},{:.1f} ", px(p.first), py(p.second));
    out_ += "\"/>\n";
    note(l.name, colour);
  }
  void dot(const Dot& d) {
    if (!takes(d.x, d.y)) return;
    out_ += fmt::format(R"(<circle cx="{:.1f}" cy="{:.1f}" r="3.5" fill="{}"/>)", px(d.x), py(d.y), d.colour);
    if (!d.label.empty())
      out_ += fmt::format(R"(<text x="{:.1f}" y="{:.1f}">{}</text>)", px(d.x) + 6, py(d.y) + 4, escaped(d.label));
    out_ += '\n';
  }
  void rule(const Rule& r) {
    if (!(r.level ? y_ : x_).takes(r.at)) return;
    const double x = px(r.at), y = py(r.at);
    out_ += fmt::format(
        R"(<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" stroke="#555" stroke-dasharray="4 3"/>)",
        r.level ? kLeft : x, r.level ? y : kTop, r.level ? kLeft + kPlot : x, r.level ? y : kHeight - kBottom);
    out_ += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n", r.level ? kLeft + 4 : x + 4,
                        r.level ? y - 4 : kTop + 10, escaped(r.name));
  }
  void note(const std::string& text, const std::string& colour) {
    out_ += fmt::format("<text x=\"{}\" y=\"{:.1f}\" fill=\"{}\">{}</text>\n", kLeft + kPlot + 10,
                        kTop + 16.0 * notes_++, colour, escaped(text));
  }

  const Chart& c_;
  Axis x_, y_;
  std::string out_;
  double width_ = kLeft + kPlot + kRight;
  int notes_ = 0;
};

}  // namespace

std::string to_svg(const Chart& c) { return Plot(c).draw(); }

std::string heat(double share) {
  static constexpr std::array<std::array<double, 3>, 5> kStops{
      {{68, 1, 84}, {59, 82, 139}, {33, 145, 140}, {94, 201, 98}, {230, 200, 20}}};
  const double at = std::clamp(share, 0.0, 1.0) * (kStops.size() - 1);
  const auto i = std::min(static_cast<std::size_t>(at), kStops.size() - 2);
  std::array<int, 3> c{};
  for (std::size_t k = 0; k < 3; ++k)
    c[k] = static_cast<int>(kStops[i][k] + (kStops[i + 1][k] - kStops[i][k]) * (at - static_cast<double>(i)));
  return fmt::format("#{:02x}{:02x}{:02x}", c[0], c[1], c[2]);
}

}  // namespace sluice::svg
