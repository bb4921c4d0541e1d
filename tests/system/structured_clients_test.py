#!/usr/bin/env python3
"""Clients and frameworks of others, as they are, where answers are bound to a schema or call a tool. The model is too
small to mean what it says; that it says what the schema allows is the server's doing.
"""
import asyncio
import json
import sys
import tempfile
import unittest
from enum import Enum
from pathlib import Path

import client_suite
from client_suite import MODEL, needs

try:
    from pydantic import BaseModel, ConfigDict, Field
except ModuleNotFoundError:  # the python that ctest starts; the venv's goes on
    BaseModel, ConfigDict, Field = object, dict, lambda **_: None

SAY = [{"role": "user", "content": "Who was the king?"}]
# A small model likes to go on with what it wrote, white space above all; the penalty has it end.
OPTIONS = dict(max_tokens=400, temperature=0.7, frequency_penalty=1.5, seed=11)


class Mood(str, Enum):
    GLAD = "glad"
    SAD = "sad"


class King(BaseModel):
    """A king."""
    model_config = ConfigDict(extra="forbid")
    name: str = Field(max_length=12)
    age: int = Field(ge=0, le=99)
    mood: Mood
    crowned: bool


TOOL = {"type": "function", "function": {
    "name": "find_king", "description": "Finds a king.",
    "parameters": {"type": "object", "additionalProperties": False, "required": ["year", "land"],
                   "properties": {"year": {"type": "integer", "minimum": 0, "maximum": 9999},
                                  "land": {"type": "string", "enum": ["Judah", "Israel"]}}}}}


def check_call(test, arguments):
    given = json.loads(arguments) if isinstance(arguments, str) else arguments
    test.assertEqual(set(given), {"year", "land"})
    test.assertIn(given["land"], ("Judah", "Israel"))
    test.assertLessEqual(given["year"], 9999)


@needs("openai", "pydantic")
class OpenAi(unittest.TestCase):
    def setUp(self):
        import openai
        self.openai = openai
        self.options = dict(base_url=client_suite.where, api_key="none", max_retries=0, timeout=60)
        self.client = openai.OpenAI(**self.options)

    def test_parse(self):
        answer = self.client.chat.completions.parse(model=MODEL, messages=SAY, response_format=King, **OPTIONS)
        self.assertIsInstance(answer.choices[0].message.parsed, King)

    def test_parse_asynchronously(self):
        async def ask():
            async with self.openai.AsyncOpenAI(**self.options) as client:
                return await asyncio.gather(*(client.chat.completions.parse(
                    model=MODEL, messages=[{"role": "user", "content": f"Who was king number {i}?"}],
                    response_format=King, **OPTIONS) for i in range(8)))

        for answer in asyncio.run(ask()):
            self.assertIsInstance(answer.choices[0].message.parsed, King)

    def test_parse_a_stream(self):
        with self.client.chat.completions.stream(model=MODEL, messages=SAY, response_format=King, **OPTIONS) as stream:
            for _ in stream:
                pass
            self.assertIsInstance(stream.get_final_completion().choices[0].message.parsed, King)

    def test_json_mode(self):
        answer = self.client.chat.completions.create(model=MODEL, messages=SAY, response_format={"type": "json_object"},
                                                     **{**OPTIONS, "max_tokens": 400})
        if answer.choices[0].finish_reason == "stop":
            self.assertIsInstance(json.loads(answer.choices[0].message.content), dict)

    def test_tools(self):
        for choice in ("required", {"type": "function", "function": {"name": "find_king"}}):
            answer = self.client.chat.completions.create(model=MODEL, messages=SAY, tools=[TOOL], tool_choice=choice,
                                                         parallel_tool_calls=False, **OPTIONS)
            calls = answer.choices[0].message.tool_calls
            self.assertEqual([c.function.name for c in calls], ["find_king"])
            check_call(self, calls[0].function.arguments)
            self.assertTrue(calls[0].id)
            again = SAY + [answer.choices[0].message.model_dump(exclude_none=True),
                           {"role": "tool", "tool_call_id": calls[0].id, "content": "David"}]
            self.assertTrue(self.client.chat.completions.create(model=MODEL, messages=again, tools=[TOOL],
                                                                tool_choice="none", **OPTIONS).choices)

    def test_tools_in_a_stream(self):
        with self.client.chat.completions.stream(model=MODEL, messages=SAY, tools=[TOOL], tool_choice="required",
                                                 parallel_tool_calls=False, **OPTIONS) as stream:
            kinds = {event.type for event in stream}
            call = stream.get_final_completion().choices[0].message.tool_calls[0]
        self.assertIn("tool_calls.function.arguments.done", kinds)
        check_call(self, call.function.arguments)


@needs("langchain_openai", "pydantic")
class LangChain(unittest.TestCase):
    def setUp(self):
        from langchain_openai import ChatOpenAI
        self.chat = ChatOpenAI(base_url=client_suite.where, api_key="none", model=MODEL, max_retries=0, timeout=60,
                               **OPTIONS)

    def test_with_structured_output(self):
        for method in ("json_schema", "function_calling"):
            with self.subTest(method):
                self.assertIsInstance(self.chat.with_structured_output(King, method=method).invoke("Who?"), King)

    def test_bind_tools(self):
        bound = self.chat.bind_tools([TOOL], tool_choice="any", parallel_tool_calls=False)
        answer = bound.invoke("Who was the king?")
        self.assertEqual([c["name"] for c in answer.tool_calls], ["find_king"])
        check_call(self, answer.tool_calls[0]["args"])
        whole = None
        for chunk in bound.stream("Who was the king?"):
            whole = chunk if whole is None else whole + chunk
        check_call(self, whole.tool_calls[0]["args"])


@needs("instructor", "openai")
class Instructor(unittest.TestCase):
    def test_every_mode(self):
        import instructor
        import openai
        for mode in (instructor.Mode.JSON_SCHEMA, instructor.Mode.TOOLS):
            with self.subTest(str(mode)), openai.OpenAI(base_url=client_suite.where, api_key="none") as plain:
                client = instructor.from_openai(plain, mode=mode)
                king = client.chat.completions.create(model=MODEL, messages=SAY, response_model=King, max_retries=0,
                                                      **OPTIONS)
                self.assertIsInstance(king, King)


@needs("litellm", "pydantic")
class LiteLlm(unittest.TestCase):
    def ask(self, provider, **more):
        import litellm
        litellm.suppress_debug_info = True
        return litellm.completion(model=f"{provider}/{MODEL}", messages=SAY, api_base=client_suite.where, api_key="none",
                                  num_retries=0, timeout=60, **OPTIONS, **more).choices[0].message

    def test_schemas_and_tools(self):
        for provider in ("openai", "hosted_vllm"):
            with self.subTest(provider):
                King.model_validate_json(self.ask(provider, response_format=King).content)
                calls = self.ask(provider, tools=[TOOL], tool_choice="required").tool_calls
                check_call(self, calls[0].function.arguments)


def main():
    from tools_test import model_directory  # the bundled weights behind a template that knows tools
    with tempfile.TemporaryDirectory(prefix="sluice-tools-") as directory:
        return client_suite.run(OpenAi, LangChain, Instructor, LiteLlm, decodes=2, model=model_directory(Path(directory)),
                                coordinator_flags=["--model-name", MODEL])


if __name__ == "__main__":
    sys.exit(main())
