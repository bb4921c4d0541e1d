#pragma once
// What binds an answer: the fields of a request that name a schema, a regular expression, choices or a grammar, and the
// one grammar that comes of them. It goes with each leg as EBNF, in GenerateRequest::sampling.grammar (ADR 9).
//
//   OrderedBody ordered(text, sorted);                   // of the whole body
//   read_common(body, headers, model, q);                // first: it resets q.sampling
//   read_structured(body, ordered, q);                   // response_format, guided_*, structured_outputs
//   bind_answer(at, std::move(grammar), q);              // whoever made a grammar otherwise (a forced tool call)
//
// Threading: prompt threads; pure functions of their arguments. Failure: the document's JsonReader keeps the first
// mistake, which names the field and, within a schema, the place by JSON pointer.
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "common/json/reader.h"
#include "common/result.h"
#include "common/shared_text.h"
#include "coordinator/api/key_order.h"
#include "coordinator/api/requests.h"
#include "text/grammar/grammar.h"

namespace sluice::coordinator {

/// A body with its keys in the order in which they came, for schemas: properties are written in their author's order.
/// Read only once somebody looks. Refers to `text` and `sorted`, which was parsed from it.
class OrderedBody {
 public:
  using Path = std::vector<std::string_view>;  // names, outermost first
  OrderedBody(std::string_view text, const nlohmann::json& sorted) : text_(text), sorted_(&sorted) {}
  /// The body itself; integers beyond 64 bits are floating point numbers.
  explicit OrderedBody(nlohmann::ordered_json body) : ordered_(std::move(body)) {}
  /// The value there; null where there is none.
  [[nodiscard]] const nlohmann::ordered_json* at(const Path& path);
  /// A document within the body, of which `sorted` was parsed.
  [[nodiscard]] nlohmann::ordered_json document(std::string_view text, const nlohmann::json& sorted) {
    return order_.plain_of(text, sorted);
  }

 private:
  std::string_view text_;
  const nlohmann::json* sorted_ = nullptr;
  KeyOrder order_;
  std::optional<nlohmann::ordered_json> ordered_;
};

/// A grammar as a leg carries it: checked, EBNF, of at most control::kMaxGrammarBytes.
[[nodiscard]] Result<SharedText> leg_grammar(const text::grammar::Grammar& grammar);

/// The answer of `q` is to be of this grammar, which came from the value `at`. What binds it already makes that a
/// mistake.
void bind_answer(const JsonValue& at, const Result<text::grammar::Grammar>& grammar, GenerateRequest& q);

/// Where a format of type json_schema has its schema: chats in json_schema.schema, Responses in schema.
enum class FormatShape { nested, flat };

/// {"type": "text"}, {"type": "json_object"}, {"type": "json_schema", ...}: of chats response_format, of Responses
/// text.format. `path`: the names that lead to it in the body.
void read_format(const JsonValue& format, const OrderedBody::Path& path, FormatShape shape, OrderedBody& ordered,
                 GenerateRequest& q);

/// response_format, guided_json, guided_regex, guided_choice, guided_grammar and what goes with them,
/// structured_outputs. One source at most.
void read_structured(JsonObject& body, OrderedBody& ordered, GenerateRequest& q);

}  // namespace sluice::coordinator
