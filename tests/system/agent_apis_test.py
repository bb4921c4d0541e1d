#!/usr/bin/env python3
"""The Responses and the Messages API with their own clients, `openai` and `anthropic` from PyPI, unmodified, against a
cluster of two prefill and two decode processes. The bundled model gets a chat template that shows tools.

ctest runs this with any python3; it goes on under the one of --venv (made by tools/test_venv.sh), or says that it is
missing and exits 77, which ctest counts as skipped.
"""
import asyncio
import shutil
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Literal

import venv_suite

MODEL = "sluice-tiny"
KEY = "a-key-of-the-test"
LOSSLESS = {"sluice": {"profile": "raw"}}
TEMPLATE = """{{ bos_token }}{% if tools %}<|im_start|>system
Tools: {{ tools | tojson }}
Call one so: <tool_call>
{"name": NAME, "arguments": ARGUMENTS}
</tool_call><|im_end|>
{% endif %}{% for m in messages %}<|im_start|>{{ m['role'] }}
{{ m['content'] }}{% for c in m.tool_calls or [] %}<tool_call>
{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}
</tool_call>{% endfor %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
WEATHER = {"type": "object", "required": ["city", "unit"], "additionalProperties": False,
           "properties": {"city": {"enum": ["Rome", "Oslo"]}, "unit": {"enum": ["C", "F"]}}}
cluster = openai = anthropic = responses = messages = None


def respond(text, **options):
    return responses.responses.create(model=MODEL, input=text, temperature=0, **options)


class Responses(unittest.TestCase):
    def test_whole_and_streamed_answers_are_the_same(self):
        options = dict(max_output_tokens=24, extra_body={**LOSSLESS, "ignore_eos": True}, instructions="Tell a story.")
        whole = respond("Tell me of the king.", **options)
        self.assertEqual((whole.object, whole.status), ("response", "incomplete"))
        self.assertEqual(whole.incomplete_details.reason, "max_output_tokens")
        self.assertEqual(whole.usage.output_tokens, 24)
        self.assertEqual(whole.usage.total_tokens, whole.usage.input_tokens + 24)
        events = list(respond("Tell me of the king.", stream=True, **options))
        self.assertEqual([e.sequence_number for e in events], list(range(len(events))))
        types = [e.type for e in events]
        self.assertEqual(types[:4], ["response.created", "response.in_progress", "response.output_item.added",
                                     "response.content_part.added"])
        self.assertEqual(types[-4:], ["response.output_text.done", "response.content_part.done",
                                      "response.output_item.done", "response.incomplete"])
        text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
        self.assertTrue(text)
        self.assertEqual(text, whole.output_text)
        self.assertEqual(events[-1].response.output_text, text)
        self.assertEqual(events[-1].response.usage.total_tokens, whole.usage.total_tokens)

    def test_parse(self):
        class Verdict(pydantic.BaseModel):
            mood: Literal["good", "bad"]
            sure: bool
        parsed = responses.responses.parse(model=MODEL, input="How is it?", text_format=Verdict, max_output_tokens=200)
        self.assertEqual(parsed.status, "completed")
        self.assertIn(parsed.output_parsed.mood, ("good", "bad"))
        with responses.responses.stream(model=MODEL, input="How is it?", text_format=Verdict,
                                        max_output_tokens=200) as stream:
            self.assertEqual([e.type for e in stream][-1], "response.completed")
            self.assertIsInstance(stream.get_final_response().output_parsed, Verdict)

    def test_tools(self):
        tool = {"type": "function", "name": "weather", "description": "Tells it.", "parameters": WEATHER, "strict": True}
        options = dict(tools=[tool], tool_choice="required", max_output_tokens=300, parallel_tool_calls=False)
        first = respond("Weather?", **options)
        calls = [o for o in first.output if o.type == "function_call"]
        self.assertEqual([c.name for c in calls], ["weather"])
        self.assertIn(pydantic_core.from_json(calls[0].arguments)["city"], ("Rome", "Oslo"))
        events = list(respond("Weather?", stream=True, **options))
        pieces = "".join(e.delta for e in events if e.type == "response.function_call_arguments.delta")
        done = [e for e in events if e.type == "response.function_call_arguments.done"]
        self.assertEqual([pieces], [e.arguments for e in done])
        self.assertIn(pydantic_core.from_json(pieces)["unit"], ("C", "F"))
        # Its output, by the kept turn and by the client's own memory: one conversation, so one answer.
        output = {"type": "function_call_output", "call_id": calls[0].call_id, "output": "sunny"}
        rest = dict(tools=[tool], max_output_tokens=8, extra_body={**LOSSLESS, "ignore_eos": True})
        by_id = respond([output], previous_response_id=first.id, **rest)
        by_hand = respond([{"role": "user", "content": "Weather?"}, *[o.to_dict() for o in first.output], output], **rest)
        self.assertEqual(by_id.output_text, by_hand.output_text)
        self.assertEqual(by_id.usage.input_tokens, by_hand.usage.input_tokens)

    def test_kept_turns(self):
        first = respond("One.", max_output_tokens=4, metadata={"a": "b"})
        again = responses.responses.retrieve(first.id)
        self.assertEqual(again.to_dict(), first.to_dict())
        next_one = respond("Two.", max_output_tokens=4, previous_response_id=first.id)
        self.assertGreater(next_one.usage.input_tokens, first.usage.input_tokens)
        items = responses.responses.input_items.list(next_one.id, order="asc").data
        self.assertEqual([i.content[0].text for i in items], ["Two."])
        responses.responses.delete(first.id)
        for lost in (lambda: responses.responses.retrieve(first.id),
                     lambda: respond("Three.", previous_response_id=next_one.id)):
            with self.assertRaises(openai.NotFoundError) as e:
                lost()
            self.assertEqual(e.exception.code, "response_not_found")
        unkept = respond("One.", max_output_tokens=4, store=False)
        with self.assertRaises(openai.NotFoundError):
            responses.responses.retrieve(unkept.id)

    def test_errors(self):
        for param, options in {"temperature": {"extra_body": {"temperature": 9}}, "max_output_tokens": {"max_output_tokens": 99999},
                               "truncation": {"truncation": "auto"}, "tools[0]": {"tools": [{"type": "web_search"}]},
                               "include[0]": {"include": ["reasoning.encrypted_content"]},
                               "unheard_of": {"extra_body": {"unheard_of": 1}}}.items():
            with self.subTest(param), self.assertRaises(openai.BadRequestError) as e:
                respond("hi", **options)
            self.assertEqual(e.exception.param, param)
            self.assertEqual(e.exception.type, "invalid_request_error")
        with self.assertRaises(openai.AuthenticationError):
            responses.with_options(api_key="another").responses.create(model=MODEL, input="hi")

    def test_async(self):
        async def talk():
            async with openai.AsyncOpenAI(base_url=cluster.http + "/v1", api_key=KEY, max_retries=0) as client:
                async def one(i):
                    text = ""
                    async for e in await client.responses.create(model=MODEL, input=f"Chat {i}", stream=True,
                                                                 max_output_tokens=12):
                        text += e.delta if e.type == "response.output_text.delta" else ""
                    return text
                return await asyncio.gather(*(one(i) for i in range(16)))
        self.assertEqual(len(asyncio.run(talk())), 16)


GREEDY = {"temperature": 0}  # in the body: newer clients have no such parameter


def message(text, extra_body=(), **options):
    options.setdefault("max_tokens", 24)
    return messages.messages.create(model=MODEL, messages=[{"role": "user", "content": text}],
                                    extra_body={**GREEDY, **dict(extra_body)}, **options)


class Messages(unittest.TestCase):
    def test_whole_and_streamed_answers_are_the_same(self):
        options = dict(system="Tell a story.", extra_body={**GREEDY, **LOSSLESS, "ignore_eos": True})
        whole = message("Tell me of the king.", **options)
        self.assertEqual((whole.type, whole.role, whole.stop_reason), ("message", "assistant", "max_tokens"))
        self.assertTrue(whole._request_id)
        self.assertEqual(whole.usage.output_tokens, 24)
        with messages.messages.stream(model=MODEL, max_tokens=24,
                                      messages=[{"role": "user", "content": "Tell me of the king."}], **options) as stream:
            text = "".join(stream.text_stream)
            final = stream.get_final_message()
        self.assertTrue(text)
        self.assertEqual(text, whole.content[0].text)
        self.assertEqual(final.content[0].text, text)
        self.assertEqual((final.stop_reason, final.usage.output_tokens), (whole.stop_reason, 24))
        events = [e.type for e in message("Go.", stream=True)]
        self.assertEqual(events[:2] + events[-3:], ["message_start", "content_block_start", "content_block_stop",
                                                    "message_delta", "message_stop"])

    def test_stop_sequences(self):
        options = dict(extra_body={**LOSSLESS, "ignore_eos": True})
        text = message("The house of the king was", **options).content[0].text
        stop = text.split()[1]
        cut = message("The house of the king was", stop_sequences=[stop], **options)
        self.assertEqual((cut.stop_reason, cut.stop_sequence), ("stop_sequence", stop))
        self.assertEqual(cut.content[0].text if cut.content else "", text[:text.index(stop)])

    def test_tools(self):
        tool = {"name": "weather", "description": "Tells it.", "input_schema": WEATHER}
        options = dict(tools=[tool], tool_choice={"type": "any", "disable_parallel_tool_use": True}, max_tokens=300)
        first = message("Weather?", **options)
        self.assertEqual(first.stop_reason, "tool_use")
        use = [b for b in first.content if b.type == "tool_use"]
        self.assertEqual([u.name for u in use], ["weather"])
        self.assertIn(use[0].input["city"], ("Rome", "Oslo"))
        with messages.messages.stream(model=MODEL, extra_body=GREEDY, messages=[{"role": "user", "content": "Weather?"}],
                                      **options) as stream:
            streamed = [b for b in stream.get_final_message().content if b.type == "tool_use"]
        self.assertIn(streamed[0].input["unit"], ("C", "F"))
        said = [{"role": "user", "content": "Weather?"},
                {"role": "assistant", "content": [b.to_dict() for b in first.content]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": use[0].id, "content": "sunny"}]}]
        answer = messages.messages.create(model=MODEL, max_tokens=8, messages=said, tools=[tool], extra_body={"ignore_eos": True})
        self.assertTrue(answer.content)
        counted = messages.messages.count_tokens(model=MODEL, messages=said, tools=[tool])
        self.assertEqual(counted.input_tokens, answer.usage.input_tokens + (answer.usage.cache_read_input_tokens or 0))

    def test_parse(self):
        schema = {"type": "object", "required": ["mood"], "additionalProperties": False,
                  "properties": {"mood": {"enum": ["good", "bad"]}}}
        answer = message("How is it?", max_tokens=100,
                         extra_body={"output_config": {"format": {"type": "json_schema", "schema": schema}}})
        self.assertEqual(answer.stop_reason, "end_turn")
        self.assertIn(pydantic_core.from_json(answer.content[0].text)["mood"], ("good", "bad"))

    def test_errors(self):
        for param, options in {"temperature": {"extra_body": {"temperature": 9}}, "max_tokens": {"max_tokens": 99999},
                               "container": {"extra_body": {"container": "c"}},
                               "tools[0]": {"tools": [{"type": "bash_20250124", "name": "bash"}]}}.items():
            with self.subTest(param), self.assertRaises(anthropic.BadRequestError) as e:
                message("hi", **options)
            self.assertEqual(e.exception.body["type"], "error")
            self.assertEqual(e.exception.body["error"]["type"], "invalid_request_error")
            self.assertEqual(e.exception.body["error"]["param"], param)
            self.assertIn(param, e.exception.body["error"]["message"])
            self.assertTrue(e.exception.body["request_id"])
        with self.assertRaises(anthropic.NotFoundError):
            messages.messages.create(model="claude", max_tokens=5, messages=[{"role": "user", "content": "hi"}])
        with self.assertRaises(anthropic.AuthenticationError):
            messages.with_options(api_key="another").messages.create(
                model=MODEL, max_tokens=5, messages=[{"role": "user", "content": "hi"}])

    def test_bearer(self):
        with anthropic.Anthropic(base_url=cluster.http, auth_token=KEY, max_retries=0) as client:
            self.assertTrue(client.messages.create(model=MODEL, max_tokens=5,
                                                   messages=[{"role": "user", "content": "hi"}]).content)

    def test_async(self):
        async def talk():
            async with anthropic.AsyncAnthropic(base_url=cluster.http, api_key=KEY, max_retries=0) as client:
                async def one(i):
                    async with client.messages.stream(model=MODEL, max_tokens=12,
                                                      messages=[{"role": "user", "content": f"Chat {i}"}]) as stream:
                        return await stream.get_final_message()
                return await asyncio.gather(*(one(i) for i in range(16)))
        for final in asyncio.run(talk()):
            self.assertIn(final.stop_reason, ("max_tokens", "end_turn"))


def main():
    global cluster, openai, anthropic, pydantic, pydantic_core, responses, messages
    args = venv_suite.enter(names=True)

    import anthropic
    import openai
    import pydantic
    import pydantic_core
    from cluster import MODEL as BUNDLED, Cluster
    with tempfile.TemporaryDirectory() as directory:
        model = Path(directory) / MODEL
        shutil.copytree(BUNDLED, model)
        (model / "chat_template.jinja").write_text(TEMPLATE)
        with Cluster(args.bin, prefills=2, decodes=2, model=model, env={"SLUICE_API_KEY": KEY}) as cluster:
            responses = openai.OpenAI(base_url=cluster.http + "/v1", api_key=KEY, max_retries=0, timeout=120)
            messages = anthropic.Anthropic(base_url=cluster.http, api_key=KEY, max_retries=0, timeout=120)
            venv_suite.run(Responses, Messages, names=args.names)
    return 0


if __name__ == "__main__":
    sys.exit(main())
