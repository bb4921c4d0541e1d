"""A manual page of a Command, in man(7)'s macros."""
from model import Command

EXIT = {
    0: "It did what it was asked; a daemon was told to end.",
    1: "It failed: a port in use, a model that cannot be read, a refusal.",
    2: "Flags or configuration make no sense: starting it again is no use.",
}
DAEMONS = {
    "sluice-coordinator": ("/etc/sluice/coordinator.toml", "What sluice-coordinator.service reads."),
    "sluice-prefill": ("/etc/sluice/prefill.toml", "What sluice-prefill.service reads; prefill-NAME.toml is of sluice-prefill@NAME.service."),
    "sluice-decode": ("/etc/sluice/decode.toml", "What sluice-decode.service reads; decode-NAME.toml is of sluice-decode@NAME.service."),
}
SIGNALS = ("SIGTERM, SIGINT and SIGHUP drain: nothing new is taken, running requests have --drain-timeout-s to end. "
           "A second one ends at once.")


def escaped(text):
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("`", "\\(ga").replace("'", "\\(aq")
    return "\\&" + text if text.startswith(".") else text


def bold(text):
    return f"\\fB{escaped(text)}\\fR"


def term(flag, positional=False):
    names = ", ".join(bold(n) for n in flag.names)
    if positional or not flag.value:
        return names
    value = "|".join(map(escaped, flag.choices)) if flag.choices else f"\\fI{flag.value}\\fR"
    return f"{names} {value}" + (" ..." if flag.many else "")


def sentence(text):
    return text if not text or text.endswith((".", "?", "!")) else text + "."


def about(flag):
    """What else is known of a flag, as sentences."""
    said = [sentence(flag.text)]
    if flag.check and flag.check not in ("FILE", "DIR"):
        said.append({"POSITIVE": "More than 0.", "NONNEGATIVE": "0 or more."}.get(flag.check, f"From {flag.check}."))
    if flag.default:
        said.append(f"Default: {flag.default}.")
    if flag.env:
        said.append(f"Environment: {flag.env}.")
    if flag.required:
        said.append("Required.")
    return escaped(" ".join(s for s in said if s))


def entries(heading, pairs):
    if not pairs:
        return
    yield f".SH {heading}"
    for head, text in pairs:
        yield ".TP"
        yield head
        if text:
            yield text


def page(c: Command, version, date, parent=None):
    """The lines of the page; `parent` is the command that this one belongs to."""
    yield f'.TH "{escaped(c.page.upper())}" 1 "{date}" "Sluice {version}" "Sluice"'
    yield ".SH NAME"
    summary = c.summary.removeprefix("Sluice ").rstrip(".")
    yield f"{escaped(c.page)} \\- {escaped(summary[:1].lower() + summary[1:])}"
    yield ".SH SYNOPSIS"
    yield f"{bold(' '.join(c.words))}{escaped(c.usage.removeprefix(' '.join(c.words)))}"
    yield ".SH DESCRIPTION"
    yield escaped(sentence(c.summary))
    yield from entries("ARGUMENTS", [(term(p, True), about(p)) for p in c.positionals])
    yield from entries("OPTIONS", [(term(f), about(f)) for f in c.flags])
    yield from entries("COMMANDS", [(bold(s.words[-1]), escaped(f"{sentence(s.summary)} See ") + f"\\fB{escaped(s.page)}\\fR(1).")
                                    for s in c.subcommands])
    for heading, words in c.more:
        yield from entries(escaped(heading.upper()), [(bold(w), escaped(sentence(text))) for w, text in words])
    if parent:
        yield ".SH SEE ALSO"
        yield f"\\fB{escaped(parent.page)}\\fR(1), whose own options stand before the command's word."
        return
    if c.words[0] in DAEMONS:
        yield ".SH SIGNALS"
        yield escaped(SIGNALS)
    yield from entries("EXIT STATUS", [(bold(str(code)), escaped(text)) for code, text in EXIT.items()])
    if c.words[0] in DAEMONS:
        file, text = DAEMONS[c.words[0]]
        yield from entries("FILES", [(bold(file), escaped(text))])
    yield ".SH SEE ALSO"
    yield "The documents in"
    yield ".IR /usr/share/doc/sluice ."
