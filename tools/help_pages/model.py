"""Reads what a program's --help says into a Command: its flags, positionals, subcommands, and what stands below them.

The text is CLI11's. A line that fits none of its forms is an error: a page must not lose a flag in silence.
"""
import os
import re
import subprocess
from dataclasses import dataclass, field

HELP_COLUMN = 30
# Defaults that hang on who asks are named instead.
ANYBODY = {"XDG_RUNTIME_DIR": "$XDG_RUNTIME_DIR"}


@dataclass
class Flag:
    names: list  # ["-h", "--help"]; of a positional its one name
    value: str = ""  # TEXT, UINT, FLOAT, INT, BOOLEAN; "" takes none
    check: str = ""  # FILE, DIR, POSITIVE, "1 to 64"
    choices: list = field(default_factory=list)
    default: str = ""
    env: str = ""
    required: bool = False
    many: bool = False
    text: str = ""

    @property
    def long(self):
        return self.names[-1]

    @property
    def files(self):
        """What completion offers for the value: "dir", "file" or nothing."""
        name = self.long.lstrip("-")
        if self.check == "DIR" or (name == "model" and not self.choices) or name.endswith("-dir"):
            return "dir"
        words = ("config", "file", "trace", "prompts", "text", "profiles", "out", "plot", "state", "ca", "cert", "key", "keys")
        if self.value and (self.check == "FILE" or name.split("-")[-1] in words):
            return "file"
        return ""


@dataclass
class Command:
    words: list  # ["sluicectl", "slo", "set"]
    summary: str = ""
    usage: str = ""
    flags: list = field(default_factory=list)
    positionals: list = field(default_factory=list)
    subcommands: list = field(default_factory=list)  # Commands
    more: list = field(default_factory=list)  # (heading, [(word, text)]) of a program's own, as suites

    @property
    def page(self):
        return "-".join(self.words)

    def walk(self):
        yield self
        for s in self.subcommands:
            yield from s.walk()


def _split(line):
    """The term and the text of an entry's line. What is too long for the column has its text on the next line."""
    line = line[2:]
    if len(line) > HELP_COLUMN - 2 and line[HELP_COLUMN - 3] == " ":
        return line[: HELP_COLUMN - 2].strip(), line[HELP_COLUMN - 2 :].strip()
    return line.strip(), ""


def _flag(term):
    names, _, rest = term.partition(" ")
    f = Flag(names.split(","))
    if env := re.search(r"\(Env:(\w+)\)", rest):
        f.env = env[1]
        rest = rest.replace(env[0], "")
    for word, attribute in (("REQUIRED", "required"), ("...", "many")):
        if rest.endswith(word) or f"{word} " in rest:
            setattr(f, attribute, True)
            rest = rest.replace(word, "")
    m = re.fullmatch(r"([A-Z]+)?(?::(\{[^}]*\}|[^=]*?))?(?:=(.*))?", rest.strip())
    if not m:
        raise ValueError(f"a flag that cannot be read: {term!r}")
    f.value, check, f.default = m[1] or "", m[2] or "", m[3] or ""
    if check.startswith("{"):
        f.choices = check[1:-1].split(",")
    else:
        f.check = check
    if names == "--config":
        f.value = "TEXT"
    return f


def read(text, words):
    """The Command that a help text describes; its subcommands have names and summaries only."""
    c = Command(list(words))
    section = None
    entries = None
    for line in text.splitlines():
        if not line.strip():
            continue
        if not line.startswith(" "):
            if line.startswith("Usage: "):
                c.usage = " ".join([" ".join(words), *re.findall(r"\[OPTIONS\].*|$", line)]).strip()
                section = "usage"
            elif line.endswith(":") and section:
                section = line[:-1]
                entries = []
                if section not in ("Options", "Positionals", "Subcommands"):
                    c.more.append((section, entries))
            elif section is None:
                c.summary = f"{c.summary} {line.strip()}".strip()
            else:
                raise ValueError(f"{' '.join(words)} --help has a line of no known form: {line!r}")
            continue
        if line.startswith("   ") and entries is not None:  # goes on
            entry = entries[-1] if entries else None
            if entry is None:
                raise ValueError(f"{' '.join(words)} --help: text without its flag: {line!r}")
            entries[-1] = (entry[0], f"{entry[1]} {line.strip()}".strip())
        elif section in ("Options", "Positionals", "Subcommands") or c.more:
            if section in ("Options", "Positionals", "Subcommands"):
                entries.append(_split(line))
            else:
                entries.append(tuple(line.strip().split(None, 1)))
        else:
            raise ValueError(f"{' '.join(words)} --help has a line of no known form: {line!r}")
        _keep(c, section, entries)
    return c


def _keep(c, section, entries):
    if section == "Options":
        c.flags = [_described(e) for e in entries]
    elif section == "Positionals":
        c.positionals = [_described(e) for e in entries]
    elif section == "Subcommands":
        c.subcommands = [Command([*c.words, word], text) for word, text in entries]


def _described(entry):
    f = _flag(entry[0])
    f.text = entry[1]
    return f


def ask(program, words):
    """What the program says of itself and, in turn, of its subcommands."""
    r = subprocess.run([program, *words[1:], "--help"], capture_output=True, text=True, timeout=30, env=ANYBODY)
    if r.returncode != 0 or not r.stdout:
        raise SystemExit(f"{' '.join(words)} --help ended with {r.returncode}: {r.stderr.strip()}")
    c = read(r.stdout.replace(f"$XDG_RUNTIME_DIR/sluice-{os.getuid()}", "$XDG_RUNTIME_DIR/sluice-UID"), words)
    c.subcommands = [_named(ask(program, s.words), s) for s in c.subcommands]
    return c


def _named(full, brief):
    full.summary = full.summary or brief.summary
    return full
