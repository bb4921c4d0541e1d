// The bundled model's own text side behind the API's interface.
#include "coordinator/text_adapter.h"

#include <catch2/catch.hpp>

namespace sluice::test {
namespace {

using namespace sluice::coordinator;

const std::filesystem::path kTiny = std::filesystem::path(SLUICE_SOURCE_DIR) / "models/sluice-tiny";

TEST_CASE("the bundled model renders, encodes and streams back what it was given") {
  auto text = load_model_text(kTiny);
  REQUIRE(text);
  ChatPrompt p;
  p.messages = nlohmann::ordered_json::array({{{"role", "user"}, {"content", "Caf\u00e9 \U0001F600?"}}});
  auto rendered = (*text)->render_chat(p);
  REQUIRE(rendered);
  CHECK_THAT(*rendered, Catch::Contains("<|im_start|>user\nCaf\u00e9 \U0001F600?<|im_end|>\n<|im_start|>assistant\n"));
  auto ids = (*text)->encode(*rendered, false);
  REQUIRE(ids);
  CHECK((*text)->decode(*ids, false) == *rendered);
  for (bool skip : {false, true}) {
    auto stream = (*text)->detokenizer(skip);
    std::string s;
    for (TokenId id : *ids) s += stream->push(id);
    s += stream->finish();
    CHECK(s == (*text)->decode(*ids, skip));
  }
  std::string bytes;
  for (TokenId id : *ids) bytes += (*text)->token_bytes(id);
  CHECK(bytes == *rendered);
}

TEST_CASE("a directory without a tokenizer is an error in words") {
  auto r = load_model_text("/nonexistent");
  REQUIRE_FALSE(r);
  CHECK_FALSE(r.error().message.empty());
}

}  // namespace
}  // namespace sluice::test
