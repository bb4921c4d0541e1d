#!/usr/bin/env python3
"""What is shipped beside the programs: systemd's judgement of the units, sample configurations whose every key is a flag, the
compose file, maintainer scripts. Tools that are not installed skip their test visibly."""
import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
sys.path.insert(0, str(ROOT / "tools" / "help_pages"))
import model  # noqa: E402

BIN = None
UNITS = None
MOST_EXPOSED = 3.0


def needs(tool):
    return unittest.skipUnless(shutil.which(tool), f"{tool} is missing; `tools/install_deps.sh test` installs it")


def run(*command, **more):
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=60, **more)


def flags(program):
    return {n.removeprefix("--") for f in model.ask(BIN / program, [program]).flags for n in f.names}


def settings(unit):
    found = {}
    for line in unit.read_text().splitlines():
        key, is_setting, value = line.partition("=")
        if is_setting and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


class Units(unittest.TestCase):
    def units(self):
        found = sorted(UNITS.glob("*.service"))
        self.assertEqual([u.name for u in found], ["sluice-coordinator.service", "sluice-decode.service", "sluice-decode@.service",
                                                   "sluice-prefill.service", "sluice-prefill@.service"])
        return found

    @needs("systemd-analyze")
    def test_exposure(self):
        for unit in self.units():
            r = run("systemd-analyze", "security", "--no-pager", "--offline=true", f"--threshold={MOST_EXPOSED * 10:.0f}", unit)
            said = re.search(r"Overall exposure level .*: ([\d.]+)", r.stdout)
            self.assertTrue(said, r.stdout + r.stderr)
            print(f"{unit.name}: exposure {said[1]}")
            self.assertEqual(r.returncode, 0, r.stdout)
            self.assertLessEqual(float(said[1]), MOST_EXPOSED)

    @needs("systemd-analyze")
    def test_systemd_knows_every_line(self):
        with tempfile.TemporaryDirectory() as work:
            for unit in self.units():
                # An instance's name, and a program that is there: what is installed has its own test.
                name = unit.name.replace("@.", "@a.")
                copy = Path(work) / name
                copy.write_text(re.sub(r"/usr/bin/sluice-\w+", "/bin/true", unit.read_text()))
                r = run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", copy)
                said = [line for line in r.stderr.splitlines() if name in line]
                self.assertEqual(said, [], unit.name)

    def test_a_line_that_systemd_does_not_know_is_noticed(self):
        if not shutil.which("systemd-analyze"):
            self.skipTest("systemd-analyze is missing; `tools/install_deps.sh test` installs it")
        with tempfile.TemporaryDirectory() as work:
            copy = Path(work) / "sluice-wrong.service"
            copy.write_text("[Service]\nExecStart=/bin/true\nProtectKernelTunable=yes\n")
            self.assertIn("ProtectKernelTunable", run("systemd-analyze", "verify", "--man=no", copy).stderr)

    def test_commands_credentials_and_times_fit(self):
        for unit in self.units():
            s = settings(unit)
            program, flag, config = re.fullmatch(r"/usr/bin/(\S+) (--config) %d/(\S+)", s["ExecStart"][0]).groups()
            credential, source = s["LoadCredential"][0].split(":")
            self.assertEqual((flag, config), ("--config", credential))
            sample = DEPLOY / "config" / Path(source).name.replace("-%i", "")
            drain = tomllib.loads(sample.read_text())["drain-timeout-s"]
            self.assertGreater(int(s["TimeoutStopSec"][0]), drain, "systemd waits longer than a drain")
            self.assertIn("notify-socket", flags(program))
            self.assertEqual(s["Type"], ["notify"])
            self.assertIn("RestartPreventExitStatus", s)


class Credentials(unittest.TestCase):
    """credentials.conf, as its own words say to use it; installed.py does so with a systemd that runs."""
    FILE = DEPLOY / "systemd" / "credentials.conf"

    def said(self, pattern):
        found = re.search(pattern, self.FILE.read_text(), re.M)
        self.assertTrue(found, pattern)
        return found[1]

    def test_its_words_fit_together(self):
        credential, source = self.said(r"^LoadCredential=(.*)$").split(":")
        key, path = re.fullmatch(r'(\S+) = "(.*)"', self.said(r'^#   (\S+ = ".*")$')).groups()
        unit = self.said(r"/etc/systemd/system/(\S+)\.d/credentials\.conf")
        self.assertTrue((UNITS / unit).exists(), unit)
        self.assertEqual(path, f"/run/credentials/{unit}/{credential}", "where systemd lays it for this unit")
        self.assertEqual(self.said(r"^#   install -m 600 /dev/null (\S+)$"), source)
        self.assertEqual(self.said(r"^#   openssl rand -hex 32 > (\S+)$"), source)
        for program in ("sluice-coordinator", "sluice-prefill", "sluice-decode"):
            self.assertIn(key, flags(program))

    @needs("systemd-analyze")
    def test_systemd_knows_every_line_with_each_unit(self):
        for unit in sorted(UNITS.glob("*.service")):
            name = unit.name.replace("@.", "@a.")
            for text, wrong in ((self.FILE.read_text(), False),
                                (self.FILE.read_text().replace("LoadCredential", "LoadCredentials"), True)):
                with tempfile.TemporaryDirectory() as work:
                    copy = Path(work) / name
                    copy.write_text(re.sub(r"/usr/bin/sluice-\w+", "/bin/true", unit.read_text()))
                    added = Path(work) / f"{name}.d" / "credentials.conf"
                    added.parent.mkdir()
                    added.write_text(text)
                    r = run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", copy)
                    said = [line for line in r.stderr.splitlines() if "credentials.conf" in line]
                    self.assertEqual(bool(said), wrong, f"{unit.name}: {r.stderr}")

    def test_a_daemon_takes_the_secret_from_its_file(self):
        """Mode 0400, as systemd lays it; and one that others may read is refused."""
        key = self.said(r'^#   (\S+) = ".*"$')
        with tempfile.TemporaryDirectory() as work:
            secret, config = Path(work) / "cluster-token", Path(work) / "coordinator.toml"
            secret.write_text("0123456789abcdef\n")
            config.write_text(f'model = "/nowhere"\n{key} = "{secret}"\ncontrol-listen = "0.0.0.0:0"\n')
            for mode, status, word in ((0o400, 1, "/nowhere"), (0o444, 2, "chmod 600")):
                secret.chmod(mode)
                r = run(BIN / "sluice-coordinator", "--config", config)
                self.assertEqual(r.returncode, status, r.stderr)
                self.assertIn(word, r.stderr)
                self.assertNotIn("0123456789abcdef", r.stderr)


class Configurations(unittest.TestCase):
    def test_each_key_is_a_flag(self):
        for file in sorted((DEPLOY / "config").glob("*.toml")):
            known = flags(f"sluice-{file.stem}")
            keys = re.findall(r"(?m)^(?:# )?([a-z][a-z-]*) = ", file.read_text())
            self.assertGreater(len(keys), 8, file)
            self.assertEqual([k for k in keys if k not in known], [], file.name)

    def test_programs_read_them(self):
        """As they are, and with what stands as a comment instead. The model's place is another here, so that is where each ends."""
        for file in sorted((DEPLOY / "config").glob("*.toml")):
            text = re.sub(r'(?m)^model = .*', 'model = "/nowhere"', file.read_text())
            said = re.findall(r"(?m)^# ([a-z][a-z-]* = .*)$", text)
            other = text
            for line in said:
                key = line.split(" = ")[0]
                other = re.sub(rf"(?m)^{key} = .*\n", "", other).replace(f"# {line}", line)
            for config in (text, other):
                with tempfile.NamedTemporaryFile("w", suffix=".toml") as f:
                    f.write(config)
                    f.flush()
                    r = run(BIN / f"sluice-{file.stem}", "--config", f.name)
                    self.assertEqual(r.returncode, 1, f"{file.name}: {r.stderr}")
                    self.assertIn("/nowhere", r.stderr)

    def test_an_unknown_key_ends_the_daemon(self):
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as f:
            f.write((DEPLOY / "config" / "coordinator.toml").read_text() + "max-wait = 3\n")
            f.flush()
            self.assertEqual(run(BIN / "sluice-coordinator", "--config", f.name).returncode, 2)


class Compose(unittest.TestCase):
    FILE = DEPLOY / "compose" / "compose.yaml"
    ENV = {"PATH": "/usr/bin:/bin", "SLUICE_API_KEY": "key", "SLUICE_CLUSTER_TOKEN": "token"}

    def read(self, file, env):
        return run("docker-compose", "-f", file, "config", env=env, cwd="/")

    @needs("docker-compose")
    def test_compose_reads_it(self):
        r = self.read(self.FILE, self.ENV)
        self.assertEqual(r.returncode, 0, r.stderr)
        for service in ("coordinator", "prefill-0", "prefill-1", "decode-0", "decode-1", "prometheus", "grafana"):
            self.assertIn(f"  {service}:\n", r.stdout)
        # Values come from the environment: the file holds no secret.
        self.assertNotRegex(self.FILE.read_text(), r"(?m)(KEY|TOKEN|PASSWORD): +[^$\s]")

    def test_secrets_are_drawn_once_and_are_ones_own(self):
        with tempfile.TemporaryDirectory() as work:
            script = Path(shutil.copy(DEPLOY / "compose" / "make_env.sh", work))
            self.assertEqual(run(script).returncode, 0)
            drawn = Path(work) / ".env"
            self.assertEqual(drawn.stat().st_mode & 0o777, 0o600)
            self.assertRegex(drawn.read_text(), r"\ASLUICE_API_KEY=[0-9a-f]{48}\nSLUICE_CLUSTER_TOKEN=[0-9a-f]{48}\n\Z")
            before = drawn.read_text()
            run(script)
            self.assertEqual(drawn.read_text(), before)

    @needs("docker-compose")
    def test_secrets_must_be_given(self):
        r = self.read(self.FILE, {"PATH": "/usr/bin:/bin"})
        self.assertNotEqual(r.returncode, 0)
        self.assertIn("SLUICE_", r.stderr)

    @needs("docker-compose")
    def test_a_wrong_word_is_refused(self):
        with tempfile.TemporaryDirectory() as work:
            wrong = Path(work) / "compose.yaml"
            wrong.write_text(self.FILE.read_text().replace("healthcheck:", "healthchecks:"))
            self.assertNotEqual(self.read(wrong, self.ENV).returncode, 0)

    @needs("docker-compose")
    def test_commands_have_real_flags_and_mounts_are_there(self):
        import yaml  # docker-compose brings it
        services = yaml.safe_load(self.FILE.read_text())["services"]
        for name, service in services.items():
            command = service.get("command", [])
            if command and command[0].startswith("sluice-"):
                known = flags(command[0])
                used = [a.removeprefix("--").split("=")[0] for a in command[1:] if a.startswith("--")]
                self.assertEqual([u for u in used if u not in known], [], name)
            for mount in service.get("volumes", ()):
                source = mount["source"] if isinstance(mount, dict) else mount.split(":")[0]
                if source.startswith("."):
                    self.assertTrue((self.FILE.parent / source).exists(), mount)
        targets = json.loads((DEPLOY / "compose" / "targets.json").read_text())
        nodes = {t["labels"]["node"] for t in targets}
        self.assertEqual(nodes, {n for n, s in services.items() if str(s.get("command", [""])[0]).startswith("sluice-")})


class Scripts(unittest.TestCase):
    def test_shell_reads_them(self):
        for script in [*(DEPLOY / "packages" / s for s in ("postinst", "prerm", "postrm")), DEPLOY / "docker" / "healthcheck.sh",
                       ROOT / "tools" / "package_test.sh", ROOT / "tools" / "image_test.sh",
                       *(ROOT / "tests" / "packages").glob("*.sh"), DEPLOY / "compose" / "make_env.sh"]:
            self.assertTrue(script.stat().st_mode & 0o100, f"{script} can be run")
            shell = script.read_text().splitlines()[0].split("/")[-1].split()[-1]
            r = run(shell, "-n", script)
            self.assertEqual((r.returncode, r.stderr), (0, ""), script)

    def test_conffiles_are_the_samples(self):
        said = (DEPLOY / "packages" / "conffiles").read_text().split()
        self.assertEqual(said, [f"/etc/sluice/{f.name}" for f in sorted((DEPLOY / "config").glob("*.toml"))])


def main():
    global BIN, UNITS
    args = argparse.ArgumentParser()
    args.add_argument("--bin", type=Path, required=True)
    args.add_argument("--units", type=Path, required=True)
    args, rest = args.parse_known_args()
    BIN, UNITS = args.bin, args.units
    return 0 if unittest.main(argv=[sys.argv[0], *rest], exit=False).result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
