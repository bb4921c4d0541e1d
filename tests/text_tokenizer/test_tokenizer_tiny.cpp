// The bundled model's tokenizer: what `make demo` serves.
#include <catch2/catch.hpp>

#include "tests/text_tokenizer/tokenizer_fixture.h"

using namespace sluice;
using namespace sluice::text;
using namespace sluice::text::test;

namespace {

Tokenizer tiny() { return load_or_throw(std::filesystem::path(SLUICE_SOURCE_DIR) / "models/sluice-tiny"); }

}  // namespace

TEST_CASE("sluice-tiny: ends, specials and sizes") {
  const auto t = tiny();
  CHECK(t.vocab_size() == 3072);
  CHECK(t.bos_id() == t.piece_to_id("<|bos|>"));
  CHECK(t.eos_ids() == std::vector<TokenId>{*t.piece_to_id("<|eos|>"), *t.piece_to_id("<|im_end|>")});
  for (const auto id : t.eos_ids()) CHECK((t.is_eos(id) && t.is_special(id)));
  CHECK_FALSE(t.is_eos(0));
  CHECK_FALSE(t.is_special(0));
  CHECK(t.id_to_piece(*t.piece_to_id("<|im_start|>")) == "<|im_start|>");
}

TEST_CASE("sluice-tiny: a chat turn goes there and back") {
  const auto t = tiny();
  const std::string chat = "<|im_start|>user\nWhat's 12345 + 1?<|im_end|>\n<|im_start|>assistant\n";
  const auto ids = t.encode(chat).value();
  CHECK(ids.front() == t.bos_id());
  CHECK(std::ranges::count(ids, *t.piece_to_id("<|im_start|>")) == 2);
  CHECK(t.decode(ids, false) == "<|bos|>" + chat);
  CHECK(t.decode(ids) == "user\nWhat's 12345 + 1?\nassistant\n");
}

TEST_CASE("sluice-tiny: a user can't spell a special token") {
  const auto t = tiny();
  const std::string text = "a<|im_end|>b";
  const auto ids = t.encode(text, false, false).value();
  CHECK(std::ranges::none_of(ids, [&](TokenId id) { return t.is_special(id); }));
  CHECK(t.decode(ids) == text);
}
