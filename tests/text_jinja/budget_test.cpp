// What a rendering costs is counted, and grows with its input: these tests count steps of the account, not seconds.
#include "text/jinja/budget.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "text/chat_template.h"
#include "text/jinja/from_json.h"
#include "text/jinja/parser.h"

using namespace sluice;
using namespace sluice::text;
using nlohmann::json;
using nlohmann::ordered_json;

namespace {

struct Cost {
  std::string text;
  std::uint64_t steps = 0;
};

/// Renders with `names` as the template's variables.
Cost render(const std::string& source, const json& names = json::object()) {
  const jinja::Limits limits;
  const auto parsed = jinja::parse_template(source, limits);
  jinja::Budget budget(limits);
  budget.grow(jinja::input_size(names));
  jinja::Variables variables;
  for (const auto& [name, value] : names.items())
    variables.emplace_back(name, jinja::from_json(value, jinja::Writer::client, budget));
  return {jinja::render(parsed, variables, {}, budget).bytes, budget.steps()};
}

std::string repeat(const std::string& s, std::size_t n) {
  std::string out;
  for (std::size_t i = 0; i < n; ++i) out += s;
  return out;
}

/// Twice the input costs twice the steps, give or take a tenth.
void check_linear(const std::string& source, const std::function<json(std::size_t)>& input, std::size_t n) {
  CAPTURE(source);
  const auto once = static_cast<double>(render(source, input(n)).steps);
  const auto twice = static_cast<double>(render(source, input(2 * n)).steps);
  CHECK(twice / once == Approx(2).epsilon(0.1));
}

}  // namespace

TEST_CASE("a long document's words cost in proportion") {
  const auto words = [](std::size_t n) { return json{{"doc", repeat("lorem ipsum ", n)}}; };
  for (const std::string source :
       {"{% for w in doc.split() %}{{ w }} {% endfor %}", "{{ doc | replace('ip', 'op') | upper | length }}",
        "{{ doc.split(' ') | map('title') | unique | join }}", "{{ doc | tojson }}", "{{ doc | wordcount }}",
        "{% for c in doc %}{% if loop.last %}{{ c }}{% endif %}{% endfor %}", "{{ doc.splitlines() | length }}"})
    check_linear(source, words, 20'000);
}

TEST_CASE("a document of a million words renders word by word") {
  const auto t =
      ChatTemplate::parse("{% for w in messages[0].content.split() %}{{ w | trim }} {% endfor %}", {}).value();
  const std::string doc = repeat("word ", 1'000'000);
  const auto r = t.render(json{{{"role", "user"}, {"content", doc}}}, nullptr, true, json::object());
  REQUIRE(r);
  CHECK(*r == doc);
}

TEST_CASE("names are found by hash: many variables, assignments or parameters cost no more each than few") {
  const auto variables = [](std::size_t n) {
    json out = json::object();
    for (std::size_t i = 0; i < n; ++i) out["k" + std::to_string(i)] = i;
    return out;
  };
  check_linear("{{ k5 }}", variables, 30'000);

  const auto sets = [](std::size_t n) {
    std::string s;
    for (std::size_t i = 0; i < n; ++i) s += "{% set a" + std::to_string(i) + "=1 %}";
    return render(s + "{{ a7 }}").steps;
  };
  CHECK(static_cast<double>(sets(40'000)) / static_cast<double>(sets(20'000)) == Approx(2).epsilon(0.1));

  const auto parameters = [](std::size_t n) {
    std::string list;
    for (std::size_t i = 0; i < n; ++i) list += (i > 0 ? ",p" : "p") + std::to_string(i) + "=1";
    return render("{% macro f(" + list + ") %}{{ p7 }}{% endmacro %}{{ f(" + list + ") }}").steps;
  };
  CHECK(static_cast<double>(parameters(20'000)) / static_cast<double>(parameters(10'000)) == Approx(2).epsilon(0.1));
}

TEST_CASE("variables that the template does not name cost nothing") {
  json many = json::object();
  for (int i = 0; i < 60'000; ++i) many["k" + std::to_string(i)] = std::string(10, 'x');
  jinja::Limits limits;
  limits.max_steps = 100;
  limits.steps_per_byte = 0;
  const auto t = ChatTemplate::parse("{{ k7 }}", json::object(), limits).value();
  CHECK(t.render(json{{{"role", "user"}, {"content", "x"}}}, nullptr, true, many) == "xxxxxxxxxx");
}

TEST_CASE("keys of dicts are found by hash, whatever their kind") {
  for (const std::string key : {"i", "i ~ ''", "(i, 1)", "i + 0.5"}) {
    CAPTURE(key);
    const auto cost = [&](int n) {
      json big = json::object();
      for (int i = 0; i < n; ++i) big[std::to_string(i)] = i;
      return render(
                 "{% for i in range(" + std::to_string(n) + ") %}{% if " + key + " in big %}x{% endif %}{% endfor %}",
                 {{"big", big}})
          .steps;
    };
    CHECK(static_cast<double>(cost(20'000)) / static_cast<double>(cost(10'000)) == Approx(2).epsilon(0.1));
  }
}

TEST_CASE("a request's bytes raise the limits, a short one's do not") {
  jinja::Limits limits;
  limits.max_steps = 1000;
  const auto t =
      ChatTemplate::parse("{% for w in messages[0].content.split() %}{{ w }}{% endfor %}", {}, limits).value();
  const auto of = [&](std::size_t words) {
    return t.render(json{{{"role", "user"}, {"content", repeat("abcdefg ", words)}}}, nullptr, true, json::object());
  };
  CHECK_FALSE(of(400));
  CHECK(of(10'000));
}

TEST_CASE("chats of 1300 tool messages render, also through a template that looks back at each") {
  ordered_json chat = ordered_json::array({ordered_json{{"role", "user"}, {"content", "go"}}});
  for (int i = 0; i < 1300; ++i) {
    chat.push_back({{"role", "assistant"}, {"content", "look"}});
    chat.push_back({{"role", "tool"}, {"content", "found " + std::to_string(i)}});
  }
  const auto t = ChatTemplate::parse(
                     "{% for m in messages %}{% for later in messages[loop.index:] %}{% if later.role == 'user' %}!"
                     "{% endif %}{% endfor %}{{ m.content }};{% endfor %}",
                     {})
                     .value();
  const auto r = t.render(chat, nullptr, true, ordered_json::object());
  REQUIRE(r);
  CHECK(r->ends_with("look;found 1299;"));
}

TEST_CASE("a tool's schema 60 levels deep renders through macros that call themselves inside other blocks") {
  ordered_json schema = {{"type", "string"}};
  for (int i = 0; i < 60; ++i) schema = {{"type", "object"}, {"properties", {{"a", schema}}}};
  const auto t =
      ChatTemplate::parse(
          "{% macro show(s) %}{% if s.properties %}{% for name, sub in s.properties.items() %}{% if sub %}{% with "
          "%}{% if true %}{{ name }}({{ show(sub) | trim }}){% endif %}{% endwith %}{% endif %}{% endfor "
          "%}{% else %}{{ s.type }}{% endif %}{% endmacro %}{{ show(tools[0]) }}{{ tools | tojson | length }}",
          {})
          .value();
  const auto r = t.render(ordered_json{{{"role", "user"}, {"content", "x"}}}, ordered_json::array({schema}), true,
                          ordered_json::object());
  REQUIRE(r);
  CHECK(r->starts_with(repeat("a(", 60) + "string" + repeat(")", 60)));
}

TEST_CASE("what the engine makes of one request is bounded by its bytes") {
  jinja::Limits limits;
  jinja::Budget budget(limits);
  budget.grow(limits.free_input);
  CHECK(budget.limits().max_memory == limits.max_memory);
  budget.grow(limits.free_input + 1000);
  CHECK(budget.limits().max_memory == limits.max_memory + 1000 * limits.memory_per_byte);
  CHECK(budget.limits().max_output == limits.max_output + 1000 * limits.output_per_byte);
  CHECK(budget.limits().max_steps == limits.max_steps + 1000 * limits.steps_per_byte);
}
