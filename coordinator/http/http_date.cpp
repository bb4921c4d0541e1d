#include "coordinator/http/http_date.h"

#include <fmt/format.h>

namespace sluice::coordinator {

std::string_view HttpDate::at(std::time_t now) {
  if (now == second_ && !text_.empty()) return text_;
  // By hand: strftime's names follow the process's locale.
  static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  std::tm t{};
  gmtime_r(&now, &t);
  second_ = now;
  text_ = fmt::format("{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT", kDays[t.tm_wday], t.tm_mday, kMonths[t.tm_mon],
                      t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
  return text_;
}

}  // namespace sluice::coordinator
