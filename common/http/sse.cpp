#include "common/http/sse.h"

namespace sluice::http {

Result<> SseParser::push(std::string_view bytes) {
  while (!bytes.empty()) {
    if (cr_ && bytes.front() == '\n') bytes.remove_prefix(1);
    cr_ = false;
    const auto end = bytes.find_first_of("\r\n");
    const std::string_view text = bytes.substr(0, end);
    if (line_.size() + data_.size() + text.size() > max_event_)
      return fail(Errc::data_corrupt, "an event of the stream is larger than {} bytes", max_event_);
    if (end == std::string_view::npos) {
      line_ += text;
      return {};
    }
    cr_ = bytes[end] == '\r';
    bytes.remove_prefix(end + 1);
    if (line_.empty()) {
      line(text);
    } else {
      line_ += text;
      line(line_);
      line_.clear();
    }
  }
  return {};
}

void SseParser::line(std::string_view text) {
  if (text.empty()) {
    if (any_) on_event_(data_);
    data_.clear();
    any_ = false;
    return;
  }
  if (!text.starts_with("data:")) return;
  text.remove_prefix(text.starts_with("data: ") ? 6 : 5);
  if (any_) data_ += '\n';
  data_ += text;
  any_ = true;
}

}  // namespace sluice::http
