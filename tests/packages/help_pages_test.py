#!/usr/bin/env python3
"""Manual pages and completion, as made from --help: pages are sound and miss no flag, bash completes what it should, zsh reads
its functions. Tools that are not installed are named; without any of them the test is skipped (77)."""
import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HELP_PAGES = ROOT / "tools" / "help_pages"
sys.path.insert(0, str(HELP_PAGES))
import model  # noqa: E402

BIN = MADE = None


def run(*command, text=None):
    return subprocess.run(list(map(str, command)), input=text, capture_output=True, text=True, timeout=60,
                          env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "MANWIDTH": "100", "HOME": "/nonexistent"})


def needs(tool):
    return unittest.skipUnless(shutil.which(tool), f"{tool} is missing; `tools/install_deps.sh test` installs it")


class Model(unittest.TestCase):
    def test_reads_every_form_of_flag(self):
        c = model.read("\n".join([
            "Does things", "Usage: prog [OPTIONS] what", "", "Positionals:",
            "  what TEXT REQUIRED          What to do", "", "Options:",
            "  -h,--help                   Print", "  --a UINT:1 to 3=2           A number", "  --b TEXT:{x,y}=x", "                              One of",
            "                              two", "  --c TEXT ... (Env:C)        Words", "  --d                         A switch", ""]), ["prog"])
        self.assertEqual(c.summary, "Does things")
        self.assertTrue(c.positionals[0].required)
        h, a, b, many, d = c.flags
        self.assertEqual(h.names, ["-h", "--help"])
        self.assertEqual((a.value, a.check, a.default, a.text), ("UINT", "1 to 3", "2", "A number"))
        self.assertEqual((b.choices, b.default, b.text), (["x", "y"], "x", "One of two"))
        self.assertEqual((many.env, many.many, many.value), ("C", True, "TEXT"))
        self.assertEqual(d.value, "")

    def test_refuses_what_it_cannot_read(self):
        with self.assertRaises(ValueError):
            model.read("x\nUsage: x [OPTIONS]\n\nOptions:\n  --a ~~~                     What\n", ["x"])


class Pages(unittest.TestCase):
    def pages(self):
        found = sorted((MADE / "man").glob("*.1.gz"))
        self.assertGreater(len(found), 20)
        return found

    @needs("mandoc")
    def test_mandoc_has_nothing_to_say(self):
        for page in self.pages():
            r = run("mandoc", "-Tlint", "-W", "warning", page)
            self.assertEqual((r.returncode, r.stdout), (0, ""), page)

    @needs("man")
    def test_man_has_no_warnings(self):
        for page in self.pages():
            r = run("man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", page)
            self.assertEqual((r.returncode, r.stderr), (0, ""), page)

    @needs("mandoc")
    def test_each_command_has_a_page_with_each_flag(self):
        for program in ("sluice-coordinator", "sluice-prefill", "sluice-decode", "sluicectl", "sluice-bench", "sluice-profiler"):
            for c in model.ask(BIN / program, [program]).walk():
                text = re.sub(r".\x08", "", run("mandoc", "-Tascii", MADE / "man" / f"{c.page}.1.gz").stdout)
                for word in [*(n for f in c.flags for n in f.names), *(s.words[-1] for s in c.subcommands)]:
                    self.assertRegex(text, rf"(?m)^ +(\S+, )*{re.escape(word)}\b", c.page)


class Bash(unittest.TestCase):
    def complete(self, *words):
        """What bash offers after these words, of which the last is being typed."""
        program = words[0]
        script = (f"source {MADE / 'bash' / program}\n"
                  f"COMP_WORDS=({' '.join(repr(w) for w in words)})\nCOMP_CWORD={len(words) - 1}\n"
                  f"_{program.replace('-', '_')} {program}\n" + 'printf "%s\\n" "${COMPREPLY[@]}"\n')
        r = run("bash", "--norc", "-c", script)
        self.assertEqual((r.returncode, r.stderr), (0, ""), words)
        return set(r.stdout.split())

    def test_commands_and_flags(self):
        self.assertTrue({"up", "down", "nodes", "slo", "--url", "--json"} <= self.complete("sluicectl", ""))
        self.assertEqual(self.complete("sluicectl", "slo", "e"), {"explain"})
        self.assertEqual(self.complete("sluicectl", "--json", "up", "--det"), {"--detach"})
        self.assertEqual(self.complete("sluice-bench", "eng"), {"engine"})
        self.assertIn("--state-file", self.complete("sluice-coordinator", "--"))
        self.assertTrue({"calibrate", "search"} <= self.complete("sluice-profiler", ""))

    def test_values(self):
        self.assertEqual(self.complete("sluice-decode", "--seal", ""), {"encrypt", "digest"})
        self.assertEqual(self.complete("sluice-decode", "--seal", "=", "e"), {"encrypt"})
        self.assertEqual(self.complete("sluicectl", "up", "--transport", "s"), {"shm"})
        self.assertEqual(self.complete("sluicectl", "up", "--port", ""), set())
        with tempfile.TemporaryDirectory() as work:
            (Path(work) / "folder").mkdir()
            (Path(work) / "file.toml").touch()
            self.assertEqual(self.complete("sluice-prefill", "--model", work + "/f"), {work + "/folder"})
            self.assertEqual(self.complete("sluice-prefill", "--config", work + "/f"), {work + "/folder", work + "/file.toml"})

    def test_flags_of_another_command_are_not_offered(self):
        self.assertNotIn("--detach", self.complete("sluicectl", "down", "--"))


class Zsh(unittest.TestCase):
    @needs("zsh")
    def test_functions_are_read(self):
        for f in sorted((MADE / "zsh").iterdir()):
            r = run("zsh", "-f", "-n", f)
            self.assertEqual((r.returncode, r.stderr), (0, ""), f)

    @needs("zsh")
    def test_completes_through_the_terminal(self):
        # zsh completes only for an editor: a pseudo terminal types the words and asks for the list.
        script = f"""
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z 'PS1=; fpath=({MADE / "zsh"} $fpath); autoload -Uz compinit; compinit -u -D; bindkey "^I" complete-word; LISTMAX=1000; unsetopt ZLE_RPROMPT 2>/dev/null; echo go-$((6*7))'
zpty -r -m z line '*go-42*'
zpty -w -n z $'sluicectl slo ex\\t'
zpty -r -m z line '*explain*' && echo completed
zpty -d z
"""
        r = subprocess.run(["timeout", "20", "zsh", "-f", "-c", script], capture_output=True, text=True,
                           env={"PATH": "/usr/bin:/bin", "TERM": "dumb", "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"})
        self.assertIn("completed", r.stdout, r.stderr)


def main():
    global BIN, MADE
    args = argparse.ArgumentParser()
    args.add_argument("--bin", type=Path, required=True)
    args, rest = args.parse_known_args()
    BIN = args.bin
    with tempfile.TemporaryDirectory() as made:
        MADE = Path(made)
        subprocess.run([sys.executable, "-B", HELP_PAGES, "--bin", BIN, "--version", "0", "--news",
                        ROOT / "deploy" / "packages" / "changelog.Debian", "--out", MADE], check=True)
        return 0 if unittest.main(argv=[sys.argv[0], *rest], exit=False).result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
