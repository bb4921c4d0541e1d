#pragma once
// Charts as SVG text, for reports that are read in a browser or beside a Markdown page. Pure.
#include <string>
#include <utility>
#include <vector>

namespace sluice::svg {

struct Line {
  std::string name;
  std::vector<std::pair<double, double>> points;
};
struct Dot {
  double x = 0, y = 0;
  std::string colour = "#36c";
  std::string label;  // beside it; may be empty
};
/// A dashed line across the plot: upright at an x, or level at a y.
struct Rule {
  double at = 0;
  std::string name;
  bool level = false;
};
struct Note {
  std::string colour, text;
};
/// Lines, dots and rules over one pair of axes; a linear y begins at 0. Log scale of x or y where asked for (points at
/// or below 0 are left out there). Lines are named at the right, then the notes stand.
struct Chart {
  std::string title, x, y;
  std::vector<Line> lines;
  bool log_x = false, log_y = false;
  std::vector<Dot> dots;
  std::vector<Note> notes;
  std::vector<Rule> rules;
};
[[nodiscard]] std::string to_svg(const Chart& c);

/// Dark blue at 0 over green to yellow at 1.
[[nodiscard]] std::string heat(double share);

}  // namespace sluice::svg
