#!/usr/bin/env python3
"""The operator's page in a headless Chromium, over a cluster of one prefill and three decode processes.

Exits 77, which ctest counts as skipped, only where there is no Chromium. --shots DIR makes docs/images instead of testing.
"""
import argparse
import json
import sys
import unittest
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from browser import Browser, find_chromium
from cluster import Cluster

# A node's name is whatever its operator says: this one would run code if any of the page took it for markup.
HOSTILE = "<img src=x onerror=document.title='owned'>"
KEY = "page-test-key"
DESKTOP, PHONE = (1280, 900), (360, 740)
ROWS = "document.querySelectorAll('{} tr:not(.below)').length"
cluster = browser = page = None


def post(path, body, **headers):
    q = urllib.request.Request(cluster.http + path, json.dumps(body).encode(),
                               {"content-type": "application/json", **headers}, method="POST")
    with urllib.request.urlopen(q, timeout=60) as r:
        return json.loads(r.read())


def load(requests=24, **headers):
    def one(i):
        text = f"Chat number {i}: " + "and the people of the house said that " * (4 + 7 * (i % 9))
        post("/v1/chat/completions", {"messages": [{"role": "user", "content": text}], "max_tokens": 8 + i % 24},
             **headers)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(one, range(requests)))


class UiTest(unittest.TestCase):
    def setUp(self):
        page.shape(*DESKTOP)
        page.faults.clear()
        page.requests.clear()
        page.go(cluster.http + "/ui")
        page.until("document.querySelector('#connection')?.textContent === 'live'")

    def tearDown(self):
        self.assertEqual(page.faults, [])
        elsewhere = [u for u in page.requests if not u.startswith((cluster.http + "/", "data:"))]
        self.assertEqual(elsewhere, [])

    def test_shows_what_the_cluster_does(self):
        self.assertEqual(page.run(ROWS.format("#node-rows")), 4)
        self.assertEqual(page.run(ROWS.format("#link-rows")), 3)
        self.assertGreaterEqual(page.run(ROWS.format("#decision-rows")), 24)
        self.assertGreater(page.run(ROWS.format("#profile-rows")), 5)
        self.assertEqual(page.text("#t-ready"), "ready")
        self.assertRegex(page.text("#t-nodes"), "1 prefill, 3 decode")
        self.assertRegex(page.text("#t-saved"), "[1-9].* [KM]iB")
        self.assertRegex(page.text("#t-finished"), r"of \d+ since the start")
        links = page.text("#link-rows")
        self.assertRegex(links, r"p0 → d\d")
        self.assertRegex(links, r"[1-9][\d.]* [MG]B/s")
        self.assertRegex(links, "best of|only candidate|tried to learn")
        self.assertRegex(page.text("#classes"), r"(?s)default.*met both.*TTFT.*median.*objective")
        self.assertRegex(page.text("#quality"), "lossless")
        self.assertEqual(page.run("document.querySelectorAll('#map svg path.line').length"), 3)

    def test_unfolds_a_decision_by_keyboard(self):
        page.run("document.querySelector('#decision-rows button').focus()")
        page.press("Enter")
        page.until("document.querySelector('#decision-rows .below:not([hidden]) .stages')")
        self.assertRegex(page.text("#decision-rows .detail"), r"(?s)why.*predicted")
        label = page.run("document.querySelector('.stages').getAttribute('aria-label')")
        self.assertRegex(label, r"prefill: predicted [\d.]+ .s, took [\d.]+ .s")
        load(1)  # a new row comes on top, and the unfolded one stays
        page.until("document.querySelector('#decision-rows tr').nextElementSibling.hidden")
        self.assertEqual(page.run("document.querySelectorAll('#decision-rows .below:not([hidden])').length"), 1)
        self.assertTrue(page.run("document.activeElement.matches('#decision-rows button[aria-expanded=true]')"))
        page.run("document.activeElement.blur()")

    def test_names_are_text_and_never_markup(self):
        page.until("document.querySelector('#node-rows').textContent.includes('onerror')")
        self.assertIn(HOSTILE, page.run("document.querySelector('#node-rows').textContent"))
        self.assertIn(HOSTILE, page.run("document.querySelector('#link-rows').textContent"))
        self.assertEqual(page.run("document.querySelectorAll('main img').length"), 0)
        page.type("#prompt", HOSTILE)
        page.run("document.querySelector('#send').click()")
        page.until("document.querySelector('#chat-state').textContent.includes('ended by')")
        self.assertIn(HOSTILE, page.run("document.querySelector('#chat').textContent"))
        self.assertEqual(page.run("document.querySelectorAll('main img').length"), 0)
        self.assertEqual(page.run("document.title"), "Sluice")

    def test_streams_a_chat_and_explains_it(self):
        page.type("#prompt", "Tell me of the king and of his house.")
        page.press("Enter")
        page.until("document.querySelector('#chat-state').textContent.includes('ended by')")
        self.assertGreater(len(page.text("#chat .assistant p")), 10)
        self.assertRegex(page.text("#chat-state"), r"\d+ tokens; ended by (stop|length)")
        self.assertRegex(page.text("#explain"), r"(?s)p0 → .*KV profile.*TTFT")
        self.assertTrue(page.run("document.querySelector('#explain .stages') !== null"))

    def test_stops_an_answer(self):
        page.type("#prompt", "Once upon a time")
        page.run("document.querySelector('#send').click(), document.querySelector('#stop').click()")
        page.until("document.querySelector('#chat-state').textContent === 'stopped'")
        # One that has begun: what is here stays. The small model may be done before anybody can stop it, so this
        # answer never ends by itself.
        page.run("""{ const real = fetch;
          window.fetch = (u, o) => !String(u).includes('completions') ? real(u, o) : new Response(new ReadableStream({
            start(c) {
              o.signal.addEventListener('abort', () => c.error(o.signal.reason));
              c.enqueue(new TextEncoder().encode('data: {"choices":[{"delta":{"content":"Half"}}]}\\n\\n: keep-alive\\n\\n'));
            }})) }""")
        page.type("#prompt", "Once upon a time")
        page.press("Enter")
        page.until("document.querySelector('#chat-state').textContent === 'answering'")
        page.run("document.querySelector('#stop').click()")
        page.until("document.querySelector('#chat-state').textContent === 'stopped'")
        self.assertEqual(page.run("[...document.querySelectorAll('.assistant p')].map(p => p.textContent)"), ["", "Half"])
        self.assertFalse(page.run("document.querySelector('#send').disabled"))
        page.run("document.querySelector('#clear').click()")
        self.assertEqual(page.text("#chat"), "")

    def test_shows_an_error_with_its_code(self):
        page.type("#prompt", "word " * 6000)
        page.run("document.querySelector('#send').click()")
        page.until("document.querySelector('#chat-state').textContent === 'failed'")
        self.assertRegex(page.text("#chat .bad"), "400 context_length_exceeded: ")
        self.assertEqual(len(page.faults), 1, page.faults)  # the browser's own note of the 400
        page.faults.clear()

    def test_says_when_the_coordinator_is_away(self):
        page.offline(True)
        page.until("/^disconnected since \\d\\d:\\d\\d:\\d\\d: /.test(document.querySelector('#connection').textContent)")
        page.offline(False)
        page.until("document.querySelector('#connection').textContent === 'live'")
        page.faults.clear()  # the browser's notes of failed requests

    def test_fits_a_phone_in_light_and_dark(self):
        for dark in (False, True):
            page.shape(*PHONE, dark=dark)
            page.run("window.dispatchEvent(new Event('resize'))")
            page.until("document.querySelector('#map svg')?.getBoundingClientRect().width <= 360")
            page.run("document.querySelector('#decision-rows button').click()")
            self.assertLessEqual(page.run("document.documentElement.scrollWidth"), 360)
            ground = page.run("getComputedStyle(document.body).backgroundColor")
            self.assertEqual(sum(map(int, ground[4:-1].split(","))) < 200, dark, ground)
            page.run("document.querySelector('#decision-rows button').click()")

    def test_every_control_has_a_name(self):
        named = {"button", "link", "textbox", "combobox", "spinbutton", "image", "region", "table", "columnheader"}
        nodes = page.call("Accessibility.getFullAXTree")["nodes"]
        roles = [(n["role"]["value"], n.get("name", {}).get("value", "")) for n in nodes if not n["ignored"] and "role" in n]
        self.assertEqual([r for r in roles if r[0] in named - {"table"} and not r[1]], [])
        self.assertGreater(sum(r[0] == "button" for r in roles), 20)
        page.press("Tab")
        self.assertEqual(page.run("document.activeElement.textContent"), "Skip to the content")

    def test_events_are_read_whole_wherever_chunks_end(self):
        cuts = page.run("""import('/ui/sse.js').then(({EventParser}) => {
          const text = ': keep-alive\\n\\ndata: {"a": "é€😀"}\\r\\n\\r\\nevent: x\\ndata:1\\ndata: 2\\n\\n: c\\rdata: [DONE]\\r\\r\\n';
          const bytes = new TextEncoder().encode(text);
          const read = (...parts) => { const got = []; const p = new EventParser(d => got.push(d));
                                       parts.forEach(b => p.feed(b)); return JSON.stringify(got); };
          const all = new Set();
          for (let i = 0; i <= bytes.length; ++i) all.add(read(bytes.slice(0, i), bytes.slice(i)));
          all.add(read(...[...bytes].map(b => Uint8Array.of(b))));
          return [...all]; })""")
        self.assertEqual(cuts, [json.dumps(['{"a": "é€😀"}', "1\n2", "[DONE]"], ensure_ascii=False, separators=(",", ":"))])

    def test_figures_are_what_the_entries_say(self):
        got = page.run("""import('/ui/model.js').then((m) => {
          const r = (seq, more) => ({seq, slo_class: 'default', mode: 'split', prefill_node: 'p', decode_node: 'd',
                                     profile: 'q8', ttft_ms: 10 * seq, kv_raw_bytes: 100, kv_wire_bytes: 40, ...more});
          const h = new m.History();
          h.add([r(1), {seq: 2, event: 'slo_changed'}, r(3, {profile: 'raw'}), r(4)]);
          h.add([r(4), r(5, {decode_node: 'gone'})]);
          const nodes = [{node: 'p', role: 'prefill', links: [{address: 'x:1', bandwidth_bps: 7}]},
                         {node: 'd', role: 'decode', data_address: 'x:1'}, {node: 'e', role: 'decode', data_address: 'x:2'}];
          const [link, idle] = m.linksOf(nodes, h.requests);
          return {entries: h.entries.length, requests: h.requests.length, last: h.last, uses: link.uses, ways: link.ways,
                  saved: link.saved, speed: link.measured.bandwidth_bps, idle: [idle.uses, idle.measured === undefined],
                  p50: m.quantile([5, 1, 3], 0.5), p95: m.quantile([1, 2], 0.95), none: m.quantile([], 0.5) === undefined,
                  sent: m.sentOf({profiles: {a: {transfers: 1, kv_raw_bytes: 9, kv_wire_bytes: 3}}}),
                  met: m.classesOf({classes: {default: {ttft_ms: 1}}}, {classes: {old: {finished: 4, met: 2}}}, h.requests)
                        .map((c) => [c.name, c.ttft.length, c.finished, c.met])}; })""")
        self.assertEqual(got, {"entries": 5, "requests": 4, "last": 5, "uses": 3, "ways": [["q8", 2], ["raw", 1]], "saved": 180,
                               "speed": 7, "idle": [0, True], "p50": 3, "p95": 2, "none": True,
                               "sent": {"transfers": 1, "raw": 9, "wire": 3},
                               "met": [["default", 4, 0, 0], ["old", 0, 4, 2]]})


def check_key(program_dir):
    """With an API key the page loads, asks for a key, and shows nothing before it has the right one."""
    with Cluster(program_dir, env={"SLUICE_API_KEY": KEY}) as c:
        tab = browser.open()
        tab.shape(*DESKTOP)
        tab.go(c.http + "/ui/")
        tab.until("document.querySelector('#key-form')?.hidden === false")
        assert tab.run("document.querySelectorAll('#node-rows tr').length") == 0
        assert tab.run("document.activeElement.id") == "key"
        for key, then in (("wrong", "document.querySelector('#key-error').textContent !== ''"),
                          (KEY, "document.querySelectorAll('#node-rows tr').length === 2")):
            tab.type("#key", key)
            tab.press("Enter")
            tab.until(then)
        assert tab.text("#connection") == "live"
        assert tab.run("document.querySelector('#key-form').hidden")
        assert tab.run("[localStorage.length, document.cookie, location.search]") == [0, "", ""]
        tab.type("#prompt", "Hello")
        tab.press("Enter")
        tab.until("document.querySelector('#chat-state').textContent.includes('ended by')")
        assert all("401" in f for f in tab.faults), tab.faults


def take_pictures(program_dir, folder):
    global cluster, page
    folder.mkdir(parents=True, exist_ok=True)
    with Cluster(program_dir, prefills=2, decodes=2) as cluster:
        put = urllib.request.Request(cluster.http + "/sluice/v1/slo", b'{"class": "chat", "ttft_ms": 90, "tpot_ms": 5}',
                                     {"content-type": "application/json"}, method="PUT")
        urllib.request.urlopen(put).close()
        for i in range(6):
            load(16, **({"x-slo-class": "chat"} if i % 2 else {}))
        page = browser.open()
        for name, shape, dark in (("desktop", (1180, 900), False), ("phone", PHONE, True)):
            page.shape(*shape, dark=dark)
            page.go(cluster.http + "/ui")
            page.until("document.querySelector('#map svg')")
            end = page.run("document.querySelector('#links').getBoundingClientRect().bottom + 8")
            page.shot(folder / f"ui-{name}.png", end)
        page.run("document.querySelector('#decision-rows button').click()")
        page.shot(folder / "ui-all-phone.png")
        page.shape(1180, 900)
        page.type("#prompt", "Tell me of the king and of his house.")
        page.press("Enter")
        page.until("document.querySelector('#chat-state').textContent.includes('ended by')")
        page.shot(folder / "ui-all.png")
    return 0


def main():
    global browser, cluster, page
    args = argparse.ArgumentParser()
    args.add_argument("--bin", type=Path, required=True)
    args.add_argument("--shots", type=Path)
    args = args.parse_args()
    program = find_chromium()
    if program is None:
        print("[SKIPPED] there is no chromium; tools/install_deps.sh installs it")
        return 77
    with Browser(program) as browser:
        if args.shots:
            return take_pictures(args.bin, args.shots)
        with Cluster(args.bin, prefills=1, decodes=2) as cluster:
            load()
            cluster.add_decode(HOSTILE)
            page = browser.open()
            suite = unittest.defaultTestLoader.loadTestsFromTestCase(UiTest)
            if not unittest.TextTestRunner(verbosity=2).run(suite).wasSuccessful():
                raise SystemExit(1)
        check_key(args.bin)
    print("the page asks for a key, and works with the right one")
    return 0


if __name__ == "__main__":
    sys.exit(main())
