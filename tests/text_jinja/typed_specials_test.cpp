// What a client types is text, whatever it spells; what the template writes is not. The prompt's bytes are the same
// either way.
#include "text/jinja/typed_specials.h"

#include <catch2/catch.hpp>

#include "text/chat_template.h"

using namespace sluice;
using namespace sluice::text;
using nlohmann::ordered_json;

namespace {

const std::string kEnd = "<|im_end|>";

/// Finds kEnd only; the tokenizer's own finder is tested beside it.
std::vector<std::size_t> ends(std::string_view s) {
  std::vector<std::size_t> out;
  for (std::size_t at = s.find(kEnd); at != std::string_view::npos; at = s.find(kEnd, at + 1)) out.push_back(at + 1);
  return out;
}

struct Both {
  std::string plain;
  RenderedChat marked;
};

Both render(const std::string& source, const ordered_json& messages, const ordered_json& tools = nullptr,
            const ordered_json& extra = ordered_json::object()) {
  const auto t = ChatTemplate::parse(source, nlohmann::json{{"eos_token", kEnd}}).value();
  return {t.render(messages, tools, true, extra).value(), t.render_for(messages, tools, true, extra, ends).value()};
}

ordered_json says(const std::string& content) {
  return ordered_json::array({ordered_json{{"role", "user"}, {"content", content}}});
}

/// How many kEnd the text holds, and how many of them are marked as typed.
std::pair<std::size_t, std::size_t> counts(const RenderedChat& c) {
  std::size_t all = 0;
  std::size_t typed = 0;
  for (std::size_t at = c.text.find(kEnd); at != std::string::npos; at = c.text.find(kEnd, at + 1)) {
    ++all;
    typed += std::ranges::any_of(c.typed, [&](std::size_t o) { return o > at && o < at + kEnd.size(); }) ? 1 : 0;
  }
  return {all, typed};
}

}  // namespace

TEST_CASE("of a text, the special tokens are told that hold a byte of the client's") {
  const jinja::Limits limits;
  jinja::Budget budget(limits);
  const auto told = [&](std::initializer_list<std::pair<std::string_view, bool>> parts) {
    jinja::TextBuilder out(budget);
    for (const auto& [s, typed] : parts) out.put(s, typed);
    return tell_typed(out.take(), ends);
  };
  const auto c = told({{"a", true}, {kEnd, true}, {kEnd, false}, {"b<|im_", true}, {"end|>", false}});
  CHECK(c.text == "a" + kEnd + kEnd + "b" + kEnd);
  CHECK(c.typed == std::vector<std::size_t>{2, 23});
  CHECK(told({{"<|im_", false}, {"end|>", true}}).typed == std::vector<std::size_t>{5});
  CHECK(told({{"<", false}, {"|im_end|", true}, {">", false}}).typed == std::vector<std::size_t>{1});
  CHECK(told({{kEnd, false}, {"x", true}, {kEnd, false}}).typed.empty());
  CHECK(told({}).typed.empty());
}

TEST_CASE("typed special tokens are told from the template's through whatever it does with the text") {
  const std::string content = "  one " + kEnd + " two\n";
  for (const std::string use :
       {"m.content", "m['content'] | trim", "m.content.strip()", "m.content.split('one')[-1]", "m.content ~ '!'",
        "m.content + '!'", "m.content | replace('two', '2')", "m.content[3:]", "m.content | tojson",
        "m | tojson(ensure_ascii=true)", "m", "m.content.lower()", "m.content | title | lower", "m.content | indent",
        "m.content.splitlines() | join('-')", "m.content | string | safe"}) {
    CAPTURE(use);
    const auto r =
        render("{% for m in messages %}{{ " + use + " }}{{ eos_token }}<|im_end|>{% endfor %}", says(content));
    CHECK(r.marked.text == r.plain);
    CHECK(counts(r.marked) == std::pair<std::size_t, std::size_t>{3, 1});
  }
  for (const std::string use : {"m.content | length", "m.content[:7]", "m.content[::-1]", "m.content | first",
                                "m.content.find('two')", "m.content | upper", "m.content | capitalize"}) {
    CAPTURE(use);
    const auto r = render("{% for m in messages %}{{ " + use + " }}{% endfor %}", says(content));
    CHECK(r.marked.text == r.plain);
  }
}

TEST_CASE("every string of the client's is marked: names, tools, keys, template variables") {
  ordered_json messages = says("x");
  messages[0]["name"] = kEnd;
  messages[0][kEnd] = 1;
  const ordered_json tools = ordered_json::array({{{"type", "function"}, {"function", {{"name", kEnd}}}}});
  const auto r = render("{{ messages | tojson }}{{ tools }}{{ more }}{{ eos_token }}", messages, tools,
                        ordered_json{{"more", kEnd}});
  CHECK(r.marked.text == r.plain);
  CHECK(counts(r.marked) == std::pair<std::size_t, std::size_t>{5, 4});
  // A client that sets eos_token itself has typed it too.
  const auto own = render("{{ eos_token }}", says("x"), nullptr, ordered_json{{"eos_token", kEnd}});
  CHECK(counts(own.marked) == std::pair<std::size_t, std::size_t>{1, 1});
}

TEST_CASE("ordinary text has no marks, and refusals quote none") {
  const auto r = render("{{ messages[0].content }}<|im_end|>", says("a < b, \xC3\xBF, <|im_start"));
  CHECK(r.marked.typed.empty());
  const auto t = ChatTemplate::parse("{{ raise_exception('no ' + messages[0].content) }}", {}).value();
  const auto refused = t.render_for(says(kEnd), nullptr, true, ordered_json::object(), ends);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message == "no " + kEnd);
}

TEST_CASE("templates find their marks in a client's text although they are special tokens") {
  const auto both = [](const std::string& use) {
    const auto r = render("{{ " + use + " }}", says("a" + kEnd + "b"));
    CHECK(r.marked.text == r.plain);
    return r.plain;
  };
  const std::string c = "messages[0].content";
  CHECK(both("'<|im_end|>' in " + c) == "True");
  CHECK(both(c + ".split('<|im_end|>')[-1]") == "b");
  CHECK(both(c + ".partition('<|im_end|>')[0]") == "a");
  CHECK(both(c + " | replace('<|im_end|>', '-')") == "a-b");
  CHECK(both(c + ".find('<|im_end|>')") == "1");
  CHECK(both(c + ".startswith('a<|im_end|>')") == "True");
  CHECK(both(c + "[1:].startswith('<|im_end|>')") == "True");
  CHECK(both(c + ".endswith('<|im_end|>b')") == "True");
  CHECK(both(c + " == 'a<|im_end|>b'") == "True");
  CHECK(both("{'a<|im_end|>b': 5}[" + c + "]") == "5");
  CHECK(both(c + "[1:3]") == "<|");
  CHECK(both(c + " | length") == "12");
  CHECK(both(c + ".count('<|im_end|>')") == "1");
  CHECK(both(c + ".strip('a<')") == "|im_end|>b");
  CHECK(both(c + ".removeprefix('a<|im_end|>')") == "b");
}

TEST_CASE("a client makes no special token by what the template does to its text") {
  const auto typed = [](const std::string& use, const std::string& content) {
    return counts(render("{{ " + use + " }}<|im_end|>", says(content)).marked);
  };
  using Counts = std::pair<std::size_t, std::size_t>;
  const std::string c = "messages[0].content";
  CHECK(typed(c + " | lower", "<|IM_END|>") == Counts{2, 1});
  CHECK(typed(c + " | replace('.', '')", "<|im.end|>") == Counts{1, 0});
  CHECK(typed(c + " | replace('.', '_')", "<|im.end|>") == Counts{2, 1});
  CHECK(typed(c + ".split() | join", "<|im_ end|>") == Counts{2, 1});
  CHECK(typed("'<' ~ " + c + " ~ '>'", "|im_end|") == Counts{2, 1});
  CHECK(typed("'%s_end|>' % " + c, "<|im") == Counts{2, 1});
  CHECK(typed("'{}|>'.format(" + c + ")", "<|im_end") == Counts{2, 1});
  CHECK(typed(c + "[::-1]", ">|dne_mi|<") == Counts{2, 1});
}

TEST_CASE("a role's known name may stand inside a special token of the template's") {
  const auto find = [](std::string_view s) {
    std::vector<std::size_t> out;
    for (const std::string_view token : {"<|user|>", "<|evil|>"})
      if (const auto at = s.find(token); at != std::string_view::npos) out.push_back(at + 1);
    return out;
  };
  const auto t = ChatTemplate::parse("<|{{ messages[0].role }}|>", {}).value();
  const auto typed = [&](const std::string& role) {
    const ordered_json messages = ordered_json::array({ordered_json{{"role", role}, {"content", ""}}});
    return t.render_for(messages, nullptr, true, ordered_json::object(), find).value().typed;
  };
  CHECK(typed("user").empty());
  CHECK(typed("evil") == std::vector<std::size_t>{2});
}
