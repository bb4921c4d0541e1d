#include "text/output/call_parser.h"

#include <algorithm>
#include <utility>

namespace sluice::text::output {

OutputDelta CallParser::push(std::string_view text) {
  for (const char c : text) step(c);
  return std::exchange(out_, {});
}

OutputDelta CallParser::finish() {
  stop();
  give_up();
  if (calls_ == 0) out_.content += std::exchange(space_, {});
  return std::exchange(out_, {});
}

void CallParser::content(std::string_view text) {
  if (only_space_) {
    const auto end = std::min(text.find_first_not_of(" \t\r\n"), text.size());
    space_ += text.substr(0, end);
    text.remove_prefix(end);
    if (text.empty()) return;
    only_space_ = false;
    out_.content += std::exchange(space_, {});
  }
  out_.content += text;
}

void CallParser::call(const std::string& name, std::string_view arguments) {
  if (!std::exchange(telling_, true)) untold_ = {calls_, name, {}};
  untold_.arguments += arguments;
  if (!eager_) return;
  if (untold_.name) ++calls_;
  space_.clear();
  raw_.clear();
  // Pieces of one push are one.
  if (!untold_.name && !out_.calls.empty())
    out_.calls.back().arguments += untold_.arguments;
  else if (untold_.name || !untold_.arguments.empty())
    out_.calls.push_back(untold_);
  untold_ = {untold_.index, std::nullopt, {}};
}

void CallParser::call_done() {
  if (!eager_) {
    ++calls_;
    out_.calls.push_back(std::exchange(untold_, {}));
  }
  telling_ = false;
  space_.clear();
  raw_.clear();
  only_space_ = true;
}

void CallParser::give_up() {
  if (std::exchange(telling_, false) && eager_) only_space_ = true;
  content(std::exchange(raw_, {}));
}

JsonScanner::Step CallParser::step_object(CallObject& object, char c) {
  const auto s = object.push(c);
  if (s == JsonScanner::Step::bad) return s;
  attempt(c);
  if (s == JsonScanner::Step::done) {
    const bool bare = !object.has_arguments();
    call(*object.name(), bare ? "{}" : object.take_arguments());
    call_done();
  } else if (object.name() && object.has_arguments()) {
    call(*object.name(), object.take_arguments());
  }
  return s;
}

}  // namespace sluice::text::output
