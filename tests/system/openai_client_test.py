#!/usr/bin/env python3
"""The official openai client against a cluster of two prefill and two decode processes.

ctest runs this with any python3; it goes on under the one of --venv (made by tools/test_venv.sh), or says that it is
missing and exits 77, which ctest counts as skipped.
"""
import sys
import unittest
from concurrent.futures import ThreadPoolExecutor

import venv_suite

MODEL = "sluice-tiny"
CHATS = 50
cluster = None
client = None


def chat(text, **options):
    return client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": text}], **options)


class OpenaiClient(unittest.TestCase):
    def test_lists_the_model(self):
        self.assertEqual([m.id for m in client.models.list()], [MODEL])
        self.assertEqual(client.models.retrieve(MODEL).id, MODEL)

    def test_streamed_chat_equals_whole_chat(self):
        options = dict(max_tokens=24, temperature=0, extra_body={"ignore_eos": True, "sluice": {"profile": "raw"}})
        whole = chat("Tell me of the king.", **options)
        chunks = list(chat("Tell me of the king.", stream=True, stream_options={"include_usage": True}, **options))
        text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
        self.assertEqual(text, whole.choices[0].message.content)
        self.assertEqual(chunks[0].choices[0].delta.role, "assistant")
        self.assertEqual(whole.choices[0].finish_reason, "length")
        self.assertEqual([c.choices[0].finish_reason for c in chunks if c.choices][-1], "length")
        usage = chunks[-1].usage
        self.assertEqual(chunks[-1].choices, [])
        self.assertTrue(all(c.usage is None for c in chunks[:-1]))
        self.assertEqual(usage.prompt_tokens, whole.usage.prompt_tokens)
        self.assertEqual(usage.completion_tokens, 24)
        self.assertEqual(usage.total_tokens, usage.prompt_tokens + 24)
        self.assertLess(usage.prompt_tokens_details.cached_tokens, usage.prompt_tokens)

    def test_logprobs(self):
        answer = chat("Count.", max_tokens=5, temperature=0, logprobs=True, top_logprobs=4, extra_body={"ignore_eos": True})
        tokens = answer.choices[0].logprobs.content
        self.assertEqual(len(tokens), 5)
        for t in tokens:
            self.assertEqual(len(t.top_logprobs), 4)
            best = max(t.top_logprobs, key=lambda x: x.logprob)
            self.assertEqual((best.token, best.logprob), (t.token, t.logprob))  # greedy takes the likeliest
            self.assertLessEqual(t.logprob, 0)

    def test_several_choices(self):
        options = dict(n=2, seed=5, temperature=1.0, max_tokens=16,
                       extra_body={"ignore_eos": True, "sluice": {"profile": "raw"}})
        first, second = (chat("Once upon a time", **options) for _ in range(2))
        texts = [c.message.content for c in first.choices]
        self.assertEqual([c.index for c in first.choices], [0, 1])
        self.assertNotEqual(texts[0], texts[1])
        self.assertEqual(texts, [c.message.content for c in second.choices])  # the seed decides
        self.assertEqual(first.usage.completion_tokens, 32)

    def test_completion_with_stop(self):
        plain = client.completions.create(model=MODEL, prompt="The house of the king was", max_tokens=20, temperature=0)
        stop = plain.choices[0].text.split()[2]
        cut = client.completions.create(model=MODEL, prompt="The house of the king was", max_tokens=20, temperature=0,
                                        stop=[stop])
        self.assertEqual(cut.choices[0].text, plain.choices[0].text[:plain.choices[0].text.index(stop)])
        self.assertEqual(cut.choices[0].finish_reason, "stop")

    def test_errors(self):
        with self.assertRaises(openai.NotFoundError) as e:
            client.chat.completions.create(model="gpt-nothing", messages=[{"role": "user", "content": "hi"}])
        self.assertEqual((e.exception.code, e.exception.param), ("model_not_found", "model"))
        for param, options in {"temperature": {"temperature": -1}, "max_tokens": {"max_tokens": 0},
                               "n": {"n": 0}, "top_p": {"top_p": 1.5}}.items():
            with self.subTest(param), self.assertRaises(openai.BadRequestError) as e:
                chat("hi", **options)
            self.assertEqual(e.exception.param, param)
            self.assertEqual(e.exception.type, "invalid_request_error")
        with self.assertRaises(openai.BadRequestError) as e:
            client.chat.completions.create(model=MODEL, messages=[])
        self.assertEqual(e.exception.param, "messages")
        with self.assertRaises(openai.BadRequestError) as e:
            chat("word " * 5000)
        self.assertEqual(e.exception.code, "context_length_exceeded")

    def test_fifty_streamed_chats_at_once(self):
        def one(i):
            parts = list(chat(f"Chat number {i}: " + "and the people said " * (i % 20), stream=True, max_tokens=20,
                              temperature=0.7, seed=i, stream_options={"include_usage": True},
                              extra_body={"ignore_eos": True, "sluice": {"explain": True}}))
            return "".join(p.choices[0].delta.content or "" for p in parts if p.choices), parts[-1]

        with ThreadPoolExecutor(CHATS) as pool:
            answers = list(pool.map(one, range(CHATS)))
        self.assertTrue(all(text for text, _ in answers))
        self.assertEqual({last.usage.completion_tokens for _, last in answers}, {20})
        self.assertTrue(all(last.model_extra["sluice"]["kv_raw_bytes"] > 0 for _, last in answers))

        # Metrics are read after the last request ended, so they hold all of it.
        for node in ("d0", "d1"):
            self.assertGreater(cluster.metric("sluice_decisions_total", f'decode_node="{node}"'), 0)
        lossy = {last.model_extra["sluice"]["profile"] for _, last in answers} - {"raw"}
        self.assertTrue(lossy, "no chat was given compressed KV")
        for profile in lossy:
            wire = cluster.metric("sluice_kv_wire_bytes_total", f'profile="{profile}"')
            raw = cluster.metric("sluice_kv_raw_bytes_total", f'profile="{profile}"')
            self.assertGreater(wire, 0)
            self.assertLess(wire, raw)


def main():
    global client, cluster, openai
    args = venv_suite.enter()

    import openai
    from cluster import Cluster
    with Cluster(args.bin, prefills=2, decodes=2) as cluster:
        client = openai.OpenAI(base_url=cluster.http + "/v1", api_key="none", max_retries=0, timeout=120)
        venv_suite.run(OpenaiClient)
    return 0


if __name__ == "__main__":
    sys.exit(main())
