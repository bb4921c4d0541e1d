#include "common/prefix/form.h"

#include <catch2/catch.hpp>

using namespace sluice::prefix;

TEST_CASE("a form is exact, or a profile's with its cuts") {
  const PrefixForm exact;
  const auto q8 = PrefixForm::of_profile(0x21, 0xabcdef, 512);
  CHECK(exact.exact());
  CHECK_FALSE(q8.exact());
  CHECK(to_string(exact) == "exact");
  CHECK(to_string(q8) == "21-0000000000abcdef-512");
  for (const auto& other : {PrefixForm::of_profile(0x22, 0xabcdef, 512), PrefixForm::of_profile(0x21, 0xabcdee, 512),
                            PrefixForm::of_profile(0x21, 0xabcdef, 256), exact}) {
    CHECK(q8 != other);
    CHECK(std::hash<PrefixForm>{}(q8) != std::hash<PrefixForm>{}(other));
  }
}
