#pragma once
// Reads server-sent events out of bytes as they come: the text of each event's data lines, joined by line breaks. Lines
// may end in any of the three ways, `data:` may lack its space, comments and other fields are passed over.
// Threading: none; one parser, one stream. Failure: data_corrupt once an event is larger than the bound; then the
// stream cannot be read any further.
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "common/result.h"

namespace sluice::http {

class SseParser {
 public:
  static constexpr std::size_t kMaxEvent = std::size_t{16} << 20;

  explicit SseParser(std::function<void(std::string_view)> on_event, std::size_t max_event = kMaxEvent)
      : on_event_(std::move(on_event)), max_event_(max_event) {}
  /// Bytes may be cut anywhere.
  [[nodiscard]] Result<> push(std::string_view bytes);

 private:
  void line(std::string_view text);

  std::function<void(std::string_view)> on_event_;
  std::size_t max_event_;
  std::string line_;  // begun by earlier bytes
  std::string data_;  // of the event that is not complete yet
  bool any_ = false;  // it has a data line
  bool cr_ = false;   // the last byte was a carriage return: a line feed now belongs to it
};

}  // namespace sluice::http
