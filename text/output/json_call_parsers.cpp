#include "text/output/json_call_parsers.h"

#include <string_view>
#include <utility>

namespace sluice::text::output {

using Step = JsonScanner::Step;

bool TaggedParser::ends_tag(char c) {
  std::string plain;
  const bool found = search_.push(c, plain);
  content(plain);
  if (found) attempt(search_.tag());
  return found;
}

void TaggedParser::stop() {
  give_up();
  content(search_.take());
}

// ---- Hermes ----

void HermesParser::step_text(char c) { at_ = ends_tag(c) ? At::open : At::text; }

void HermesParser::step(char c) {
  switch (at_) {
    case At::text:
      return step_text(c);
    case At::open:
      if (is_space(c)) return attempt(c);
      object_ = {};
      at_ = At::object;
      [[fallthrough]];
    case At::object:
      if (const Step s = step_object(object_, c); s == Step::bad) {
        give_up();
        step_text(c);
      } else if (s == Step::done) {
        at_ = At::close;
      }
      return;
    case At::close:
      return step_close(c);
  }
}

void HermesParser::step_close(char c) {
  constexpr std::string_view kClose = "</tool_call>";
  const std::size_t tag = closing_.find_first_not_of(" \t\r\n");
  const std::size_t read = tag == std::string::npos ? 0 : closing_.size() - tag;
  closing_ += c;
  if (read == 0 && is_space(c)) return;
  if (c == kClose[read]) {
    if (read + 1 < kClose.size()) return;
    closing_.clear();
    at_ = At::text;
    return;
  }
  at_ = At::text;
  for (const char held : std::exchange(closing_, {})) step_text(held);
}

void HermesParser::stop() {
  content(std::exchange(closing_, {}));
  TaggedParser::stop();
}

// ---- Llama 3 ----

void Llama3JsonParser::step_text(char c) { at_ = ends_tag(c) ? At::open : At::text; }

void Llama3JsonParser::step(char c) {
  switch (at_) {
    case At::begin:
      if (is_space(c)) return content({&c, 1});
      if (c != '{') return step_text(c);
      break;
    case At::text:
      return step_text(c);
    case At::after:
      if (is_space(c)) return attempt(c);
      if (c == ';') {
        attempt(c);
        at_ = At::next;
        return;
      }
      give_up();
      return step_text(c);
    case At::open:
    case At::next:
      if (is_space(c)) return attempt(c);
      break;
    case At::object:
      break;
  }
  if (std::exchange(at_, At::object) != At::object) object_ = {};
  const Step s = step_object(object_, c);
  if (s == Step::done) at_ = At::after;
  if (s != Step::bad) return;
  give_up();
  step_text(c);
}

// ---- Mistral ----

void MistralParser::step_text(char c) { at_ = ends_tag(c) ? At::open : At::text; }

void MistralParser::refuse(char c) {
  give_up();
  step_text(c);
}

void MistralParser::step(char c) {
  switch (at_) {
    case At::text:
      return step_text(c);
    case At::open:
      if (is_space(c)) return attempt(c);
      if (c == '[') {
        attempt(c);
        at_ = At::item;
        return;
      }
      name_.clear();
      at_ = At::name;
      [[fallthrough]];
    case At::name:
      if (is_name_byte(c) && name_.size() < kMaxNameBytes) {
        name_ += c;
        return attempt(c);
      }
      if (name_.empty()) return refuse(c);
      at_ = At::arguments_or_mark;
      [[fallthrough]];
    case At::arguments_or_mark:
      if (is_space(c)) return attempt(c);
      if (c == '{') return begin_arguments(c);
      mark_.clear();
      at_ = At::mark;
      [[fallthrough]];
    case At::mark:
      return step_mark(c);
    case At::id:
      if (is_name_byte(c)) return attempt(c);
      at_ = At::mark;
      return step_mark(c);
    case At::arguments:
      return step_arguments(c);
    case At::item:
      if (is_space(c)) return attempt(c);
      object_ = {};
      at_ = At::object;
      [[fallthrough]];
    case At::object:
      if (const Step s = step_object(object_, c); s == Step::bad)
        refuse(c);
      else if (s == Step::done)
        at_ = At::separator;
      return;
    case At::separator:
      if (c == ']') {
        drop();
        at_ = At::text;
        return;
      }
      if (!is_space(c) && c != ',') return refuse(c);
      attempt(c);
      if (c == ',') at_ = At::item;
      return;
  }
}

void MistralParser::step_mark(char c) {
  constexpr std::string_view kArguments = "[ARGS]";
  constexpr std::string_view kId = "[CALL_ID]";
  mark_ += c;
  if (!kArguments.starts_with(mark_) && !kId.starts_with(mark_)) return refuse(c);
  attempt(c);
  if (mark_ != kArguments && mark_ != kId) return;
  at_ = mark_ == kId ? At::id : At::arguments_or_mark;
  mark_.clear();
}

void MistralParser::begin_arguments(char c) {
  scanner_ = {};
  at_ = At::arguments;
  step_arguments(c);
}

void MistralParser::step_arguments(char c) {
  const Step s = scanner_.push(c);
  if (s == Step::bad) return refuse(c);
  attempt(c);
  call(name_, {&c, 1});
  if (s == Step::more) return;
  call_done();
  at_ = At::text;
}

}  // namespace sluice::text::output
