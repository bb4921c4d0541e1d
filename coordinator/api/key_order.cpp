#include "coordinator/api/key_order.h"

#include <algorithm>
#include <utility>

#include "text/jinja/from_json.h"

namespace sluice::coordinator {

using nlohmann::json;
using nlohmann::ordered_json;

namespace {

/// Names of fields in a JSON text: the colons outside of its strings.
std::size_t colons_in(std::string_view text) {
  std::size_t n = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') in_string = !in_string;
    if (in_string && text[i] == '\\') ++i;
    if (!in_string && text[i] == ':') ++n;
  }
  return n;
}

/// What finding keys by looking at each costs, in comparisons of short ones.
struct Names {
  std::size_t all = 0;
  std::size_t dearest = 0;  // to find one in the largest object
  std::size_t cost = 0;     // to find each once while the objects grow
};

void count_names(const json& j, Names& names) {
  if (!j.is_structured()) return;
  if (j.is_object()) {
    std::size_t bytes = 0;
    for (auto it = j.begin(); it != j.end(); ++it) bytes += it.key().size();
    const std::size_t one = j.size() + bytes / 32;
    names.all += j.size();
    names.dearest = std::max(names.dearest, one);
    names.cost += j.size() * one / 2;
  }
  for (const json& child : j) count_names(child, names);
}

}  // namespace

std::size_t names_in(const json& j) {
  Names names;
  count_names(j, names);
  return names.all;
}

bool KeyOrder::affords(std::string_view source, const json& sorted) {
  Names names;
  count_names(sorted, names);
  // A name given again is looked for again, and stands in `sorted` once.
  spent_ += names.cost + (colons_in(source) - names.all) * names.dearest;
  return spent_ <= kMost;
}

ordered_json KeyOrder::of(std::string_view source, const json& sorted) {
  if (!affords(source, sorted)) return ordered_json(sorted);
  auto ordered = text::jinja::parse_exact(source);
  return ordered ? *std::move(ordered) : ordered_json(sorted);
}

ordered_json KeyOrder::plain_of(std::string_view source, const json& sorted) {
  if (!affords(source, sorted)) return ordered_json(sorted);
  auto ordered = ordered_json::parse(source, nullptr, false);
  return ordered.is_discarded() ? ordered_json(sorted) : ordered;
}

}  // namespace sluice::coordinator
