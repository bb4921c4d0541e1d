#include "coordinator/policy/link_account.h"

#include <algorithm>

namespace sluice::coordinator {

double LinkAccount::end_s(TimePoint now, double bytes_per_s, bool link) const {
  if (flights_.empty() || !(bytes_per_s > 0)) return 0;
  const double second_per_byte = 1 / bytes_per_s;
  // In seconds from now.
  double end = seconds(last_end_ - now);
  bool first = link;
  for (const Flight& f : flights_) {
    end = std::max(end, seconds(f.begin - now)) + f.bytes * second_per_byte;
    if (link) end = std::max(end, seconds(f.computed - now));
    if (first && end < 0) end = -end;
    first = false;
  }
  return std::max(end, 0.0);
}

std::uint32_t LinkAccount::place(TimePoint begin, TimePoint computed, double bytes) {
  flights_.push_back({begin, computed, static_cast<float>(bytes), ++next_});
  return next_;
}

void LinkAccount::done(std::uint32_t id, TimePoint now) {
  drop(id);
  last_end_ = std::max(last_end_, now);
}

void LinkAccount::drop(std::uint32_t id) {
  std::erase_if(flights_, [id](const Flight& f) { return f.id == id; });
}

}  // namespace sluice::coordinator
