#!/usr/bin/env python3
"""Every command that docs/install.md and deploy/README.md show is one that exists: programs and their flags by --help, make's
targets, units, paths. What the commands do is shown by installed.py, three_machines_test.py and tools/image_test.sh."""
import argparse
import re
import shlex
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "help_pages"))
import model  # noqa: E402

BIN = UNITS = None
PAGES = (ROOT / "docs" / "install.md", ROOT / "deploy" / "README.md")
# Others' programs: that these are words which they know is for those who run them, and the page says where none does.
OTHERS = {"apt", "sed", "tee", "install", "cp", "curl", "docker", "openssl"}
INSTALLED = {"/etc/sluice/coordinator.toml", "/etc/sluice/prefill.toml", "/etc/sluice/decode.toml", "/var/lib/sluice/coordinator.state",
             "/usr/share/doc/sluice/examples/credentials.conf", "/usr/share/doc/sluice/examples/rdma.conf"}


def commands(page):
    """The commands of a page's blocks without a language, each as words; pipes are parted."""
    for language, block in re.findall(r"(?ms)^```(\w*)\n(.*?)^```$", page.read_text()):
        if language:
            continue
        for line in block.replace("\\\n", " ").splitlines():
            for part in re.split(r" \| ", line):
                words = shlex.split(part, comments=True)
                while words and (words[0] == "sudo" or "=" in words[0]):
                    words.pop(0)
                if words:
                    yield words


def find(program, words):
    """The Command that the words name, and their flags."""
    c = model.ask(BIN / program, [program])
    known = {n for f in c.flags for n in f.names}
    used = []
    for w in words:
        below = {s.words[-1]: s for s in c.subcommands}
        if w in below:
            c = below[w]
            known |= {n for f in c.flags for n in f.names}
        elif w.startswith("-"):
            used.append(w.split("=")[0])
    return c, known, used


class Commands(unittest.TestCase):
    def test_all_exist(self):
        makefile = (ROOT / "Makefile").read_text()
        units = {u.name.removesuffix(".service") for u in UNITS.glob("*.service")}
        seen = 0
        for page in PAGES:
            for words in commands(page):
                seen += 1
                program, rest = words[0], words[1:]
                said = f"{page.name}: {' '.join(words)}"
                if program == "make":
                    self.assertRegex(makefile, rf"(?m)^{rest[0]}:", said)
                elif program == "systemctl":
                    for unit in [w for w in rest[1:] if not w.startswith("-")]:
                        self.assertIn(re.sub(r"@.*", "@", unit), units, said)
                elif program.startswith("sluice"):
                    _, known, used = find(program, rest)
                    self.assertEqual([u for u in used if u not in known], [], said)
                elif program.startswith("deploy/"):
                    self.assertTrue((ROOT / program).stat().st_mode & 0o100, said)
                else:
                    self.assertIn(program, OTHERS, said)
        self.assertGreater(seen, 25)

    def test_paths_are_what_is_installed(self):
        for page in PAGES:
            text = page.read_text()
            for path in re.findall(r"(?:/etc/sluice|/var/lib/sluice|/usr/share/doc/sluice)/[\w./-]*\w", text):
                self.assertTrue(path in INSTALLED or re.fullmatch(r"/etc/sluice/(prefill|decode)-(a|NAME)\.toml", path),
                                f"{page.name}: {path}")
            for path in re.findall(r"`?(deploy/[\w./-]+|build/packages)", text):
                self.assertTrue(path == "build/packages" or (ROOT / path).exists() or path.endswith(".env"), f"{page.name}: {path}")

    def test_links_lead_somewhere(self):
        for page in (*PAGES, ROOT / "CHANGELOG.md"):
            for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
                self.assertTrue((page.parent / link).exists(), f"{page.name}: {link}")

    def test_the_changelog_has_the_version(self):
        version = re.search(r"project\(sluice VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text())[1]
        self.assertIn(version, (ROOT / "CHANGELOG.md").read_text())
        self.assertTrue((ROOT / "deploy/packages/changelog.Debian").read_text().startswith(f"sluice ({version}-"))


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
