#!/usr/bin/env python3
"""Answers that are bound to a form, from real daemons: one prefill and two decode nodes on the bundled model.

Hundreds of answers over schemas, regular expressions, choices and grammars, greedy and drawn, streamed and whole, several
choices of one request: each is what its form says, by jsonschema and re. Free requests beside them get the tokens that they
get alone. An answer whose decode node is killed goes on token for token. What cannot be honoured is 400, and soon.

ctest runs this with any python3; it goes on under the one of --venv (made by tools/test_venv.sh), or says that it is
missing and exits 77, which ctest counts as skipped.
"""
import json
import re
import sys
import time
import unittest
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import venv_suite

cluster = None
AT_ONCE = 8
TOKENS = 500
WORD = {"type": "string", "maxLength": 12}
PERSON = {"type": "object", "required": ["name", "age"], "additionalProperties": False,
          "properties": {"name": WORD, "age": {"type": "integer", "minimum": 0, "maximum": 150},
                         "tags": {"type": "array", "items": WORD, "maxItems": 3}}}
# Bounded, so that an answer ends within its tokens whatever a small model likes to say.
SCHEMAS = {
    "object": PERSON,
    "nested": {"type": "object", "required": ["who", "at"], "additionalProperties": False,
               "properties": {"who": PERSON, "at": {"type": "array", "items": {"type": "number", "minimum": -9, "maximum": 9},
                                                    "minItems": 2, "maxItems": 2}}},
    "enum": {"enum": ["red", "green", 7, None, {"a": [1, 2]}]},
    "const": {"const": {"version": "1.0", "ok": True}},
    "boolean": {"type": "boolean"},
    "union": {"anyOf": [{"type": "boolean"}, {"type": "object", "required": ["x"], "additionalProperties": False,
                                             "properties": {"x": {"enum": ["a", "b"]}}}]},
    "types": {"type": ["boolean", "null"]},
    "array": {"type": "array", "items": {"enum": [1, 2, 3]}, "minItems": 1, "maxItems": 5},
    "tuple": {"type": "array", "prefixItems": [{"type": "boolean"}, {"const": "b"}], "items": False, "minItems": 2},
    "pattern": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{3}$"},
    "length": {"type": "string", "minLength": 3, "maxLength": 9},
    "date": {"type": "string", "format": "date"},
    "optional": {"type": "object", "additionalProperties": False,
                 "properties": {k: {"type": "boolean"} for k in "abcd"}, "required": ["c"]},
    "references": {"$defs": {"leaf": {"type": "object", "required": ["v"], "additionalProperties": False,
                                      "properties": {"v": {"enum": [0, 1]}}}},
                   "type": "array", "items": {"$ref": "#/$defs/leaf"}, "minItems": 1, "maxItems": 3},
    "recursive": {"$ref": "#/$defs/node",
                  "$defs": {"node": {"type": "object", "required": ["next"], "additionalProperties": False,
                                     "properties": {"next": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/node"}]}}}}},
}
REGEXES = [r"[a-f0-9]{8}", r"(yes|no|maybe)(, (yes|no)){0,3}", r"\d{3}-\d{4}", r"[A-Z][a-z]{1,8} [A-Z][a-z]{1,8}",
           r"\w{2,6}@[a-z]{2,5}\.(com|org)", r"(a|b(c|d){2}){1,6}e?"]
CHOICES = [["positive", "negative", "neutral"], ["a", "ab", "abc"], ["ja", "nein", "größer", "日本"]]
GRAMMARS = [
    ('root ::= "SELECT " col (", " col)? " FROM " table\ncol ::= "a" | "b" | "c1"\ntable ::= "t" [0-9]',
     r"SELECT (a|b|c1)(, (a|b|c1))? FROM t[0-9]"),
    ('root ::= [0-9]{1,3} op [0-9]{1,3}\nop ::= "+" | "*"', r"[0-9]{1,3}[+*][0-9]{1,3}"),
]


def ask(path, body):
    """(status, JSON) of an answer, whatever its status."""
    q = urllib.request.Request(cluster.http + path, json.dumps(body).encode(), {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(q, timeout=120) as r:
            return r.status, json.loads(r.read())
    except urllib.error.HTTPError as e:
        return e.code, json.loads(e.read())


def stream(path, body, on_chunk=lambda n: None):
    """(texts by choice, finish reasons by choice, the last chunk with its figures)."""
    body = {**body, "stream": True, "stream_options": {"include_usage": True}}
    q = urllib.request.Request(cluster.http + path, json.dumps(body).encode(), {"content-type": "application/json"})
    texts, ends, last, n = {}, {}, None, 0
    with urllib.request.urlopen(q, timeout=120) as r:
        for line in r:
            if not line.startswith(b"data: ") or line.startswith(b"data: [DONE]"):
                continue
            last = json.loads(line[6:])
            if "error" in last:
                raise AssertionError(last)
            for c in last["choices"]:
                piece = c["delta"].get("content") if "delta" in c else c["text"]
                texts[c["index"]] = texts.get(c["index"], "") + (piece or "")
                if c["finish_reason"]:
                    ends[c["index"]] = c["finish_reason"]
            n += 1
            on_chunk(n)
    return texts, ends, last


def chat(text, **fields):
    return {"messages": [{"role": "user", "content": text}], "max_tokens": TOKENS, **fields}


def answers(body, streamed):
    """(text, finish_reason) of each choice."""
    path = "/v1/chat/completions" if "messages" in body else "/v1/completions"
    if streamed:
        texts, ends, _ = stream(path, body)
        return [(texts[i], ends[i]) for i in sorted(texts)]
    status, answer = ask(path, body)
    if status != 200:
        raise AssertionError((status, answer, body))
    return [(c["message"]["content"] if "message" in c else c["text"], c["finish_reason"]) for c in answer["choices"]]


def variants(fields):
    """One form asked for in several ways."""
    yield chat("Answer.", temperature=0, **fields), False
    yield chat("Answer, please.", temperature=0, **fields), True
    for seed in range(3):
        yield chat("Tell me of the king.", temperature=1.0, seed=seed, n=2, **fields), seed % 2 == 0
    yield {"prompt": "The king said: ", "max_tokens": TOKENS, "temperature": 0.8, "seed": 5, **fields}, False
    yield {"prompt": "The king said: ", "max_tokens": TOKENS, "temperature": 1.3, "seed": 6, "top_p": 0.9,
           "sluice": {"mode": "colocated"}, **fields}, True


class Structured(unittest.TestCase):
    def check_all(self, forms):
        """forms: (fields, a function that raises where a text is none of the form)."""
        jobs = [(body, streamed, check) for fields, check in forms for body, streamed in variants(fields)]
        count = 0
        with ThreadPoolExecutor(AT_ONCE) as pool:
            got = pool.map(lambda job: answers(job[0], job[1]), jobs)
            for (body, streamed, check), choices in zip(jobs, got):
                for text, end in choices:
                    if end == "length" and "$ref" in json.dumps(body) and "next" in text:
                        continue  # nothing but the model's own taste ends a recursion
                    with self.subTest(text=text, streamed=streamed, body=body):
                        self.assertEqual(end, "stop")
                        check(text)
                    count += 1
        return count

    def test_schemas(self):
        def valid(schema):
            jsonschema.Draft202012Validator.check_schema(schema)
            v = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
            return lambda text: v.validate(json.loads(text))
        forms = [({"response_format": {"type": "json_schema", "json_schema": {"name": name, "schema": schema}}},
                  valid(schema)) for name, schema in SCHEMAS.items()]
        forms.append(({"guided_json": PERSON}, valid(PERSON)))
        forms.append(({"guided_json": json.dumps(PERSON)}, valid(PERSON)))
        forms.append(({"structured_outputs": {"json": SCHEMAS["nested"], "disable_any_whitespace": True}},
                      valid(SCHEMAS["nested"])))
        self.assertGreater(self.check_all(forms), 150)

    def test_regexes_choices_and_grammars(self):
        def matches(pattern):
            return lambda text: self.assertRegex(text, re.compile(r"\A(?:" + pattern + r")\Z"))
        forms = [({"guided_regex": r}, matches(r)) for r in REGEXES]
        forms += [({"structured_outputs": {"regex": r}}, matches(r)) for r in REGEXES[:2]]
        for choices in CHOICES:
            forms.append(({"guided_choice": choices}, lambda text, c=choices: self.assertIn(text, c)))
        forms.append(({"structured_outputs": {"choice": CHOICES[0]}}, lambda text: self.assertIn(text, CHOICES[0])))
        forms += [({"guided_grammar": g}, matches(r)) for g, r in GRAMMARS]
        forms.append(({"structured_outputs": {"grammar": GRAMMARS[0][0]}}, matches(GRAMMARS[0][1])))
        self.assertGreater(self.check_all(forms), 100)

    def test_any_object(self):
        for seed in range(12):
            (text, end), = answers(chat("Answer in JSON.", seed=seed, temperature=1.0, max_tokens=300,
                                        response_format={"type": "json_object"}), seed % 2 == 0)
            if end == "stop":  # a small model may go on for ever
                self.assertIsInstance(json.loads(text), dict)
            else:
                self.assertTrue(text.lstrip().startswith("{"), text)

    def test_properties_come_in_their_authors_order(self):
        schema = {"type": "object", "properties": {k: {"type": "boolean"} for k in "zayb"}, "required": list("abyz"),
                  "additionalProperties": False}
        (text, _), = answers(chat("Go.", guided_json=schema, temperature=0), False)
        self.assertEqual(list(json.loads(text)), list("zayb"))

    def test_what_else_a_request_says(self):
        form = {"guided_regex": r"[a-c]{5,8}", "temperature": 0}
        status, a = ask("/v1/chat/completions", chat("Go.", logprobs=True, top_logprobs=3, sluice={"explain": True}, **form))
        self.assertEqual(status, 200)
        choice = a["choices"][0]
        self.assertEqual("".join(t["token"] for t in choice["logprobs"]["content"]), choice["message"]["content"])
        for t in choice["logprobs"]["content"]:  # the model's own: what it would rather have said is among the likeliest
            self.assertEqual(len(t["top_logprobs"]), 3)
            self.assertLessEqual(t["logprob"], t["top_logprobs"][0]["logprob"])
        self.assertGreater(a["sluice"]["grammar_bytes"], 0)
        status, free = ask("/v1/chat/completions", chat("Go.", max_tokens=3, sluice={"explain": True}))
        self.assertNotIn("grammar_bytes", free["sluice"])
        for more in ({"min_tokens": 20, "max_tokens": 40}, {"ignore_eos": True}):
            (text, end), = answers(chat("Go.", **{**form, **more}), False)
            self.assertEqual(end, "stop")  # the form's end is the answer's
            self.assertEqual(len(text), 8)
        (text, end), = answers(chat("Go.", max_tokens=2, guided_regex=r"[a-c]{50}"), False)
        self.assertEqual(end, "length")

    def test_free_requests_beside_bound_ones_get_their_own_tokens(self):
        free = [chat(f"Chapter {i}.", max_tokens=60, temperature=0.9, seed=i, ignore_eos=True) for i in range(8)]
        alone = [answers(body, False) for body in free]
        bound = [chat("Go on.", temperature=1.0, seed=i, guided_json=list(SCHEMAS.values())[i % len(SCHEMAS)]) for i in range(24)]
        with ThreadPoolExecutor(32) as pool:
            others = [pool.submit(answers, body, True) for body in bound]
            together = list(pool.map(lambda body: answers(body, False), free))
            bound_together = [f.result() for f in others]
        self.assertEqual(together, alone)
        self.assertEqual([answers(body, True) for body in bound[:6]], bound_together[:6])

    def test_an_answer_whose_node_dies_goes_on_token_for_token(self):
        schema = {"type": "array", "minItems": 60, "maxItems": 60,
                  "items": {"type": "object", "required": ["id", "word", "on"], "additionalProperties": False,
                            "properties": {"id": {"type": "integer", "minimum": 0, "maximum": 999}, "word": WORD,
                                           "on": {"type": "boolean"}}}}
        for temperature in (0, 0.9):
            body = chat("List them.", temperature=temperature, seed=3, max_tokens=3000,
                        structured_outputs={"json": schema, "disable_any_whitespace": True},
                        sluice={"explain": True, "profile": "raw"})
            want = stream("/v1/chat/completions", body)
            self.assertEqual(want[1], {0: "stop"})
            jsonschema.validate(json.loads(want[0][0]), schema)
            killed = []

            def kill(n):
                if n < 20 or killed:
                    return
                nodes = json.loads(cluster.get("/sluice/v1/nodes"))["nodes"]
                killed.extend(x["node"] for x in nodes if x["role"] == "decode" and x["seqs"] == 1)
                if killed:
                    cluster.kill(killed[0])
            got = stream("/v1/chat/completions", body, kill)
            self.assertTrue(killed)
            self.assertGreaterEqual(got[2]["sluice"]["resumes"], 1)
            self.assertEqual(got[0], want[0])
            self.assertEqual(got[1], want[1])
            self.assertEqual(got[2]["usage"]["total_tokens"], want[2]["usage"]["total_tokens"])
            cluster.revive(killed[0])

    def test_what_cannot_be_honoured_is_refused_and_delays_nobody(self):
        deep = {}
        for _ in range(28):
            deep = {"type": "object", "properties": {"a": deep}}
        hostile = [
            {"guided_json": {"type": "nothing"}}, {"guided_json": {"type": "string", "pattern": "("}},
            {"guided_json": {"$ref": "#/$defs/none"}}, {"guided_json": {"$ref": "https://example.com/s.json"}},
            {"guided_json": deep}, {"guided_regex": "(" * 5000}, {"guided_regex": "((a{1,1000}){1,1000}){1,1000}"},
            {"guided_grammar": "root ::= root"}, {"guided_grammar": "root ::= nothing"}, {"guided_grammar": "(" * 10000},
            {"guided_choice": []}, {"guided_json": {"type": "array", "items": {"type": "string"}, "minItems": 10 ** 9}},
            {"guided_json": {"enum": ["x" * 100000] * 30}}, {"guided_json": {"enum": [f"v{i}" for i in range(20000)]}},
            {"guided_json": {"type": "object", "properties": {f"p{i}": {} for i in range(3000)}}},
            {"guided_regex": "a", "guided_choice": ["b"]}, {"structured_outputs": {"structural_tag": "{}"}},
        ]
        slowest = 0.0

        def one(fields):
            begin = time.monotonic()
            status, answer = ask("/v1/chat/completions", chat("Go.", max_tokens=20, **fields))
            return time.monotonic() - begin, status, answer

        with ThreadPoolExecutor(AT_ONCE) as pool:
            quiet = [pool.submit(answers, chat(f"Say {i}.", max_tokens=20, guided_choice=["yes", "no"]), False) for i in range(20)]
            for fields, (took, status, answer) in zip(hostile, pool.map(one, hostile)):
                with self.subTest(fields=str(fields)[:200], answer=answer):
                    self.assertIn(status, (200, 400))  # some can be kept to
                    if status == 400:
                        self.assertIn(answer["error"]["param"].split(".")[0], fields)
                slowest = max(slowest, took)
            for q in quiet:
                self.assertIn(q.result()[0][0], ("yes", "no"))
        self.assertLess(slowest, 20)

    def test_metrics(self):
        answers(chat("Go.", guided_choice=["yes", "no"]), False)
        total = {name: sum(cluster.metric_at("http://" + n["admin_address"], name)
                           for n in json.loads(cluster.get("/sluice/v1/nodes"))["nodes"] if n["role"] == "decode")
                 for name in ("sluice_grammar_compiles_total", "sluice_grammar_mask_seconds_count",
                              "sluice_grammar_compile_seconds_count", "sluice_grammars_cached_bytes")}
        for name, value in total.items():
            self.assertGreater(value, 0, name)


def main():
    global cluster, jsonschema
    args = venv_suite.enter()

    import jsonschema
    from cluster import Cluster
    with Cluster(args.bin, prefills=1, decodes=2) as cluster:
        venv_suite.run(Structured)
    return 0


if __name__ == "__main__":
    sys.exit(main())
