// A chat template comes with a model from anywhere, and its input from a stranger: whatever they hold, rendering ends
// soon (ctest's own limit says how soon), in bounded memory, with a text or an Error. Run under ASan these also prove
// that nothing leaks or overflows.
#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>
#include <random>

#include "text/chat_template.h"

using namespace sluice;
using nlohmann::json;
using text::ChatTemplate;

namespace {

const json kHello = {{{"role", "user"}, {"content", "Hello"}}};

Result<std::string> run(const std::string& source, text::jinja::Limits limits = {}) {
  auto t = ChatTemplate::parse(source, json::object(), limits);
  if (!t) return std::unexpected(t.error());
  return t->render(kHello, nullptr, true, json::object());
}

std::string repeat(const std::string& s, int n) {
  std::string out;
  for (int i = 0; i < n; ++i) out += s;
  return out;
}

std::string read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

TEST_CASE("templates that would run, grow or nest without end give an error") {
  const std::vector<std::string> hostile = {
      // time
      "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
      "{% set x = 'a' * 1000000 %}{% for i in range(99999) %}{{ ('b' ~ i) in x }}{% endfor %}",
      "{% set a = 'a' * 1000000 %}{{ (a ~ a) | replace(a ~ 'b', '') | length }}",
      "{% set l = range(99999) | list %}{% for x in l %}{{ -1 in l }}{% endfor %}",
      "{% set s = 'ab' * 500000 %}{% for i in range(9999) %}{{ s[i] }}{% endfor %}",
      "{% set s = 'ab' * 500000 %}{% for i in range(9999) %}{% if s.split('x') %}{% endif %}{% endfor %}",
      "{% macro f(n) %}{{ f(n) }}{{ f(n) }}{% endmacro %}{{ f(1) }}",
      // memory
      "{% set ns = namespace(s='xxxxxxxx') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}{{ ns.s "
      "}}",
      "{{ 'a' * 99999999999 }}",
      "{{ [1] * 99999999999 }}",
      "{{ 'x' | indent(99999999999) }}",
      "{{ ('a\n' * 100000) | indent(100000) }}",
      "{{ ('a' * 100000) | replace('', 'b' * 100000) }}",
      "{{ ('a' * 100000) | replace('a', 'b' * 100000) }}",
      "{{ ('ab' * 10000).join(range(9999) | map('string')) }}",
      "{{ [[1] * 100000] | tojson(separators=('a' * 100000, '')) }}",
      "{{ [1] | tojson(indent=99999999) }}",
      "{{ 1 | round(999999999) }}{{ range(99999999999999) }}",
      "{{ 10 ** 99999 }}",
      "{{ 2 ** 99999999999999999999 }}",
      "{% set ns = namespace(n=10 ** 1000) %}{% for i in range(99) %}{% set ns.n = ns.n * ns.n %}{% endfor %}",
      "{{ '%99999999999d' % 1 }}",
      "{{ '%.999999999f' % 1 }}",
      "{{ '{:>99999999999}'.format(1) }}",
      "{{ '{:.99999f}'.format(1.5) }}",
      "{{ 'x'.center(99999999999) }}{{ 'x'.zfill(99999999999) }}",
      "{{ '\\t'.expandtabs(99999999999) }}",
      "{{ ('1' * 5000) | int }}",
      // output
      "{% for i in range(99999) %}" + repeat("0123456789", 100) + "{% endfor %}",
      // depth, in the template and in its values
      repeat("{{ (", 1) + repeat("(", 100000) + "1" + repeat(")", 100000) + ") }}",
      "{{ " + repeat("[", 100000) + repeat("]", 100000) + " }}",
      "{{ " + repeat("not ", 100000) + "1 }}",
      "{{ " + repeat("-", 100000) + "1 }}",
      "{{ 1" + repeat(" + 1", 100000) + " }}",
      "{{ x" + repeat(".x", 100000) + " }}",
      "{{ x" + repeat("[0]", 100000) + " }}",
      "{{ x" + repeat("()", 100000) + " }}",
      "{{ x" + repeat("|upper", 100000) + " }}",
      "{{ 1" + repeat(" if 1 else 1", 50000) + " }}",
      repeat("{% if 1 %}", 50000) + repeat("{% endif %}", 50000),
      "{% for " + repeat("(", 100000) + "a" + repeat(")", 100000) + " in x %}{% endfor %}",
      "{% set x %}" + repeat("{% filter upper %}", 20000) + repeat("{% endfilter %}", 20000) + "{% endset %}",
      "{% set x " + repeat("|upper", 100000) + " %}{% endset %}",
      "{% set ns = namespace(l=[]) %}{% for i in range(99999) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l }}",
      "{% set ns = namespace(l={}) %}{% for i in range(99999) %}{% set ns.l = {'k': ns.l} %}{% endfor %}",
      "{% set ns = namespace(l={}) %}{% for i in range(99999) %}{% set ns.l = {'k': ns.l.get} %}{% endfor %}",
      "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
      "{% macro f() %}{% call f() %}{% endcall %}{% endmacro %}{{ f() }}",
      "{% for x in [1] recursive %}{{ loop([x]) }}{% endfor %}",
      "{% set ns = namespace(l=[]) %}{% for i in range(99999) %}{% set ns.l = ns.l | map('string') %}{% endfor %}",
      "{% set ns = namespace(l=[1]) %}{% for i in range(99999) %}{% set ns.l = ns.l | batch(1) %}{% endfor %}{{ ns.l | "
      "list }}",
      "{% set ns = namespace(l='') %}{% for i in range(99999) %}{% set ns.l = joiner(ns.l) %}{% endfor %}",
      "{% set ns = namespace(l='') %}{% for i in range(99999) %}{% set ns.l = cycler(ns.l) %}{% endfor %}",
      // limits of the source
      std::string(2 << 20, 'x'),
  };
  for (const auto& source : hostile) {
    INFO(source.substr(0, 120));
    const auto r = run(source);
    REQUIRE_FALSE(r);
    CHECK(r.error().code == Errc::invalid_argument);
  }
}

TEST_CASE("cycles through namespaces and loops are freed") {
  CHECK(run("{% set a = namespace() %}{% set a.self = a %}{% set a.list = [a, [a]] %}{{ a.self.list[0] == a }}") ==
        "True");
  CHECK(run("{% set a = namespace() %}{{ a }}") == "<Namespace>");
  CHECK(run("{% set n = namespace(x=0) %}{% for i in [1, 2] %}{% set n.x = loop %}{% endfor %}{{ n.x.index }}{{ "
            "n.x.previtem }}"
            "{{ n.x.nextitem is defined }}") == "21False");
  CHECK(run("{% set n = namespace(x=[]) %}{% for i in range(500) %}{% for j in [n.x] %}{% set n.x = loop %}{% endfor "
            "%}{% endfor %}ok") == "ok");
  CHECK(run("{% macro m() %}{{ m is defined }}{% endmacro %}{% set n = namespace(f=m) %}{{ n.f() }}") == "True");
}

TEST_CASE("what is unsupported is refused by name when the template is loaded") {
  const std::vector<std::pair<std::string, std::string>> refused = {
      {"{% include 'x' %}", "include"},
      {"{% extends 'x' %}", "extends"},
      {"{% import 'x' as y %}", "import"},
      {"{% from 'x' import y %}", "from"},
      {"{% do x %}", "do"},
      {"{% trans %}{% endtrans %}", "trans"},
      {"{% autoescape true %}{% endautoescape %}", "autoescape"},
      {"{{ x | pprint }}", "pprint"},
      {"{{ [1] | random }}", "random"},
      {"{{ x | striptags }}", "striptags"},
      {"{{ x | urlize }}", "urlize"},
      {"{{ x | wordwrap }}", "wordwrap"},
      {"{% if x %}{{ x | wordwrap }}{% endif %}", "wordwrap"},
      {"{{ lipsum() }}", "lipsum"},
      {"{{ x.encode('utf-8') }}", "encode"},
      {"{{ x.translate(y) }}", "translate"},
      {"{{ x.maketrans(y) }}", "maketrans"},
      {"{{ x.isidentifier() }}", "isidentifier"},
      {"{{ x | nofilter }}", "No filter named 'nofilter'"},
      {"{{ x is notest }}", "No test named 'notest'"},
      {"{{ '\\N{NO SUCH NAME}' }}", "NO SUCH NAME"},
  };
  for (const auto& [source, name] : refused) {
    INFO(source);
    const auto t = ChatTemplate::parse("\n" + source, json::object());
    REQUIRE_FALSE(t);
    CHECK(t.error().message.find(name) != std::string::npos);
  }
  // As in Jinja, a filter that nobody knows may stand where a condition guards it.
  CHECK(run("{% if false %}{{ 1 | nofilter }}{% endif %}{{ 1 if true else 2 | nofilter }}") == "1");
  CHECK(run("{% if true %}{{ 1 | nofilter }}{% endif %}").error().message == "No filter named 'nofilter' found.");
}

TEST_CASE("limits are the caller's to set") {
  text::jinja::Limits limits;
  limits.max_output = 10;
  CHECK(run("0123456789", limits) == "0123456789");
  CHECK_FALSE(run("0123456789a", limits));
  limits.max_output = 1000;
  limits.max_steps = 50;
  CHECK(run("{% for i in range(5) %}x{% endfor %}", limits) == "xxxxx");
  CHECK_FALSE(run("{% for i in range(50) %}x{% endfor %}", limits));
  limits.max_steps = 100000;
  limits.max_memory = 10000;
  CHECK_FALSE(run("{{ 'x' * 20000 }}", limits));
}

TEST_CASE("a message nested without end is refused before it is walked") {
  json deep = json::array();
  for (int i = 0; i < 100000; ++i) deep = json::array({std::move(deep)});
  json messages = json::array({{{"role", "user"}}});
  messages[0]["content"] = std::move(deep);
  const auto t = ChatTemplate::parse("{{ messages[0].content | tojson }}", json::object()).value();
  CHECK(t.render(messages, nullptr, true, json::object()).error().code == Errc::invalid_argument);
}

TEST_CASE("mutated templates never crash") {
  std::mt19937 rng(20261121);
  const std::vector<std::string> pieces = {"{%",
                                           "%}",
                                           "{{",
                                           "}}",
                                           "{#",
                                           "#}",
                                           "-",
                                           "+",
                                           "|",
                                           "'",
                                           "\"",
                                           "(",
                                           ")",
                                           "[",
                                           "]",
                                           "{",
                                           "}",
                                           ".",
                                           ",",
                                           ":",
                                           " if ",
                                           " else ",
                                           " in ",
                                           " is ",
                                           " not ",
                                           "for ",
                                           "set ",
                                           "endfor",
                                           "endif",
                                           "macro ",
                                           "raw",
                                           "endraw",
                                           "loop",
                                           "messages",
                                           "99999999999",
                                           "~",
                                           "\\",
                                           "\n",
                                           "\xc3\xa9",
                                           "\xff",
                                           std::string(1, '\0')};
  const auto pick = [&](std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(rng); };
  text::jinja::Limits limits;
  limits.max_steps = 20000;
  for (const std::string name : {"llama31", "qwen25", "qwen3", "mistral", "plain"}) {
    const std::string source = read(std::string(SLUICE_SOURCE_DIR) + "/tests/text_jinja/templates/" + name + ".jinja");
    for (int round = 0; round < 400; ++round) {
      std::string s = source;
      for (std::size_t edits = 1 + pick(4); edits > 0; --edits) {
        const std::size_t at = pick(s.size());
        if (pick(2) == 0)
          s.erase(at, 1 + pick(20));
        else
          s.insert(at, pieces[pick(pieces.size())]);
      }
      if (const auto r = run(s, limits); r) CHECK(r->size() <= limits.max_output);
    }
  }
}
