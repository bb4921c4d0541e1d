// Some templates read a message's content as a string, some as a list of parts. Clients send either, and the text must
// not vanish: a template that walked the characters of a string as if they were parts once rendered an empty turn.
#include "text/content_format.h"

#include <catch2/catch.hpp>

#include "text/chat_template.h"

using namespace sluice;
using namespace sluice::text;
using nlohmann::ordered_json;

namespace {

const std::string kWalks =
    "{% for m in messages %}{{ m.role }}: {% for p in m.content %}{% if p['type'] == 'text' %}{{ p['text'] }}{% endif "
    "%}{% endfor %};{% endfor %}";
const std::string kPlain = "{% for m in messages %}{{ m.role }}: {{ m.content }};{% endfor %}";
const std::string kBoth =
    "{% for m in messages %}{{ m.role }}: {% if m.content is string %}{{ m.content }}{% else %}{% for p in m.content "
    "%}{{ p.text }}{% endfor %}{% endif %};{% endfor %}";
/// As templates for models that see: the parts are a macro's affair, and the system's content is taken as it is.
const std::string kMacro =
    "{% macro show(c) %}{% for p in c %}{{ p.text if p.type == 'text' else '<image>' }}{% endfor %}{% endmacro %}"
    "{% for m in messages %}{{ m.role }}: {{ m.content | trim if m.role == 'system' else show(m.content) }};{% endfor "
    "%}";

ordered_json part(const std::string& text) { return ordered_json{{"type", "text"}, {"text", text}}; }

/// What the template makes of a chat after its contents were adapted.
std::string shown(const std::string& source, const ordered_json& messages,
                  const std::vector<std::pair<std::size_t, ordered_json>>& parts = {}) {
  const auto t = ChatTemplate::parse(source, {}).value();
  const auto adapted = t.adapt(messages, parts, false);
  return t.render(adapted ? *adapted : messages, nullptr, true, ordered_json::object()).value();
}

ordered_json chat(const ordered_json& content, const std::string& role = "user") {
  return ordered_json::array({ordered_json{{"role", role}, {"content", content}}});
}

}  // namespace

TEST_CASE("a string reaches templates that walk parts, and parts those that print a string") {
  const ordered_json parts = ordered_json::array({part("Hello"), part("there")});
  for (const auto& source : {kWalks, kPlain, kBoth, kMacro}) {
    CAPTURE(source);
    CHECK(shown(source, chat("Hello")) == "user: Hello;");
    CHECK(shown(source, chat(ordered_json::array({part("Hello")}))) == "user: Hello;");
  }
  CHECK(shown(kPlain, chat(parts)) == "user: Hello\nthere;");
  CHECK(shown(kWalks, chat(parts)) == "user: Hellothere;");
  // Joined by the caller, who has the parts still.
  CHECK(shown(kWalks, chat("Hello\nthere"), {{0, parts}}) == "user: Hellothere;");
  CHECK(shown(kBoth, chat("Hello\nthere"), {{0, parts}}) == "user: Hellothere;");
  CHECK(shown(kPlain, chat("Hello\nthere"), {{0, parts}}) == "user: Hello\nthere;");
}

TEST_CASE("each role has its own form") {
  ordered_json messages = chat("Be kind. ", "system");
  messages.push_back(chat("Hello")[0]);
  CHECK(shown(kMacro, messages) == "system: Be kind.;user: Hello;");
  CHECK(shown(kMacro, chat("x", "critic")) == "critic: x;");
}

TEST_CASE("what a template prints of lists is told from what it reads of them") {
  const auto format = [](const std::string& source) {
    const auto t = ChatTemplate::parse(source, {}).value();
    return ContentFormat::of([&](const ordered_json& messages) -> std::optional<std::string> {
      auto r = t.render(messages, nullptr, true, ordered_json::object());
      return r ? std::optional(*r) : std::nullopt;
    });
  };
  CHECK(format(kPlain).of_role("user") == Content::text);
  CHECK(format(kWalks).of_role("user") == Content::parts);
  CHECK(format(kBoth).of_role("user") == Content::either);
  CHECK(format("{{ messages | tojson }}").of_role("user") == Content::text);
  CHECK(format("{{ messages[-1].content + '' }}").of_role("user") == Content::text);
  CHECK(format("{{ messages[-1].content[0].text }}").of_role("user") == Content::parts);
  CHECK(format("nothing of it").of_role("user") == Content::text);
  CHECK(format("{{ raise_exception('no') }}").of_role("tool") == Content::text);
  CHECK(format(kMacro).of_role("system") == Content::text);
  CHECK(format(kMacro).of_role("assistant") == Content::parts);
}

TEST_CASE("content that is no text stays what it is; an empty one has no parts") {
  const ordered_json image = ordered_json::array({ordered_json{{"type", "image_url"}}});
  CHECK_FALSE(adapt_content(image, Content::text));
  CHECK_FALSE(adapt_content(ordered_json::array({ordered_json{{"type", "text"}, {"text", 5}}}), Content::text));
  CHECK_FALSE(adapt_content("x", Content::text));
  CHECK_FALSE(adapt_content("x", Content::either));
  CHECK(adapt_content("", Content::parts) == ordered_json::array());
  CHECK(adapt_content("x", Content::parts) == ordered_json::array({part("x")}));
  CHECK(adapt_content(ordered_json::array(), Content::text) == ordered_json(""));
}
