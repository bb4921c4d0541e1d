#include "text/output/reasoning_parser.h"

#include <utility>

namespace sluice::text::output {

OutputDelta ReasoningParser::push(std::string_view text) {
  OutputDelta out;
  std::string answer;
  for (const char c : text) {
    if (at_ == At::begin)
      begin(c, out, answer);
    else if (at_ == At::answer)
      answer += c;
    else if (close_.push(c, out.reasoning))
      at_ = At::answer;
  }
  out.append(answered(std::move(answer)));
  return out;
}

void ReasoningParser::begin(char c, OutputDelta& out, std::string& answer) {
  std::string plain;
  if (open_.push(c, plain)) {
    space_.clear();
    at_ = At::reasoning;
    return;
  }
  space_ += plain;
  if (space_.find_first_not_of(" \t\r\n") == std::string::npos) return;
  not_opened(std::exchange(space_, {}) + open_.take(), out, answer);
}

void ReasoningParser::not_opened(std::string text, OutputDelta& out, std::string& answer) {
  at_ = inside_ ? At::reasoning : At::answer;
  for (const char c : text) {
    if (at_ == At::answer)
      answer += c;
    else if (close_.push(c, out.reasoning))
      at_ = At::answer;
  }
}

OutputDelta ReasoningParser::finish() {
  OutputDelta out;
  std::string answer;
  if (at_ == At::begin) not_opened(std::exchange(space_, {}) + open_.take(), out, answer);
  out.reasoning += close_.take();
  out.append(answered(std::move(answer)));
  if (rest_) out.append(rest_->finish());
  return out;
}

OutputDelta ReasoningParser::answered(std::string text) {
  if (rest_) return text.empty() ? OutputDelta{} : rest_->push(text);
  OutputDelta out;
  out.content = std::move(text);
  return out;
}

}  // namespace sluice::text::output
