#include "common/json/parse.h"

#include <set>
#include <string>
#include <vector>

#include "common/utf8.h"

namespace sluice {
namespace {

using nlohmann::json;

/// Nesting is judged on the bytes, before a parser or a destructor recurses over it.
bool too_deep(std::string_view text, int most) {
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > most) return true;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return false;
}

std::string why_not(const json::exception& e, std::string_view text, std::string_view what) {
  constexpr int kNumberTooLarge = 406;  // nlohmann's number of that error
  if (e.id == kNumberTooLarge) return fmt::format("{} holds a number that is too large", what);
  if (std::string_view(e.what()).find("UTF-8") != std::string_view::npos)
    return fmt::format("{} is not well-formed UTF-8", what);
  const auto* at_byte = dynamic_cast<const json::parse_error*>(&e);
  const std::size_t at = at_byte != nullptr && at_byte->byte > 0 ? at_byte->byte - 1 : 0;
  // The parser stops inside the word: look back a little.
  const auto around = text.substr(std::min(at > 9 ? at - 9 : 0, text.size()), 24);
  const bool number_word =
      around.find("NaN") != std::string_view::npos || around.find("Infinity") != std::string_view::npos;
  return fmt::format("{} is not valid JSON (at byte {}){}", what, at,
                     number_word ? ": JSON has no NaN or Infinity" : "");
}

/// Watches the parser for a name that comes twice in one object.
class Repeats {
 public:
  bool operator()(int depth, json::parse_event_t event, json& parsed) {
    const auto level = static_cast<std::size_t>(std::max(depth, 0));
    if (names_.size() <= level + 1) names_.resize(level + 2);
    if (event == json::parse_event_t::object_start) names_[level + 1].clear();
    if (event == json::parse_event_t::key && !names_[level].insert(parsed.get_ref<const std::string&>()).second &&
        found_.empty())
      found_ = fmt::format("'{}' is given twice", clip_utf8(parsed.get_ref<const std::string&>(), 64));
    return true;
  }
  [[nodiscard]] const std::string& found() const noexcept { return found_; }

 private:
  std::vector<std::set<std::string>> names_;  // by depth
  std::string found_;
};

}  // namespace

std::string_view json_type(const json& v) noexcept {
  switch (v.type()) {
    case json::value_t::string:
      return "a string";
    case json::value_t::boolean:
      return "a boolean";
    case json::value_t::number_integer:
    case json::value_t::number_unsigned:
      return "a whole number";
    case json::value_t::number_float:
      return "a number";
    case json::value_t::array:
      return "a list";
    case json::value_t::object:
      return "an object";
    case json::value_t::binary:
      return "a byte string";
    case json::value_t::null:
    case json::value_t::discarded:
      break;
  }
  return "null";
}

Result<json> parse_json(std::string_view text, const JsonText& as) {
  if (text.size() > as.max_bytes)
    return fail(as.code, "{} is {} bytes long; at most {} are allowed", as.what, text.size(), as.max_bytes);
  if (too_deep(text, as.max_depth)) return fail(as.code, "{} nests deeper than {} levels", as.what, as.max_depth);
  Repeats repeats;
  json::parser_callback_t watch;
  if (as.refuse_repeated) watch = std::ref(repeats);
  try {
    json j = json::parse(text.begin(), text.end(), watch, /*allow_exceptions=*/true, as.comments);
    if (!repeats.found().empty()) return fail(as.code, "{}: {}", as.what, repeats.found());
    return j;
  } catch (const json::exception& e) {
    return fail(as.code, "{}", why_not(e, text, as.what));
  }
}

Result<json> parse_json_object(std::string_view text, const JsonText& as) {
  SLUICE_ASSIGN(json j, parse_json(text, as));
  if (!j.is_object()) return fail(as.code, "{} must be a JSON object, not {}", as.what, json_type(j));
  return j;
}

}  // namespace sluice
