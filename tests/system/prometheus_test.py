#!/usr/bin/env python3
"""A real Prometheus with the configuration that we ship, beside a real cluster under load.

The cluster is `sluicectl up`; Prometheus reads its target list through a link, as docs/operations.md says. Then every query of
every dashboard, every recording rule and every selector of every alert must be valid and find data. What cannot in so short a
time stands in QUIET with its reason, and its metric must be among those that the daemons tell. Exit 77, which ctest counts as
skipped, where Prometheus is not installed.
"""
import argparse
import ctypes
import http.client
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import metrics_doc  # noqa: E402

MODEL = ROOT / "models" / "sluice-tiny"
PROFILES = ("raw", "ll", "q8", "h4", None)
LIMIT_S = 45
VARIABLES = {"$__rate_interval": "1m", "$model": ".*", "$node": ".*", "$class": ".*", "$tenant": ".*"}

# Metrics that may have no series here, and why.
QUIET = {
    "sluice_tls_certificate_expiry_seconds": "no daemon has certificates",
    'sluice_tls_certificate_expiry_seconds{kind="own"}': "no daemon has certificates",
    "sluice_tls_certificate_start_seconds": "no daemon has certificates",
    "sluice_registry_up": "the only coordinator has no registry",
    "sluice_kv_profile_changes_total": "no link gives way on one machine",
    "sluice_early_rejections_total": "nobody is refused for what nodes are expected to hold",
    'sluice_http_requests_total{route=~"/v1/.+",status="429"}': "the load is small, nobody is turned away",
    'sluice_requests_total{outcome=~"unavailable|internal|data_corrupt|stale|deadline_exceeded"}': "nothing fails",
    'sluice_prefill_requests_total{outcome!~"ok|cancelled"}': "no transfer fails",
    'sluice_kv_frames_total{outcome!~"committed|data_corrupt|cancelled|stale|not_found"}': "no frame is refused",
    'sluice_decisions_total{model=~".*",reason="explore"}': "exploring is drawn by chance",
}
# Told by Prometheus itself.
ITS_OWN = {"up", "ALERTS"}
WORDS = {"and", "or", "unless", "bool", "on", "by", "without", "ignoring", "group_left", "group_right"}


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def get(url, limit=10):
    with urllib.request.urlopen(url, timeout=limit) as r:
        return r.read().decode()


class Cluster:
    """`sluicectl up` in the foreground: it takes everything down when it is told to end, or when this test dies."""

    def __init__(self, bin_dir, run_dir):
        self.run_dir = run_dir
        self._up = subprocess.Popen(
            [bin_dir / "sluicectl", "--json", "--run-dir", run_dir, "up", "--model", MODEL, "--prefill", "2", "--decode", "2",
             "--port", "0", "--threads", "1", "--kv-memory-mib", "64", "--quality-probe-share", "1", "--local-prefill", "off"],
            stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent)
        text = ""
        for line in self._up.stdout:  # the state, once it is ready
            text += line
            if line == "}\n":
                break
        if not text:
            raise SystemExit("sluicectl up did not start a cluster")
        self.http = json.loads(text)["url"]

    def targets(self):
        return json.loads((self.run_dir / "targets.json").read_text())

    def put_slo(self, name, slo):
        q = urllib.request.Request(self.http + "/sluice/v1/slo", json.dumps({"class": name, **slo}).encode(), method="PUT",
                                   headers={"content-type": "application/json"})
        urllib.request.urlopen(q, timeout=10).read()

    def end(self):
        self._up.send_signal(signal.SIGTERM)
        self._up.wait(60)


class Load:
    """A few clients that ask under each profile in turn, now and then something that is refused, until told to stop."""

    def __init__(self, url):
        self._address = url.removeprefix("http://")
        self._stop = threading.Event()
        self.answered = 0
        self.wrong = []
        self._threads = [threading.Thread(target=self._client, args=(i,)) for i in range(2)]
        for t in self._threads:
            t.start()

    def _client(self, who):
        c = http.client.HTTPConnection(self._address, timeout=60)
        i = who
        while not self._stop.is_set():
            i += 1
            profile = PROFILES[i % len(PROFILES)] if i % 12 else "no such profile"
            body = {"prompt": f"Chapter {i}. The people of the house said to the king " + "that it was so, " * 12,
                    "max_tokens": 12, "ignore_eos": True}
            if profile:
                body["sluice"] = {"profile": profile}
            c.request("POST", "/v1/completions", json.dumps(body),
                      {"content-type": "application/json", "x-slo-class": "gold" if i % 2 else "default"})
            answer = c.getresponse()
            text = answer.read()
            if (answer.status == 200) != (i % 12 != 0):
                self.wrong.append((answer.status, text[:300]))
            self.answered += answer.status == 200
            self._stop.wait(0.1)

    def stop(self):
        self._stop.set()
        for t in self._threads:
            t.join()


class Prometheus:
    def __init__(self, folder, data):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            address = "127.0.0.1:%d" % s.getsockname()[1]
        self.url = "http://" + address
        self._log = data.parent / "prometheus.log"
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(
                ["prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={data}",
                 f"--web.listen-address={address}"], stdout=log, stderr=log, preexec_fn=die_with_parent)

    def api(self, path, **params):
        """data of the answer; ValueError in Prometheus' words when it refuses the query."""
        try:
            return json.loads(get(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(params)}"))["data"]
        except urllib.error.HTTPError as e:
            raise ValueError(e.read().decode()) from e

    def ready(self):
        try:
            get(self.url + "/-/ready")  # it listens before it answers: 503 until its storage is open
            return bool(self.api("targets")["activeTargets"])
        except (urllib.error.URLError, ConnectionError):  # HTTPError, of the 503, is one
            if self._process.poll() is not None:
                raise SystemExit("prometheus ended:\n" + self.log())
            return False

    def found(self, query):
        """Whether it finds a sample that is a number."""
        data = self.api("query", query=query)
        samples = data["result"] if data["resultType"] == "vector" else [{"value": data["result"]}]
        return any(s["value"][1] != "NaN" for s in samples)

    def log(self):
        return self._log.read_text(errors="replace")[-3000:]

    def end(self):
        self._process.terminate()
        self._process.wait(20)


def until(done, limit_s, what):
    end = time.monotonic() + limit_s
    while not done():
        if time.monotonic() > end:
            raise SystemExit(f"not within {limit_s} s: {what}")
        time.sleep(0.2)


def selectors(expr):
    """The instant selectors of an expression: names of metrics, with their matchers."""
    rest = re.sub(r"\[[^]]*\]", "", expr)
    rest = re.sub(r'\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)', " ", rest)
    rest = re.sub(r',\s*"[^"]*"', "", rest)
    for name, matchers, call in re.findall(r"([a-zA-Z_:][\w:]*)(\{[^}]*\})?(\s*\()?", rest):
        if not call and name not in WORDS:
            yield name + matchers.replace('", ', '",')  # as Prometheus shows rules


def family(selector, known):
    name = selector.split("{")[0]
    for tail in ("_bucket", "_sum", "_count"):
        if name not in known and name.removesuffix(tail) in known:
            return name.removesuffix(tail)
    return name


def quiet(query):
    return any(s in QUIET or s.split("{")[0] in QUIET for s in selectors(query))


def panel_queries():
    """(where, query) of every panel, and of every variable: what label_values() asks for."""
    for file in sorted((ROOT / "deploy" / "grafana" / "dashboards").glob("*.json")):
        board = json.loads(file.read_text())
        for v in board["templating"]["list"]:
            if v["type"] == "query":
                query, label = re.fullmatch(r"label_values\((.*), (\w+)\)", v["definition"]).groups()
                matchers = query.removesuffix("}") + ", " if "{" in query else query + "{"
                yield f"{file.name}: variable {v['name']}", f'{matchers}{label}!=""}}'
        for panel in board["panels"]:
            for t in panel.get("targets", ()):
                yield f"{file.name}: {panel['title']}", t["expr"]
        for a in board["annotations"]["list"]:
            yield f"{file.name}: {a['name']}", f"({a['expr']}) or vector(0)"


def substituted(query):
    for variable, value in VARIABLES.items():
        query = query.replace(variable, value)
    if "$" in query:
        raise SystemExit(f"no value for a variable of: {query}")
    return query


def promtool(*args, text=None):
    r = subprocess.run(["promtool", *args], input=text, text=True, capture_output=True)
    if r.returncode != 0:
        raise SystemExit(f"promtool {' '.join(map(str, args))}:\n{r.stdout}{r.stderr}")


def check_exposition(targets):
    """Prometheus' lint and ours on each daemon's page; returns all families."""
    known = {}
    for t in targets:
        text = get(f"http://{t['targets'][0]}/metrics")
        # vLLM's names have a colon, which its dashboards want and promtool does not.
        ours = "".join(line + "\n" for line in text.splitlines() if not re.match(r"(# \w+ )?vllm:", line))
        promtool("check", "metrics", text=ours)
        faults = metrics_doc.label_faults(text)
        if faults:
            raise SystemExit("\n".join(faults))
        known |= metrics_doc.families(text)
    return known


def find_all(prometheus, wanted, known):
    """Asks until everything found data, but for what is quiet."""
    for where, query in wanted:
        for s in selectors(query):
            if family(s, known) not in known:
                raise SystemExit(f"{where}: nobody tells {s}")
    missing = dict((query, where) for where, query in wanted)
    end = time.monotonic() + LIMIT_S
    while True:
        for query in list(missing):
            if prometheus.found(query):
                del missing[query]
        if all(quiet(q) for q in missing):
            break
        if time.monotonic() > end:
            raise SystemExit("no data within %d s:\n%s" % (
                LIMIT_S, "\n".join(f"  {where}: {q}" for q, where in missing.items() if not quiet(q))))
        time.sleep(1)
    print(f"{len(wanted)} queries are valid, {len(missing)} of them without data here, as listed")


def run(bin_dir, work):
    deployed = work / "prometheus"
    shutil.copytree(ROOT / "deploy" / "prometheus", deployed, ignore=shutil.ignore_patterns("*.json"))
    promtool("check", "config", deployed / "prometheus.yml")
    promtool("check", "rules", *sorted((deployed / "rules").glob("*.yml")))

    cluster = Cluster(bin_dir, work / "run")
    prometheus = load = None
    try:
        targets = cluster.targets()
        roles = sorted(t["labels"]["role"] for t in targets)
        assert roles == ["coordinator", "decode", "decode", "prefill", "prefill"], targets
        assert {t["labels"]["model"] for t in targets} == {"sluice-tiny"}, targets
        (deployed / "targets" / "local.json").symlink_to(cluster.run_dir / "targets.json")
        cluster.put_slo("gold", {"ttft_ms": 2000, "tpot_ms": 500, "attainment": 0.9})
        prometheus = Prometheus(deployed, work / "data")
        load = Load(cluster.http)
        until(prometheus.ready, 20, "Prometheus knows its targets")

        rules = [r for g in prometheus.api("rules")["groups"] for r in g["rules"]]
        recorded = {r["name"] for r in rules if r["type"] == "recording"}
        alerts = [r["query"] for r in rules if r["type"] == "alerting"]
        assert len(recorded) > 20 and len(alerts) > 20, (len(recorded), len(alerts))
        wanted = [(w, substituted(q)) for w, q in panel_queries()]
        wanted += [(f"rule {name}", name) for name in sorted(recorded)]
        wanted += [(f"rule {r['name']}", s) for r in rules for s in selectors(r["query"])]
        known = {*check_exposition(targets), *recorded, *ITS_OWN}
        find_all(prometheus, wanted, known)

        for query, value in (('sluice_nodes{role="decode"}', "2"), ('count(up == 1)', "5")):
            got = [s["value"][1] for s in prometheus.api("query", query=query)["result"]]
            assert got == [value], (query, got)
        for query in alerts:
            prometheus.api("query", query=query)
        bad = [(r["name"], r.get("lastError")) for g in prometheus.api("rules")["groups"] for r in g["rules"]
               if r["health"] == "err"]
        assert not bad, bad
        load.stop()
        assert load.answered > 20 and not load.wrong, (load.answered, load.wrong[:3])
        check_exposition(targets)  # with all series that the load made
    except BaseException:
        if prometheus:
            print(prometheus.log(), file=sys.stderr)
        raise
    finally:
        if load:
            load.stop()
        if prometheus:
            prometheus.end()
        cluster.end()
    assert not (cluster.run_dir / "targets.json").exists(), "`down` leaves no target list"


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--bin", type=Path, required=True)
    args = args.parse_args()
    for program in ("prometheus", "promtool"):
        if not shutil.which(program):
            print(f"[SKIPPED] {program} is missing; `tools/install_deps.sh test` installs it")
            return 77
    work = Path(tempfile.mkdtemp(prefix="sluice-prometheus-"))
    try:
        run(args.bin, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
