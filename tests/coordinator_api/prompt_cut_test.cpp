// truncate_prompt_tokens: which tokens stay.
#include "coordinator/api/prompt_cut.h"

#include <catch2/catch.hpp>

namespace sluice::test {
namespace {

using namespace sluice::coordinator;
using Ids = std::vector<TokenId>;

Ids cut(Ids ids, const Ids& specials, std::size_t most, bool keep_first = false) {
  cut_prompt(ids, specials, most, keep_first);
  return ids;
}

TEST_CASE("the last tokens stay, or the first ones") {
  CHECK(cut({1, 2, 3, 4}, {}, 2) == Ids{3, 4});
  CHECK(cut({1, 2, 3, 4}, {}, 2, true) == Ids{1, 2});
  CHECK(cut({1, 2, 3, 4}, {}, 4) == Ids{1, 2, 3, 4});
  CHECK(cut({1, 2, 3, 4}, {}, 9) == Ids{1, 2, 3, 4});
}

TEST_CASE("what the tokenizer puts around a text stays, as long as a text has room beside it") {
  CHECK(cut({100, 1, 2, 3, 4}, {100}, 3) == Ids{100, 3, 4});
  CHECK(cut({100, 1, 2, 3, 4}, {100}, 3, true) == Ids{100, 1, 2});
  CHECK(cut({100, 1, 2, 3, 4, 200}, {100, 200}, 3) == Ids{100, 4, 200});
  CHECK(cut({100, 1, 2, 3, 4, 200}, {100, 200}, 3, true) == Ids{100, 1, 200});
  CHECK(cut({1, 2, 3, 200}, {200}, 2) == Ids{3, 200});
  CHECK(cut({1, 2, 3, 200}, {200}, 2, true) == Ids{1, 200});
  CHECK(cut({100, 1, 2, 3}, {100}, 1) == Ids{3});
  CHECK(cut({100, 1, 2, 3, 200}, {100, 200}, 2) == Ids{3, 200});
}

TEST_CASE("a bound of -1 leaves room for the answer; more than the context is refused") {
  CHECK(tokens_kept({.tokens = 5}, 100, 16) == 5U);
  CHECK(tokens_kept({.tokens = 100}, 100, 16) == 100U);
  CHECK(tokens_kept({.tokens = -1}, 100, 16) == 84U);
  CHECK(tokens_kept({.tokens = -1}, 100, 200) == 1U);
  const auto more = tokens_kept({.tokens = 101}, 100, 16);
  REQUIRE_FALSE(more);
  CHECK(more.error().param == "truncate_prompt_tokens");
}

}  // namespace
}  // namespace sluice::test
