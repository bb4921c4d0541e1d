#!/usr/bin/env python3
"""Tool calls and reasoning from real daemons: the bundled weights behind a chat template that knows tools.

Hundreds of answers whose calls are demanded, in each format, whole and streamed: arguments are what the tool's schema says,
by jsonschema, and a stream tells the same as the whole answer. Results of calls go back into the template. The openai client
reads both. What a model thinks is told from what it answers.

ctest runs this with any python3; it goes on under the one of --venv (made by tools/test_venv.sh), or says that it is
missing and exits 77, which ctest counts as skipped.
"""
import json
import subprocess
import sys
import tempfile
import unittest
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import venv_suite

cluster = None
AT_ONCE = 8
WORD = {"type": "string", "maxLength": 10}
# Bounded, so that an answer ends within its tokens whatever a small model likes to say.
SCHEMAS = {
    "get_weather": {"type": "object", "required": ["city"], "additionalProperties": False,
                    "properties": {"city": WORD, "unit": {"enum": ["celsius", "fahrenheit"]}}},
    "add": {"type": "object", "required": ["a", "b"], "additionalProperties": False,
            "properties": {k: {"type": "integer", "minimum": -99, "maximum": 99} for k in "ab"}},
    "book.table-1": {"type": "object", "required": ["guests", "at"], "additionalProperties": False,
                     "properties": {"guests": {"type": "array", "minItems": 1, "maxItems": 3,
                                               "items": {"$ref": "#/$defs/guest"}},
                                    "at": {"type": "string", "pattern": "^[0-2][0-9]:[0-5][0-9]$"}},
                     "$defs": {"guest": {"type": "object", "required": ["name", "vegan"], "additionalProperties": False,
                                         "properties": {"name": WORD, "vegan": {"type": "boolean"}}}}},
    "pick": {"properties": {"one": {"anyOf": [{"type": "null"}, {"const": "x\"y\\z"}, {"type": "number", "minimum": 0,
                                                                                     "maximum": 9}]}},
             "required": ["one"], "additionalProperties": False},
}
TOOLS = [{"type": "function", "function": {"name": n, "description": "A tool.", "parameters": s}} for n, s in SCHEMAS.items()]
TOOLS.append({"type": "function", "function": {"name": "now"}})
TEMPLATE = """{{ bos_token }}{% if tools %}{{ '<|im_start|>system\\n' }}{% for t in tools %}{{ t | tojson }}
{% endfor %}{{ 'Call: <tool_call>{"name": ..., "arguments": ...}</tool_call><|im_end|>\\n' }}{% endif %}
{%- for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content }}
{%- for c in m.tool_calls or [] %}{{ '<tool_call>' + c.id + c.function.name + c.function.arguments | tojson + '</tool_call>' }}{% endfor %}
{{- '<|im_end|>\\n' }}{% endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% if thinking %}{{ '<think>\\n' }}{% endif %}{% endif %}"""


def ask(body):
    """(status, JSON) of an answer, whatever its status."""
    q = urllib.request.Request(cluster.http + "/v1/chat/completions", json.dumps(body).encode(),
                               {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(q, timeout=120) as r:
            return r.status, json.loads(r.read())
    except urllib.error.HTTPError as e:
        return e.code, json.loads(e.read())


def whole(body):
    status, answer = ask(body)
    if status != 200:
        raise AssertionError((status, answer, body))
    return answer["choices"][0]


def streamed(body):
    """A choice like a whole answer's, of a stream's deltas."""
    q = urllib.request.Request(cluster.http + "/v1/chat/completions", json.dumps({**body, "stream": True}).encode(),
                               {"content-type": "application/json"})
    message, end = {"content": "", "tool_calls": []}, None
    with urllib.request.urlopen(q, timeout=120) as r:
        for line in r:
            if not line.startswith(b"data: ") or line.startswith(b"data: [DONE]"):
                continue
            choice = json.loads(line[6:])["choices"][0]
            end = choice["finish_reason"] or end
            message["content"] += choice["delta"].get("content") or ""
            for c in choice["delta"].get("tool_calls", []):
                if c["index"] == len(message["tool_calls"]):
                    message["tool_calls"].append({k: v for k, v in c.items() if k != "index"})
                else:
                    message["tool_calls"][c["index"]]["function"]["arguments"] += c["function"]["arguments"]
    return {"message": message, "finish_reason": end}


def calls_of(choice):
    return [(c["function"]["name"], c["function"]["arguments"]) for c in choice["message"].get("tool_calls", [])]


def chat(text, **fields):
    return {"messages": [{"role": "user", "content": text}], "max_tokens": 400, "tools": TOOLS, **fields}


def demanded(i):
    """The i-th way to demand one call, drawn with a seed."""
    names = [t["function"]["name"] for t in TOOLS]
    name = names[i % len(names)]
    choice = "required" if i % 3 == 0 else {"type": "function", "function": {"name": name}}
    if i % 3 == 1:
        choice = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [
            {"type": "function", "function": {"name": n}} for n in (name, names[(i + 2) % len(names)])]}}
    return chat(f"Do number {i}.", seed=i, temperature=(0, 0.8, 1.2)[i % 4 % 3], tool_choice=choice,
                parallel_tool_calls=False)


class Formats(unittest.TestCase):
    """Of any format."""
    bodies = 20

    def check_call(self, name, arguments):
        jsonschema.validate(json.loads(arguments), {"type": "object", **SCHEMAS.get(name, {"maxProperties": 0})})

    def test_demanded_calls_are_what_their_schemas_say(self):
        jobs = [demanded(i) for i in range(self.bodies)]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for body, once, again in zip(jobs, pool.map(whole, jobs), pool.map(streamed, jobs)):
                with self.subTest(body=body["tool_choice"], seed=body["seed"], answer=once):
                    self.assertEqual(calls_of(again), calls_of(once))
                    self.assertEqual(again["finish_reason"], once["finish_reason"])
                    self.assertFalse(again["message"]["content"])
                    self.assertIsNone(once["message"]["content"])
                    named = isinstance(body["tool_choice"], dict) and body["tool_choice"]["type"] == "function"
                    self.assertEqual(once["finish_reason"], "stop" if named else "tool_calls")
                    (name, arguments), = calls_of(once)
                    self.check_call(name, arguments)
                    if named:
                        self.assertEqual(name, body["tool_choice"]["function"]["name"])

    def test_several_calls_and_calls_cut_short(self):
        some = 0
        for seed in range(4):
            body = chat("Do it all.", seed=seed, temperature=1.0, tool_choice="required", max_tokens=150)
            once, again = whole(body), streamed(body)
            self.assertEqual(calls_of(once), calls_of(again))
            calls = calls_of(once)
            self.assertGreaterEqual(len(calls), 1)
            for name, arguments in calls[:None if once["finish_reason"] == "tool_calls" else -1]:
                self.check_call(name, arguments)
                some += 1
        self.assertGreater(some, 0)

    def test_strict_tools_leave_text_free(self):
        strict = [{"type": "function", "function": {**t["function"], "strict": True}} for t in TOOLS]
        for seed in range(4):
            body = chat("Tell me of the king.", seed=seed, temperature=1.0, tools=strict, max_tokens=60)
            once, again = whole(body), streamed(body)
            self.assertEqual(once["message"]["content"] or "", again["message"]["content"])
            for name, arguments in calls_of(once):
                if once["finish_reason"] == "tool_calls":
                    self.check_call(name, arguments)


class Hermes(Formats):
    """What the template tells, in full."""
    bodies = 100  # each whole and streamed

    def test_results_go_back_into_the_template(self):
        call = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1, "b": 2}'}}
        messages = [{"role": "user", "content": "1 + 2?"}, {"role": "assistant", "content": None, "tool_calls": [call]},
                    {"role": "tool", "tool_call_id": "call_1", "content": "3"}]
        self.assertEqual(ask({**chat(""), "messages": messages, "max_tokens": 5})[0], 200)
        text = json.loads(cluster.ask("/tokenize", {"messages": messages, "tools": TOOLS, "return_token_strs": True})[2])
        self.assertIn('<tool_call>call_1add{"a": 1, "b": 2}</tool_call>', "".join(text["token_strs"]))

    def test_nothing_to_call(self):
        for fields in ({"tools": []}, {"tool_choice": "none"}, {}):
            message = whole(chat("Hello.", temperature=0, max_tokens=10, **fields))["message"]
            self.assertTrue(message["content"])
            self.assertNotIn("tool_calls", message)

    def test_a_form_beside_tools(self):
        body = chat("Go.", temperature=0.7, seed=1, parallel_tool_calls=False, response_format={
            "type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMAS["add"]}})
        for seed in range(6):
            once = whole({**body, "seed": seed})
            if calls_of(once):
                self.check_call(*calls_of(once)[0])
            else:
                jsonschema.validate(json.loads(once["message"]["content"]), SCHEMAS["add"])

    def test_refusals(self):
        odd = [{"type": "function", "function": {"name": "f", "strict": True, "parameters": {
            "type": "object", "properties": {"a": {"type": "nothing"}}}}}]
        for param, fields in {"tools[0].function.parameters": {"tools": odd},
                              "tool_choice": {"tool_choice": {"type": "function", "function": {"name": "none"}}}}.items():
            status, answer = ask(chat("Go.", **fields))
            self.assertEqual((status, answer["error"]["param"]), (400, param), answer)

    def test_the_openai_client(self):
        client = openai.OpenAI(base_url=cluster.http + "/v1", api_key="none")
        body = {**demanded(2), "model": client.models.list().data[0].id}
        once = client.chat.completions.create(**body)
        call, = once.choices[0].message.tool_calls
        self.check_call(call.function.name, call.function.arguments)
        arguments, names = "", []
        for chunk in client.chat.completions.create(**body, stream=True):
            for c in chunk.choices[0].delta.tool_calls or []:
                names += [c.function.name] if c.function.name else []
                arguments += c.function.arguments or ""
        self.assertEqual((names, arguments), ([call.function.name], call.function.arguments))


class Reasoning(unittest.TestCase):
    def test_what_is_thought_is_told_apart(self):
        body = chat("Why?", temperature=0, max_tokens=20, tools=None)
        plain = whole(body)["message"]
        self.assertTrue(plain["content"])
        self.assertNotIn("reasoning", plain)
        thinks = whole({**body, "chat_template_kwargs": {"thinking": True}})["message"]
        self.assertIsNone(thinks["content"])
        self.assertTrue(thinks["reasoning"])
        self.assertEqual(thinks["reasoning"], thinks["reasoning_content"])

    def test_a_bound_answer_may_be_thought_about(self):
        for seed in range(4):
            body = {**demanded(seed * 3), "chat_template_kwargs": {"thinking": True}, "max_tokens": 120,
                    "logit_bias": {}}
            once = whole(body)
            self.assertTrue(once["message"].get("reasoning") or calls_of(once))
            if once["finish_reason"] != "length":
                name, arguments = calls_of(once)[0]
                jsonschema.validate(json.loads(arguments), SCHEMAS.get(name, {"maxProperties": 0}))


def model_directory(to):
    """The bundled weights behind a template that knows tools."""
    from cluster import MODEL
    for file in MODEL.iterdir():
        if file.name != "tokenizer_config.json":
            (to / file.name).symlink_to(file)
    config = json.loads((MODEL / "tokenizer_config.json").read_text())
    (to / "tokenizer_config.json").write_text(json.dumps({**config, "chat_template": TEMPLATE}))
    return to


def main():
    global cluster, jsonschema, openai
    args = venv_suite.enter()

    import jsonschema
    import openai
    from cluster import Cluster
    unknown = subprocess.run([args.bin / "sluice-coordinator", "--model", "/none", "--tool-call-parser", "xml"],
                             capture_output=True, text=True)
    if unknown.returncode == 0 or "llama3_json" not in unknown.stderr:
        raise SystemExit(f"--tool-call-parser xml: {unknown}")
    good = True
    with tempfile.TemporaryDirectory(prefix="sluice-tools-") as directory:
        model = model_directory(Path(directory))
        for flags, cases in ([], Hermes), (["--tool-call-parser", "llama3_json"], Formats), \
                (["--tool-call-parser", "mistral"], Formats), (["--tool-call-parser", "pythonic"], Formats), \
                (["--reasoning-parser", "qwen3"], Reasoning):
            print("coordinator flags:", *flags, flush=True)
            with Cluster(args.bin, prefills=1, decodes=1, coordinator_flags=flags, model=model) as cluster:
                good = venv_suite.results(cases).wasSuccessful() and good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
