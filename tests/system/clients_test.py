#!/usr/bin/env python3
"""Clients and frameworks of others, as they are, against a real cluster: what they do for plain text. Those that are
small are in the venv of `make test`; `make clients-test` has them all.
"""
import asyncio
import json
import sys
import tempfile
import time
import unittest
from pathlib import Path

import client_suite
from client_suite import MODEL, needs

SAY = [{"role": "user", "content": "Tell me of the king."}]


@needs("openai")
class OpenAi(unittest.TestCase):
    """Beside openai_client_test.py: the asynchronous client and the helpers on top of streams."""

    def setUp(self):
        import openai
        self.openai = openai
        self.options = dict(base_url=client_suite.where, api_key="none", max_retries=0, timeout=60)
        self.client = openai.OpenAI(**self.options)

    def test_many_at_once(self):
        async def all_of_them():
            async with self.openai.AsyncOpenAI(**self.options) as client:
                return await asyncio.gather(*(
                    client.chat.completions.create(model=MODEL, messages=SAY, max_tokens=8, seed=i, temperature=1)
                    for i in range(16)))

        answers = asyncio.run(all_of_them())
        self.assertTrue(all(a.choices[0].message.content for a in answers))
        self.assertGreater(len({a.choices[0].message.content for a in answers}), 1)

    def test_asynchronous_stream(self):
        async def read():
            async with self.openai.AsyncOpenAI(**self.options) as client:
                stream = await client.chat.completions.create(model=MODEL, messages=SAY, max_tokens=8, temperature=0,
                                                              stream=True)
                return [c.choices[0].delta.content or "" async for c in stream if c.choices]

        whole = self.client.chat.completions.create(model=MODEL, messages=SAY, max_tokens=8, temperature=0)
        self.assertEqual("".join(asyncio.run(read())), whole.choices[0].message.content)

    def test_stream_helper_puts_the_answer_together(self):
        with self.client.chat.completions.stream(model=MODEL, messages=SAY, max_tokens=8, temperature=0, seed=3) as stream:
            kinds = {event.type for event in stream}
            final = stream.get_final_completion()
        self.assertLessEqual({"chunk", "content.delta", "content.done"}, kinds)
        whole = self.client.chat.completions.create(model=MODEL, messages=SAY, max_tokens=8, temperature=0, seed=3)
        self.assertEqual(final.choices[0].message.content, whole.choices[0].message.content)
        self.assertEqual(final.choices[0].finish_reason, whole.choices[0].finish_reason)

    def test_a_stream_that_is_left_ends_its_work(self):
        stream = self.client.chat.completions.create(model=MODEL, messages=SAY, max_tokens=400, stream=True,
                                                     extra_body={"ignore_eos": True})
        next(iter(stream))
        stream.close()
        end = time.monotonic() + 20
        while json.loads(client_suite.cluster.get("/health"))["active"] > 0:
            self.assertLess(time.monotonic(), end, "its work goes on")
            time.sleep(0.02)

    def test_continues_a_message(self):
        begun = SAY + [{"role": "assistant", "content": "Once there was"}]
        more = {"continue_final_message": True, "add_generation_prompt": False}
        answer = self.client.chat.completions.create(model=MODEL, messages=begun, max_tokens=4, temperature=0,
                                                     extra_body=more)
        rendered = self.client.post("/chat/completions/render", cast_to=object, body={"messages": begun, **more})
        self.assertTrue(rendered["prompt_text"].endswith("Once there was"))
        self.assertEqual(answer.usage.prompt_tokens, len(rendered["token_ids"]))
        same = self.client.completions.create(model=MODEL, prompt=rendered["token_ids"], max_tokens=4, temperature=0)
        self.assertEqual(same.choices[0].text, answer.choices[0].message.content)

    def test_what_is_not_served_is_told(self):
        with self.assertRaises(self.openai.NotFoundError) as e:
            self.client.embeddings.create(model=MODEL, input="x")
        self.assertEqual(e.exception.code, "not_served")


@needs("langchain_openai")
class LangChain(unittest.TestCase):
    def setUp(self):
        from langchain_openai import ChatOpenAI, OpenAI
        options = dict(base_url=client_suite.where, api_key="none", model=MODEL, max_retries=0, timeout=60,
                       temperature=0, seed=5)
        self.chat = ChatOpenAI(max_tokens=8, stream_usage=True, **options)
        self.completion = OpenAI(max_tokens=8, **options)

    def test_invoke_and_stream_say_the_same(self):
        answer = self.chat.invoke("Tell me of the king.")
        self.assertEqual(answer.usage_metadata["output_tokens"], 8)
        self.assertIn(answer.response_metadata["finish_reason"], ("stop", "length"))
        chunks = list(self.chat.stream("Tell me of the king."))
        self.assertEqual("".join(c.content for c in chunks), answer.content)
        self.assertEqual(sum((c.usage_metadata or {}).get("output_tokens", 0) for c in chunks), 8)

    def test_batch_and_messages(self):
        from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
        chats = [[SystemMessage("Be kind."), HumanMessage("Hi"), AIMessage("Hello!"), HumanMessage(f"And {i}?")]
                 for i in range(6)]
        self.assertTrue(all(a.content for a in self.chat.batch(chats)))

    def test_completions(self):
        text = self.completion.invoke("The house of the king was")
        self.assertEqual("".join(self.completion.stream("The house of the king was")), text)


@needs("litellm")
class LiteLlm(unittest.TestCase):
    def ask(self, provider, **options):
        import litellm
        litellm.suppress_debug_info = True
        return litellm.completion(model=f"{provider}/{MODEL}", messages=SAY, api_base=client_suite.where, api_key="none",
                                  max_tokens=8, temperature=0, num_retries=0, timeout=60, **options)

    def test_as_an_openai_and_as_a_vllm_server(self):
        said = set()
        for provider in ("openai", "hosted_vllm"):
            answer = self.ask(provider)
            self.assertEqual(answer.usage.completion_tokens, 8)
            said.add(answer.choices[0].message.content)
            chunks = list(self.ask(provider, stream=True))
            said.add("".join(c.choices[0].delta.content or "" for c in chunks))
        self.assertEqual(len(said), 1, said)

    def test_text_completion(self):
        import litellm
        answer = litellm.text_completion(model=f"text-completion-openai/{MODEL}", prompt="The house of the king was",
                                         api_base=client_suite.where, api_key="none", max_tokens=4, temperature=0)
        self.assertTrue(answer.choices[0].text)

    def test_errors_have_their_kind(self):
        import litellm
        with self.assertRaises(litellm.BadRequestError):
            self.ask("openai", top_p=7)
        with self.assertRaises(litellm.NotFoundError):
            litellm.completion(model="openai/nothing", messages=SAY, api_base=client_suite.where, api_key="none")


@needs("lm_eval")
class LmEval(unittest.TestCase):
    """A task made here: which of two endings is likelier, and what comes after a text. The tokenizer is the server's."""

    def evaluate(self, kind, metric, **task):
        import lm_eval
        from lm_eval.tasks import TaskManager
        with tempfile.TemporaryDirectory() as scratch:
            data = Path(scratch) / "data.jsonl"
            data.write_text("".join(json.dumps(d) + "\n" for d in [
                {"text": "The king sat on", "good": "the throne", "bad": "zqx vrrk", "next": "the"},
                {"text": "In the morning they", "good": "went out", "bad": "##== qqq", "next": "went"},
                {"text": "And the people said", "good": "to him", "bad": "xx%% jjj", "next": "to"}]))
            config = {"task": f"made_here_{kind}", "dataset_path": "json", "test_split": "test", "num_fewshot": 0,
                      "dataset_kwargs": {"data_files": {"test": str(data)}}, "doc_to_text": "{{text}}",
                      "output_type": kind, "metric_list": [{"metric": metric}], **task}
            (Path(scratch) / "task.yaml").write_text(json.dumps(config))  # JSON is YAML, too
            return lm_eval.simple_evaluate(
                model="local-completions", tasks=[config["task"]], bootstrap_iters=0,
                model_args=dict(model=MODEL, base_url=client_suite.where + "/completions", num_concurrent=2, max_retries=1,
                                max_length=512, batch_size=1),
                task_manager=TaskManager(include_path=scratch, include_defaults=False))

    def test_likelihoods_tell_sense_from_nonsense(self):
        got = self.evaluate("multiple_choice", "acc", doc_to_choice=["{{good}}", "{{bad}}"], doc_to_target=0)
        self.assertEqual(got["results"]["made_here_multiple_choice"]["acc,none"], 1.0)

    def test_generates_until(self):
        got = self.evaluate("generate_until", "exact_match", doc_to_target="{{next}}",
                            generation_kwargs={"until": ["\n", "."], "max_gen_toks": 8})
        self.assertIn("exact_match,none", got["results"]["made_here_generate_until"])
        answers = [s["resps"][0][0] for s in got["samples"]["made_here_generate_until"]]
        self.assertTrue(all(answers), answers)
        self.assertFalse(any("." in a for a in answers), answers)


if __name__ == "__main__":
    sys.exit(client_suite.run(OpenAi, LangChain, LiteLlm, LmEval, decodes=2))
