// Any bytes as a source of a grammar: a schema, an expression or EBNF. It is refused or read, in bounded time, and what
// is read goes through its text and comes back as the same text.
//
// Input: a byte that chooses the source, then the source.
#include <cstdlib>
#include <string_view>

#include "text/grammar/sources.h"

using namespace sluice;
using namespace sluice::text::grammar;

namespace {

// Small, so that a grammar at its limits is read and written in a moment.
constexpr GrammarLimits kLimits{.nodes = 20'000, .bytes = 1U << 16U, .repeats = 10'000, .depth = 64};

Result<Grammar> read(std::uint8_t kind, std::string_view source) {
  switch (kind % 4) {
    case 0: {
      const auto schema = nlohmann::ordered_json::parse(source, nullptr, false);
      if (schema.is_discarded()) return fail(Errc::invalid_argument, "no JSON");
      return from_json_schema(schema,
                              {.any_whitespace = (kind & 4U) != 0, .closed = (kind & 8U) != 0, .limits = kLimits});
    }
    case 1:
      return from_regex(source, kLimits);
    case 2:
      return from_ebnf(source, kLimits);
    default: {
      Grammar g;
      const std::string trigger(source);
      g.set_root(text_without(g, {&trigger, 1}));
      return g;
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto grammar = read(data[0], {reinterpret_cast<const char*>(data) + 1, size - 1});
  if (!grammar) return 0;
  const auto text = to_ebnf(*grammar);
  const auto again = from_ebnf(text, wire_limits(kLimits));
  if (!again) {
    if (data[0] % 4 == 3) return 0;  // a trigger that is not UTF-8
    std::abort();
  }
  if (to_ebnf(*again) != text) std::abort();
  return 0;
}
