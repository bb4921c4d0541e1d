#!/usr/bin/env python3
"""Makes tests/text_jinja/golden.json: what transformers' apply_chat_template renders.

    python tools/golden/chat_templates.py [--check]        (needs transformers and jinja2)

The templates are ours, in tests/text_jinja/templates/*.jinja, and use the constructs of the published ones
they are named after; tests/text_jinja/constructs.json holds a template for each thing that the language has. --check compares instead of writing.
"""
import argparse
import json
import logging
import pathlib
import sys

from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast
from transformers.utils import chat_template_utils

HERE = pathlib.Path(__file__).resolve().parents[2] / "tests/text_jinja"

logging.disable(logging.WARNING)


def user(text, **more):
    return {"role": "user", "content": text, **more}


def assistant(text, **more):
    return {"role": "assistant", "content": text, **more}


def system(text):
    return {"role": "system", "content": text}


def tool(text, **more):
    return {"role": "tool", "content": text, **more}


def call(name, arguments, call_id="abc123XYZ"):
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather \"now\" in a city <b>&</b> around\nit",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "e.g. Zürich, 東京 or \u2028 🙂"},
                "days": {"type": "integer", "default": 1, "minimum": 0.5, "maximum": 1e21},
                "unit": {"type": "string", "enum": ["c", "f", None, True]},
                "empty": {},
                "none": [],
            },
            "required": ["city"],
        },
    },
}
ADD = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Adds.",
        "parameters": {"type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}}},
        "return": {"type": "number"},
    },
}

CONVERSATIONS = {
    "one": [user("Hello")],
    "system": [system("You are terse."), user("Hi")],
    "turns": [user("Hi"), assistant("Hello!"), user("How are you?")],
    "system_turns": [system("  Be kind.\n"), user("1"), assistant("2"), user("3"), assistant("4"), user("5")],
    "spaces": [user("  padded \n\n"), assistant("\n answer \t"), user("\u00a0nbsp\u00a0 \u3000")],
    "empty": [user(""), assistant(""), user("")],
    "unicode": [user("Grüße, Ελλάδα, עברית, 漢字, 👩‍👩‍👧, e\u0301"), assistant("ça va \u200b"), user("ǅ ß İ")],
    "markup": [user("{{ messages }} {% raw %} <|im_end|> {# no #} </s> [INST] \\n 'q' \"d\"")],
    "controls": [user("tab\there\r\nand\x0b\x0c\x1f\x7f bell\x07")],
    "ends_assistant": [user("Hi"), assistant("Hello!")],
    "two_assistants": [user("Hi"), assistant("One"), assistant("Two"), user("Three")],
    "two_users": [user("Hi"), user("there")],
    "assistant_first": [assistant("Welcome"), user("Hi")],
    "late_system": [user("Hi"), system("Change."), user("Again")],
    "unknown_role": [user("Hi"), {"role": "critic", "content": "Hm"}, user("Again")],
    "null_content": [user("Add"), assistant(None, tool_calls=[call("add", {"a": 1, "b": 2.5})]), tool("3.5"), user("Ok")],
    "call": [user("Weather?"), assistant("", tool_calls=[call("get_weather", {"city": "Zürich", "days": 2})]),
             tool("{\"t\": 21}", name="get_weather", tool_call_id="abc123XYZ"), assistant("21 degrees"), user("Thanks")],
    "call_pending": [system("Use tools."), user("1+2?"), assistant("", tool_calls=[call("add", {"a": 1, "b": 2})])],
    "call_text": [user("1+2?"), assistant("Let me add.", tool_calls=[call("add", {"a": 1, "b": 2})]), tool("3")],
    "call_string_arguments": [user("1+2?"), assistant("", tool_calls=[call("add", '{"a": 1, "b": 2}')]), tool("3")],
    "call_bare": [user("1+2?"), assistant("", tool_calls=[{"name": "add", "arguments": {"a": [1, {"x": None}], "b": True}}]),
                  tool("3")],
    "calls": [user("Both?"), assistant("", tool_calls=[call("add", {"a": 1, "b": 2}, "aaaaaaaa1"),
                                                       call("get_weather", {"city": "Rome"}, "bbbbbbbb2")]),
              tool("3", tool_call_id="aaaaaaaa1"), tool("sunny", tool_call_id="bbbbbbbb2"), assistant("3 and sunny"),
              user("More")],
    "call_twice": [user("a"), assistant("", tool_calls=[call("add", {"a": 1, "b": 2})]), tool("3"),
                   assistant("", tool_calls=[call("add", {"a": 3, "b": 3})]), tool("6"), assistant("6"), user("b")],
    "bad_call_id": [user("a"), assistant("", tool_calls=[call("add", {"a": 1}, "short")]), tool("3"), user("b")],
    "tool_json": [user("a"), assistant("", tool_calls=[call("add", {})]), tool({"sum": 3, "exact": True}), user("b")],
    "thinking": [user("Why?"), assistant("<think>\nHm, because.\n</think>\n\nBecause."), user("And?"),
                 assistant("<think>\nLast.\n</think>\n\nSo.")],
    "thinking_tools": [user("1+2?"), assistant("<think>\nI add.\n</think>\n\n", tool_calls=[call("add", {"a": 1, "b": 2})]),
                       tool("3"), tool("again 3"), assistant("<think>Done</think>Three."), user("Thanks")],
    "reasoning_field": [user("Why?"), assistant("Because.", reasoning_content="\nHm.\n"), user("And?")],
    "reasoning_alias": [user("Why?"), assistant("Because.", reasoning="Hm."), user("And?"),
                        assistant("So.", thinking="Old name.")],
    "reasoning_last": [user("Why?"), assistant("Because.", reasoning_content="Only now.")],
    "tool_response_user": [user("a"), assistant("b"), user("<tool_response>\nx\n</tool_response>"), assistant("c")],
    "parts": [user([{"type": "text", "text": "Look: "}, {"type": "text", "text": "here"}])],
    "many": [m for i in range(12) for m in (user(f"q{i}"), assistant(f"a{i}"))] + [user("end")],
}

# The model goes on with the last message; so do CONVERSATIONS, whoever speaks last in them.
CONTINUED = {
    "prefix": [user("Count."), assistant("1, 2,")],
    "prefix_space": [user("Count."), assistant("1, 2, ")],
    "prefix_lines": [user("Count."), assistant("\n1\n2\n\n")],
    "prefix_letter": [user("assistant?"), assistant("a")],
    "prefix_empty": [user("Count."), assistant("")],
    "prefix_marker": [user("Count."), assistant("x<|im_end|> </s> y")],
    "prefix_again": [user("1, 2,"), assistant("1, 2,"), user("1, 2,"), assistant("1, 2,")],
    "prefix_thinking": [user("Why?"), assistant("<think>\nHm")],
    "prefix_thought": [user("Why?"), assistant("<think>\nHm.\n</think>\n\nBecause")],
    "prefix_reasoning": [user("Why?"), assistant("Because", reasoning_content="Hm.")],
    "prefix_parts": [user("Count."), assistant([{"type": "text", "text": "1,"}, {"type": "text", "text": " 2,"}])],
    "prefix_image": [user("Count."), assistant([{"type": "text", "text": "1,"}, {"type": "image"}])],
    "prefix_image_only": [user("Count."), assistant([{"type": "image"}])],
}

TOOLS = {"none": None, "one": [WEATHER], "two": [WEATHER, ADD], "no_tools": []}

EXPRESSIONS = [
    # truth, arithmetic, comparison
    "{{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 6 / 3 }} {{ 2 ** 10 }} {{ 2 ** -1 }} {{ 7.5 // 2 }} {{ -7.5 % 2 }}",
    "{{ 1 + 2 * 3 - 4 }} {{ (1 + 2) * 3 }} {{ -2 ** 2 }} {{ +3 }} {{ --3 }} {{ 1_000 + 0.5 }} {{ 1e3 }} {{ 1.5e-7 }}",
    "{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 1 == 1.0 }} {{ true == 1 }} {{ 'a' < 'b' }} {{ [1, 2] < [1, 3] }} {{ 1 != 2 }}",
    "{{ 0 or 'x' }} {{ 1 and 'y' }} {{ '' or none }} {{ not '' }} {{ not [0] }} {{ not {} }} {{ 0.0 or 'z' }} {{ undefined_thing or 'u' }}",
    "{{ 'a' in 'cat' }} {{ 'x' not in ['y'] }} {{ 'k' in {'k': 1} }} {{ 1 in (1, 2) }} {{ not 1 in [2] }} {{ 'q' in nope }}",
    "{{ 'yes' if 1 else 'no' }} {{ 'yes' if 0 }}|{{ 'a' if 0 else 'b' if 0 else 'c' }}",
    "{{ 'a' ~ 1 ~ none ~ true ~ 1.0 ~ [1] ~ nope }} {{ 'a' + 'b' 'c' }} {{ 'ab' * 3 }} {{ [1] * 2 + [3] }} {{ (1,) + (2,) }}",
    # values as text
    "{{ none }} {{ true }} {{ 1.0 }} {{ 1e16 }} {{ 1e15 }} {{ 123456789012345680.0 }} {{ 0.0001 }} {{ 0.00001 }} {{ 0.1 + 0.2 }} {{ -0.0 }}",
    "{{ [1, 'a', \"it's\", 'q\"', 'both\\'\"', none, 1.5, {'k': [()]}, (1,), (1, 2)] }}",
    "{{ {'a': 1, 'b': {'c': [true, none]}} }} {{ ['tab\\t', 'nl\\n', '\\x07', 'é', '\\u200b', '\\\\'] }}",
    "{{ '\\x41\\u00e9\\U0001F642\\101\\q\\'\\\"' }} {{ \"a'b\" }} {{ 'line\\nbreak' }}",
    # strings
    "{{ '  x '.strip() }}|{{ '  x '.lstrip() }}|{{ '  x '.rstrip() }}|{{ 'xxaxx'.strip('x') }}|{{ 'abcba'.lstrip('ab') }}|{{ 'abc'.rstrip('bc') }}",
    "{{ 'a,b,,c'.split(',') }} {{ ' a  b '.split() }} {{ 'a,b,c'.split(',', 1) }} {{ 'a b c'.split(none, 1) }} {{ 'a,b,c'.rsplit(',', 1) }} {{ ''.split(',') }} {{ ''.split() }} {{ ' a b  c '.rsplit(none, 1) }} {{ ' a  b  c '.split(none, 1) }} {{ ' a '.split(none, 0) }} {{ ' a '.rsplit(none, 0) }}",
    "{{ 'abc'.startswith('ab') }} {{ 'abc'.endswith(('x', 'bc')) }} {{ 'abc'.startswith('') }} {{ 'aXbXc'.replace('X', '-') }} {{ 'aaa'.replace('a', 'b', 2) }} {{ 'ab'.replace('', '.') }}",
    "{{ 'hELLO wORLD'.title() }} {{ \"they're bill's\".title() }} {{ 'hELLO'.capitalize() }} {{ 'Straße'.upper() }} {{ 'ÀÉ'.lower() }} {{ ', '.join(['a', 'b']) }} {{ ''.join([]) }}",
    "{{ 'hello'.find('l') }} {{ 'hello'.rfind('l') }} {{ 'x'.find('y') }} {{ 'ünï'.find('ï') }} {{ 'banana'.count('an') }} {{ '12'.isdigit() }} {{ 'a\\nb\\r\\nc'.splitlines() }}",
    "{{ 'héllo'[1] }} {{ 'héllo'[-1] }} {{ 'héllo'[1:3] }} {{ 'héllo'[::-1] }} {{ 'héllo'[10:] }}|{{ 'héllo'[99] }}|{{ 'héllo'[:-2] }} {{ 'héllo'[::2] }}",
    # lists and dicts
    "{{ [1, 2, 3, 4][1:] }} {{ [1, 2, 3, 4][::-1] }} {{ [1, 2, 3, 4][-2:] }} {{ [1, 2, 3, 4][3:0:-2] }} {{ [1, 2, 3, 4][-100:100] }} {{ (1, 2, 3)[:2] }} {{ [1, 2][5] }}|{{ [1, 2][-1] }}",
    "{% set d = {'b': 1, 'a': 2, 'items': 3} %}{{ d.b }} {{ d['items'] }} {{ d.get('x') }} {{ d.get('x', 9) }} {{ d.keys() | list }} {{ d.values() | list }} {% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %} {{ d.x is defined }} {{ d | length }}",
    "{% for k in {'x': 1, 'y': 2} %}{{ k }}{% endfor %} {% for c in 'añb' %}[{{ c }}]{% endfor %} {% for x in nope %}no{% else %}none{% endfor %}",
    "{{ range(3) | list }} {{ range(2, 8, 3) | list }} {{ range(3, 0, -1) | list }} {{ dict(a=1, b='x') }} {{ dict({'q': 1}, r=2) }}",
    # filters
    "{{ '  a ' | trim }}|{{ 'xax' | trim('x') }}|{{ 'Ab' | upper }} {{ 'Ab' | lower }} {{ 'hello wORLD-foo' | title }} {{ 'aB' | capitalize }} {{ 5 | string ~ '' }}",
    "{{ [3, 1, 2] | first }} {{ [3, 1, 2] | last }} {{ 'abc' | first }} {{ 'abc' | last }} {{ [] | first }}|{{ [1, 2] | length }} {{ 'héé' | length }} {{ {'a': 1} | count }}",
    "{{ [1, 2, 3] | join }} {{ [1, none, 'a'] | join(', ') }} {{ [{'n': 1}, {'n': 2}] | join('-', attribute='n') }} {{ 'abc' | join('.') }} {{ 'abc' | list }}",
    "{{ nope | default('d') }} {{ '' | default('d') }}|{{ '' | default('d', true) }} {{ none | default('d') }} {{ none | d('d', boolean=true) }} {{ nope | default }}|",
    "{{ [1, 2, 3, 4] | select('odd') | list }} {{ [1, 2, 3, 4] | reject('odd') | list }} {{ [0, 1, '', 'a', none] | select | list }} {{ [0, 1] | reject | list }} {{ [1, 5, 9] | select('gt', 4) | list }}",
    "{% set l = [{'r': 'u', 'n': 1}, {'r': 's', 'n': 2}, {'n': 3}] %}{{ l | selectattr('r') | list | length }} {{ l | selectattr('r', 'equalto', 's') | list }} {{ l | rejectattr('r', 'defined') | list }} {{ l | map(attribute='n') | list }} {{ l | map(attribute='r', default='?') | join(',') }} {{ l | selectattr('n', '>', 1) | map(attribute='n') | list }}",
    "{{ ['a', 'b'] | map('upper') | join }} {{ [[1, 2], [3]] | map('length') | list }} {{ ['a b', 'c'] | map('replace', ' ', '_') | list }} {{ [{'f': {'g': 7}}] | map(attribute='f.g') | list }}",
    "{{ 'a-b-c' | replace('-', '+') }} {{ 'a-b-c' | replace('-', '', 1) }} {{ 5 | replace(5, 6) }} {{ [3, 1, 2] | sort }} {{ ['b', 'A', 'c'] | sort }} {{ ['b', 'A'] | sort(case_sensitive=true) }} {{ [1, 2] | sort(reverse=true) }} {{ [1, 2, 3] | reverse | list }} {{ 'abc' | reverse }}",
    "{{ 'a\\nb\\n\\nc' | indent }}|{{ 'a\\nb' | indent(2, true) }}|{{ 'a\\n\\nb' | indent(1, blank=true) }}|{{ 'a\\nb' | indent('>>') }}|{{ 'a\\n' | indent }}|{{ '' | indent(first=true) }}|",
    "{{ [1, 1, 2, 'a', 'A'] | unique | list }} {{ {'b': 1, 'a': 2} | dictsort }} {{ {'b': 1, 'a': 2} | items | list }} {{ nope | items | list }} {{ [1, 2.5] | sum }} {{ [3, 1] | max }} {{ ['b', 'A'] | min }}",
    "{{ '12' | int }} {{ 'x' | int }} {{ 'x' | int(7) }} {{ 3.9 | int }} {{ '3.7' | int }} {{ '1.5' | float }} {{ -3 | abs }} {{ (-3) | abs }} {{ 2.5 | round }} {{ 2.567 | round(2) }} {{ 2.1 | round(0, 'ceil') }} {{ '<a & \"b\">' | e }}",
    "{{ {'a': [1, 2.0, 'é\"<', none, true], 'b': {}, 'c': []} | tojson }} {{ 'x\\n\\t\\x01\\x7f/' | tojson }} {{ (1, 2) | tojson }} {{ 'é🙂' | tojson(ensure_ascii=true) }}",
    "{{ {'a': [1, {'b': []}], 'c': {}} | tojson(indent=2) }} {{ [1, 2] | tojson(separators=(',', ':')) }} {{ {'b': 1, 'a': 2} | tojson(sort_keys=true) }} {{ [[1]] | tojson(indent=0) }}",
    # tests
    "{{ 1 is defined }} {{ nope is defined }} {{ nope is undefined }} {{ none is none }} {{ 1 is not none }} {{ 'a' is string }} {{ {} is mapping }} {{ [] is iterable }} {{ 'a' is iterable }} {{ 1 is iterable }} {{ [] is sequence }} {{ 'a' is sequence }} {{ {} is sequence }}",
    "{{ 1 is number }} {{ true is number }} {{ 1.5 is number }} {{ 'a' is number }} {{ true is boolean }} {{ 1 is boolean }} {{ true is true }} {{ 1 is true }} {{ false is false }} {{ 0 is false }} {{ 1 is integer }} {{ true is integer }} {{ 1.0 is float }}",
    "{{ 1 is equalto 1 }} {{ 1 is eq(2) }} {{ 2 is in [1, 2] }} {{ 2 is not in [1, 2] }} {{ 3 is odd }} {{ 4 is even }} {{ 9 is divisibleby 3 }} {{ 'ab' is lower }} {{ 'AB' is upper }} {{ 1 is sameas 1 }} {{ 5 is gt 3 and 5 is le 5 }} {{ raise_exception is callable }}",
    # scopes
    "{% set x = 1 %}{% for i in [1, 2] %}{% set x = x + 1 %}{{ x }}{% endfor %}{{ x }}",
    "{% set x = 1 %}{% if true %}{% set x = 2 %}{% endif %}{{ x }}{% with x = 3, y = 4 %}{{ x }}{{ y }}{% set x = 5 %}{% endwith %}{{ x }}{{ y }}",
    "{% set ns = namespace(a=1, found=false) %}{% for i in range(3) %}{% set ns.a = ns.a + i %}{% endfor %}{{ ns.a }} {{ ns.found }} {{ ns.nope is defined }} {{ ns['a'] }}",
    "{% set t %}block {{ 1 + 1 }}\n  text{% endset %}[{{ t }}] {% set u | upper | trim %}  shout {% endset %}[{{ u }}]{% filter upper %}f{{ 'x' }}{% endfilter %}",
    "{% set a, b = 1, (2, 3) %}{{ a }} {{ b }} {% set (c, d) = b %}{{ c }}{{ d }} {% for x, (y, z) in [(1, (2, 3))] %}{{ x }}{{ y }}{{ z }}{% endfor %}",
    "{% macro m(a, b='B', c=none) %}<{{ a }}|{{ b }}|{{ c }}>{% endmacro %}{{ m(1) }}{{ m(1, 2) }}{{ m(b=3, a=4) }}{{ m() }}{{ m('x', c='y') | upper }}",
    "{% macro f(n) %}{% if n > 0 %}{{ n }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(5) }}{% set g = 'glob' %}{% macro s() %}{{ g }}{% endmacro %}{% for g in ['loop'] %}{{ s() }}{% endfor %}",
    # loops
    "{% for x in [10, 20, 30] %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }} {% endfor %}",
    "{% for x in 'abc' %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }}{% if not loop.last %}{{ loop.nextitem is defined }}{% endif %}{{ loop.cycle('o', 'e') }}{% endfor %}",
    "{% for x in [1, 1, 2] %}{{ loop.changed(x) }}{% endfor %} {% for x in range(10) if x is odd %}{{ x }}/{{ loop.length }}{% if loop.last %}!{% endif %} {% else %}none{% endfor %}{% for x in [1] if x > 1 %}{% else %}else{% endfor %}",
    "{% for x in range(9) %}{% if x == 1 %}{% continue %}{% endif %}{% if x == 4 %}{% break %}{% endif %}{{ x }}{% for y in [1, 2] %}{% if y == 2 %}{% break %}{% endif %}.{% endfor %}{% endfor %}",
    "{% for a in [1, 2] %}{% for b in [3, 4] %}{{ a }}{{ b }}{{ loop.index }} {% endfor %}{{ loop.index }}{% endfor %}",
    "{% generation %}in{% set q = 1 %}{% endgeneration %}{{ q is defined }}",
    # whitespace
    "a\n{% if true %}\nb\n{% endif %}\nc\n",
    "a  \n   {% if true %}  \n b {%- if true -%}  \n  x  \n {%- endif %} y\n\t{%- endif +%}\n z",
    "a {{- ' b ' -}} c\n{{ 'd' }}\n  {{ 'e' }}\n   {#- gone -#}  f {# x #}\n  {# line #}\ng\n",
    "  {%+ if true %}kept{% endif %}\n  {% set x = 1 +%}\n{{ x }}{% if true %} {% endif %}|\n\n",
    "{% raw %}{{ not }} {% this %}{% endraw %}|{%- raw -%}  x  {%- endraw -%}  |\r\nwindows\r\n{% if 1 %}\r\nx\r{% endif %}\r\n",
    "{{ '}}' }} {{ {'a': {'b': 1}}['a']['b'] }} {{ '%}' }} {{ {'a': {'b': 2}}.a.b }} { { % {{ '{{' }} {{ ((1, 2), (3,))[0].1 }}",
    # errors
    "{{ 1 / 0 }}", "{{ nope.x }}", "{{ nope() }}", "{{ 'a' + 1 }}", "{{ none + 1 }}", "{{ [] | tojson | nofilter }}",
    "{% for x in 5 %}{% endfor %}", "{{ {}.x.y }}", "{{ 'a'.append(1) }}", "{{ [].append(1) }}", "{{ raise_exception('no: ' ~ 7) }}",
    "{% set a, b = [1] %}", "{{ 1 < 'a' }}", "{% set x.y = 1 %}", "{{ range(1000000) }}", "{{ namespace(_x=1) }}",
    "{{ nope | tojson }}", "{{ none | length }}", "{{ 'a'.strip(1) }}", "{{ ''.__class__.__mro__ }}",
]

# One thing of the language each: what it gives, or that it is refused.
EXPRESSIONS += json.loads((HERE / "constructs.json").read_text())

SYNTAX_ERRORS = ["{% if %}", "{% if true %}", "{{ 1 + }}", "{{ (1 }}", "{% endif %}", "{% for x %}{% endfor %}", "{{ 'open }}",
                 "{% unknown %}", "{{ 1 | }}", "{{ a b }}", "{# open", "{{ [1, 2 }}", "{% set %}", "{{ {'a' 1} }}",
                 "{% macro %}{% endmacro %}", "{{ x is y is z }}", "{{ }}", "{% break %}", "{{ 1 ? 2 }}"]


def tokenizer():
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()), bos_token="<|bos|>", eos_token="<|eos|>",
                                   unk_token="<unk>", pad_token="<pad>")


class FixedDate(chat_template_utils.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2026, 11, 21, 3, 4, 5)


def render(tok, template, messages, tools=None, add_generation_prompt=False, extra=None):
    try:
        text = tok.apply_chat_template(messages, tools=tools, chat_template=template, tokenize=False,
                                       add_generation_prompt=add_generation_prompt, **(extra or {}))
        return {"text": text}
    except Exception as e:  # noqa: BLE001: whatever the reference raises is a refusal
        return {"error": str(e)}


def cases(tok):
    for path in sorted((HERE / "templates").glob("*.jinja")):
        source = path.read_text()
        for name, messages in CONVERSATIONS.items():
            for tools_name, tools in TOOLS.items():
                if tools_name == "no_tools" and name != "one":
                    continue
                calls = any("tool_calls" in m or m["role"] == "tool" for m in messages)
                if tools_name == "one" and not (calls or name in ("one", "system", "turns")):
                    continue
                if tools_name == "two" and not calls:
                    continue
                yield {"template": path.stem, "conversation": name, "tools": tools_name, "prompt": len(messages) % 2 == 1,
                       **render(tok, source, messages, tools, len(messages) % 2 == 1)}
        for extra in ({"enable_thinking": False}, {"date_string": "1 Jan 2031"}, {"tools_in_user_message": False},
                      {"bos_token": "<other>"}, {"builtin_tools": ["get_weather"]}):
            for name in ("one", "call", "thinking"):
                yield {"template": path.stem, "conversation": name, "tools": "one", "prompt": True, "extra": extra,
                       **render(tok, source, CONVERSATIONS[name], TOOLS["one"], True, extra)}


def continued(tok):
    for path in sorted((HERE / "templates").glob("*.jinja")):
        for name, messages in {**CONVERSATIONS, **CONTINUED}.items():
            if messages[-1]["content"] is None or isinstance(messages[-1]["content"], dict):
                continue
            yield {"template": path.stem, "conversation": name,
                   **render(tok, path.read_text(), messages, extra={"continue_final_message": True})}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    chat_template_utils.datetime = FixedDate
    tok = tokenizer()
    one = [user("Hello")]
    golden = {
        "specials": tok.special_tokens_map,
        "conversations": {**CONVERSATIONS, **CONTINUED},
        "tools": TOOLS,
        "cases": list(cases(tok)),
        "continued": list(continued(tok)),
        "expressions": [{"source": s, **render(tok, s, one)} for s in EXPRESSIONS],
        "syntax_errors": SYNTAX_ERRORS,
    }
    for s in SYNTAX_ERRORS:
        assert "error" in render(tok, s, one), s
    text = json.dumps(golden, ensure_ascii=False, indent=1) + "\n"
    path = HERE / "golden.json"
    if args.check:
        if path.read_text() != text:
            sys.exit(f"{path} differs from what this transformers renders")
        return
    path.write_text(text)
    errors = sum("error" in c for c in golden["cases"])
    print(f"{len(golden['cases'])} renderings ({errors} refusals), {len(EXPRESSIONS)} expressions, {len(SYNTAX_ERRORS)} syntax errors")


if __name__ == "__main__":
    main()
