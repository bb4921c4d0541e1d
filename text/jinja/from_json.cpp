#include "text/jinja/from_json.h"

#include "text/jinja/dict.h"
#include "text/jinja/number.h"

namespace sluice::text::jinja {

namespace {

Value text_of(const std::string& s, Writer writer, Budget& budget) {
  Text t{.bytes = s};
  if (writer == Writer::client) t.origin = Origin::all_typed();
  return Value::string(std::move(t), budget);
}

/// Builds JSON as the library does, but for integers that its types would round.
class ExactBuilder : public nlohmann::detail::json_sax_dom_parser<nlohmann::ordered_json> {
  using Json = nlohmann::ordered_json;

 public:
  explicit ExactBuilder(Json& out) : json_sax_dom_parser(out, /*allow_exceptions=*/false) {}
  bool number_float(Json::number_float_t value, const Json::string_t& text) {
    if (text.find_first_of(".eE") != std::string::npos) return json_sax_dom_parser::number_float(value, text);
    Json::binary_t digits(std::vector<std::uint8_t>(text.begin(), text.end()));
    return binary(digits);
  }
};

template <class Json>
Value integer_of_digits(const Json& j, Budget& budget) {
  const auto& bytes = j.get_binary();
  const auto n = parse_integer(std::string(bytes.begin(), bytes.end()), 10, budget);
  return n ? *n : Value::none();
}

template <class Json>
Value convert(const Json& j, Writer writer, Budget& budget, std::uint32_t depth) {
  if (depth > budget.limits().max_nesting)
    fault("the request nests deeper than {} levels", budget.limits().max_nesting);
  budget.step();
  switch (j.type()) {
    case Json::value_t::boolean:
      return Value::boolean(j.template get<bool>());
    case Json::value_t::number_integer:
      return Value::integer(j.template get<std::int64_t>());
    case Json::value_t::number_unsigned:
      return integer_value(Integer(j.template get<std::uint64_t>()), budget);
    case Json::value_t::number_float:
      return Value::real(j.template get<double>());
    case Json::value_t::string:
      return text_of(j.template get_ref<const std::string&>(), writer, budget);
    case Json::value_t::array: {
      std::vector<Value> items;
      items.reserve(j.size());
      for (const auto& e : j) items.push_back(convert(e, writer, budget, depth + 1));
      return Value::list(std::move(items), budget);
    }
    case Json::value_t::object: {
      Dict d;
      for (const auto& [k, v] : j.items())
        d.set(text_of(k, writer, budget), convert(v, writer, budget, depth + 1), budget);
      return Value::dict(std::move(d), budget);
    }
    case Json::value_t::binary:
      return integer_of_digits(j, budget);
    default:
      return Value::none();
  }
}

/// Without recursion: it is asked before anything bounds how deep the request nests.
template <class Json>
std::size_t size_of(const Json& j) {
  std::size_t n = 0;
  std::vector<const Json*> open{&j};
  while (!open.empty()) {
    const Json& at = *open.back();
    open.pop_back();
    n += 4;
    if (at.is_string()) n += at.template get_ref<const std::string&>().size();
    if (at.is_object())
      for (const auto& [k, v] : at.items()) n += k.size();
    if (at.is_structured())
      for (const auto& child : at) open.push_back(&child);
  }
  return n;
}

}  // namespace

Value from_json(const nlohmann::json& j, Writer writer, Budget& budget) { return convert(j, writer, budget, 1); }
Value from_json(const nlohmann::ordered_json& j, Writer writer, Budget& budget) {
  return convert(j, writer, budget, 1);
}

std::optional<nlohmann::ordered_json> parse_exact(std::string_view text) {
  nlohmann::ordered_json out;
  ExactBuilder builder(out);
  if (!nlohmann::ordered_json::sax_parse(text.begin(), text.end(), &builder) || builder.is_errored())
    return std::nullopt;
  return out;
}

std::size_t input_size(const nlohmann::json& j) { return size_of(j); }
std::size_t input_size(const nlohmann::ordered_json& j) { return size_of(j); }

}  // namespace sluice::text::jinja
