// The text must equal what transformers' apply_chat_template renders, byte for byte: a prompt that differs by one
// newline is a prompt the model was not trained on. tools/golden/chat_templates.py makes the golden data.
#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "text/chat_template.h"

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
