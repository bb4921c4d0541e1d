#pragma once
// Charts for an HTML page that may be light or dark, and narrow: no ground of their own, text and grid in the page's
// colours, small enough to be read on a phone, and with the lines' names under them as HTML. Dots have the first
// line's colour, whatever they ask for. Pure.
#include <string>

#include "common/svg/chart.h"

namespace sluice::svg {

/// What a page's style sheet needs once for its charts.
[[nodiscard]] std::string page_chart_style();
/// An <svg> of 360 units in width, and under it a list of what its lines are. The title is for those who cannot see it.
[[nodiscard]] std::string to_page_svg(const Chart& c);

}  // namespace sluice::svg
