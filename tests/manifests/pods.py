"""Pods of rendered manifests as processes of this machine: the container's command, arguments and environment, its ConfigMap
and Secret as files and variables, its user, a working directory and a file system that it may not write but for its volumes.

What a pod has and a process has not is stood in for: a loopback address for its own, so "0.0.0.0" is that address; addresses
for the Services' names; directories for its mounts, since a process sees the machine's /etc; no memory or CPU limits."""
import ctypes
import math
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from rendering import ROOT
from sense import World, component, pod_template, ports_of

USER = 65532  # securityContext.runAsUser
_libc = ctypes.CDLL(None)


def _die_with_parent():
    _libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Pod:
    def __init__(self, name, address, workload, process, log):
        self.name, self.address, self.workload, self.process, self.log = name, address, workload, process, log
        self.role = component(workload)
        self.container = pod_template(workload)["spec"]["containers"][0]
        self.grace = pod_template(workload)["spec"]["terminationGracePeriodSeconds"]

    def url(self, port):
        return f"http://{self.address}:{ports_of(self.workload).get(port, port)}"

    def get(self, port, path, headers=None, timeout=5):
        """(status, body); None when nobody answers."""
        try:
            with urllib.request.urlopen(urllib.request.Request(self.url(port) + path, headers=headers or {}),
                                        timeout=timeout) as r:
                return r.status, r.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode()
        except OSError:
            return None

    def probe(self, kind):
        asked = self.container[kind]["httpGet"]
        return self.get(asked["port"], asked["path"])

    def listening(self):
        """TCP ports that the process listens at."""
        mine = set()
        for fd in Path(f"/proc/{self.process.pid}/fd").iterdir():
            try:
                mine |= set(re.findall(r"socket:\[(\d+)\]", os.readlink(fd)))
            except OSError:
                pass
        found = set()
        for table in ("tcp", "tcp6"):
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                f = line.split()
                if f[3] == "0A" and f[9] in mine:
                    found.add(int(f[1].rsplit(":", 1)[1], 16))
        return found


class Pods:
    """`with Pods(objects, bin_dir, secrets) as p:` starts every pod of every workload, coordinators first."""

    def __init__(self, objects, bin_dir, secrets):
        self._world, self._bin, self._secrets = World(objects), Path(bin_dir), secrets
        self.pods = []

    def __enter__(self):
        self._dir = Path(tempfile.mkdtemp(prefix="sluice-pods-"))
        self._dir.chmod(0o755)
        try:
            self._image()
            self._start()
        except BaseException:
            self._stop(show=True)
            raise
        return self

    def __exit__(self, kind, *_):
        self._stop(show=kind is not None)

    def role(self, role):
        return [p for p in self.pods if p.role == role]

    def _image(self):
        """The image's files, readable and not writable for the pods' user."""
        image = self._dir / "image"
        for program in ("sluice-coordinator", "sluice-prefill", "sluice-decode"):
            (image / "usr/bin").mkdir(parents=True, exist_ok=True)
            shutil.copy(self._bin / program, image / "usr/bin" / program)
        models = image / "usr/share/sluice/models"
        models.mkdir(parents=True)
        shutil.copytree(ROOT / "models/sluice-tiny", models / "sluice-tiny")
        for d, _, files in os.walk(image):
            os.chmod(d, 0o555)
            for f in files:
                os.chmod(Path(d) / f, 0o555)

    def _start(self):
        self._addresses = {}
        order = sorted(self._world.workloads, key=lambda o: component(o) != "coordinator")
        for w in order:
            for i in range(w["spec"]["replicas"]):
                self._addresses.setdefault(w["metadata"]["name"], []).append(f"127.77.0.{len(self.pods) + 1}")
                self.pods.append(self._pod(w, i))

    def _host_of(self, service):
        s = self._world.named("Service", service)
        chosen = self._world.chosen({"matchLabels": s["spec"]["selector"]})
        return self._addresses[chosen[0]["metadata"]["name"]][0]

    def _volume(self, root, volume, w):
        at = root / volume["name"]
        at.mkdir(parents=True)
        if "configMap" in volume:
            for name, text in self._world.named("ConfigMap", volume["configMap"]["name"])["data"].items():
                (at / name).write_text(text)
        elif "secret" in volume:
            for name, text in self._secrets[volume["secret"]["secretName"]].items():
                (at / name).write_text(text)
        elif "emptyDir" in volume and os.geteuid() == 0:
            os.chown(at, 0, USER)  # fsGroup
            at.chmod(0o2770)
        return at

    def _value(self, entry, name, address, container):
        if "value" in entry:
            return entry["value"]
        source = entry["valueFrom"]
        if "secretKeyRef" in source:
            return self._secrets[source["secretKeyRef"]["name"]][source["secretKeyRef"]["key"]]
        if "fieldRef" in source:
            return {"metadata.name": name, "status.podIP": address}[source["fieldRef"]["fieldPath"]]
        cpu = container["resources"]["limits"]["cpu"]
        return str(math.ceil(float(cpu[:-1]) / 1000 if cpu.endswith("m") else float(cpu)))

    def _pod(self, w, index):
        name = f"{w['metadata']['name']}-{index}"
        address = self._addresses[w["metadata"]["name"]][-1]
        spec = pod_template(w)["spec"]
        container = spec["containers"][0]
        root = self._dir / name
        volumes = {v["name"]: self._volume(root, v, w) for v in spec["volumes"]}
        mounts = {m["mountPath"]: str(volumes[m["name"]]) for m in container["volumeMounts"]}
        mounts["/usr/"] = str(self._dir / "image/usr") + "/"

        def here(text):
            for path, at in sorted(mounts.items(), key=lambda m: -len(m[0])):
                text = re.sub(rf"(?<![\w/.-]){re.escape(path)}", at, text)
            text = text.replace("0.0.0.0", address)
            for s in self._world.of("Service"):
                text = re.sub(rf"\b{s['metadata']['name']}:(\d+)", lambda m, s=s: f"{self._host_of(s['metadata']['name'])}:{m[1]}",
                              text)
            return text

        for v in spec["volumes"]:
            if "configMap" in v:
                for f in volumes[v["name"]].iterdir():
                    f.write_text(here(f.read_text()))
        env = {e["name"]: self._value(e, name, address, container) for e in container["env"]}
        said = [re.sub(r"\$\((\w+)\)", lambda m: env[m[1]], a) for a in container["args"]]
        work = root / "work"
        work.mkdir()
        work.chmod(0o555)
        log = root / "log"
        user = {"user": USER, "group": USER, "extra_groups": []} if os.geteuid() == 0 else {}
        with open(log, "wb") as out:
            process = subprocess.Popen([here(container["command"][0]), *map(here, said)], env=env, cwd=work, stdout=out, stderr=out,
                                       preexec_fn=_die_with_parent, **user)
        return Pod(name, address, w, process, log)

    def until(self, what, done, limit=30):
        end = time.monotonic() + limit
        while not (got := done()):
            for p in self.pods:
                if p.process.poll() not in (None, 0):
                    raise RuntimeError(f"{p.name} ended with status {p.process.returncode}")
            if time.monotonic() > end:
                raise RuntimeError(f"not within {limit} s: {what}")
            time.sleep(0.02)
        return got

    def _stop(self, show):
        for p in self.pods:
            p.process.kill()
            p.process.wait()
        if show:
            for p in self.pods:
                print(f"---- {p.name} (its end)\n{p.log.read_text(errors='replace')[-3000:]}")
        shutil.rmtree(self._dir, ignore_errors=True)
