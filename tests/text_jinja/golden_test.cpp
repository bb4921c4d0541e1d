// The text must equal what transformers' apply_chat_template renders, byte for byte: a prompt that differs by one
// newline is a prompt the model was not trained on. tools/golden/chat_templates.py makes the golden data.
#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "text/chat_template.h"
#include "text/continued_message.h"

using namespace sluice;
using nlohmann::ordered_json;
using text::ChatTemplate;

namespace {

const std::string kDir = std::string(SLUICE_SOURCE_DIR) + "/tests/text_jinja/";

const ordered_json& golden() {
  static const ordered_json kGolden = ordered_json::parse(std::ifstream(kDir + "golden.json"));
  return kGolden;
}

Result<ChatTemplate> parse(const std::string& source) {
  auto t = ChatTemplate::parse(source, nlohmann::json(golden()["specials"]));
  if (!t) return t;
  t->set_clock([](const std::string& format) {  // the moment that the generator holds still
    REQUIRE(format == "%d %b %Y");
    return std::string("21 Nov 2026");
  });
  return t;
}

/// A template without a chat to speak of; refused at load or when it is rendered.
Result<std::string> render_one(const std::string& source) {
  SLUICE_ASSIGN(const auto t, parse(source));
  const ordered_json messages = {{{"role", "user"}, {"content", "Hello"}}};
  return t.render(messages, nullptr, false, ordered_json::object());
}

std::string read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// Equal text; or both refuse, and where the template itself refused, in its words.
void check(const Result<std::string>& got, const ordered_json& want) {
  if (want.contains("text")) {
    if (!got)
      FAIL_CHECK("refused: " << got.error().message);
    else
      CHECK(*got == want["text"].get<std::string>());
    return;
  }
  INFO("expected: " << want["error"]);
  REQUIRE_FALSE(got);
  CHECK(got.error().code == Errc::invalid_argument);
}

}  // namespace

TEST_CASE("conversations render as in transformers") {
  std::size_t texts = 0;
  for (const auto& c : golden()["cases"]) {
    const auto t = parse(read(kDir + "templates/" + c["template"].get<std::string>() + ".jinja")).value();
    INFO(c["template"] << " " << c["conversation"] << " tools " << c["tools"] << " "
                       << c.value("extra", ordered_json()));
    const auto got = t.render(golden()["conversations"][c["conversation"].get<std::string>()],
                              golden()["tools"][c["tools"].get<std::string>()], c["prompt"],
                              c.value("extra", ordered_json::object()));
    check(got, c);
    // Where a client's string looks like a special token, marks leave the text as it is.
    if (got) {
      const auto marked = t.render_for(golden()["conversations"][c["conversation"].get<std::string>()],
                                       golden()["tools"][c["tools"].get<std::string>()], c["prompt"],
                                       c.value("extra", ordered_json::object()), [](std::string_view s) {
                                         std::vector<std::size_t> none;
                                         return s.contains("<|") ? std::vector<std::size_t>{s.find("<|") + 1} : none;
                                       });
      CHECK(marked.value().text == *got);
    }
    texts += c.contains("text") ? 1 : 0;
    if (!got && c["error"].get<std::string>().find("must alternate") != std::string::npos)
      CHECK(got.error().message == c["error"].get<std::string>());
  }
  CHECK(texts >= 180);
}

TEST_CASE("a conversation whose last message is continued ends as in transformers") {
  std::size_t texts = 0;
  for (const auto& c : golden()["continued"]) {
    const auto t = parse(read(kDir + "templates/" + c["template"].get<std::string>() + ".jinja")).value();
    INFO(c["template"] << " " << c["conversation"]);
    ordered_json messages = golden()["conversations"][c["conversation"].get<std::string>()];
    const auto render = [&]() -> Result<std::string> {
      SLUICE_ASSIGN(const std::string continued, text::mark_final_message(messages));
      SLUICE_ASSIGN(auto chat, t.render_for(messages, nullptr, false, ordered_json::object(),
                                            [](std::string_view) { return std::vector<std::size_t>{}; }));
      SLUICE_TRY(text::cut_at_mark(chat, continued));
      return chat.text;
    };
    check(render(), c);
    texts += c.contains("text") ? 1 : 0;
  }
  CHECK(texts > 100);
}

TEST_CASE("where a client typed special tokens is known of what is left of a continued chat") {
  text::RenderedChat chat{"<s>hi</s>a</s>CONTINUE_FINAL_MESSAGE_TAG </s></s>", {6, 11, 41, 45}};
  REQUIRE(text::cut_at_mark(chat, "a</s>"));
  CHECK(chat.text == "<s>hi</s>a</s>");
  CHECK(chat.typed == std::vector<std::size_t>{6, 11});
  text::RenderedChat trimmed{"<s>a \nCONTINUE_FINAL_MESSAGE_TAG</s>", {}};
  REQUIRE(text::cut_at_mark(trimmed, "a "));
  CHECK(trimmed.text == "<s>a");
  text::RenderedChat none{"<s>a</s>", {}};
  const auto refused = text::cut_at_mark(none, "a");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().param == "continue_final_message");
}

TEST_CASE("single constructs render as in transformers") {
  for (const auto& e : golden()["expressions"]) {
    INFO(e["source"].get<std::string>());
    check(render_one(e["source"]), e);
  }
}

TEST_CASE("templates that Jinja cannot parse are refused when they are loaded") {
  for (const auto& source : golden()["syntax_errors"]) {
    INFO(source);
    const auto t = ChatTemplate::parse(source.get<std::string>(), nlohmann::json::object());
    REQUIRE_FALSE(t);
    CHECK(t.error().code == Errc::invalid_argument);
  }
}
