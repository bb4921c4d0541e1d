"""Completion for zsh: what bash's offers, each flag and command with its description."""


def quoted(text):
    for c in "\\[]:":
        text = text.replace(c, "\\" + c)
    return text.replace("'", "'\\''")


def action(flag):
    if flag.choices:
        return f"({' '.join(flag.choices)})"
    return {"dir": "_files -/", "file": "_files", "": ""}[flag.files]


def argument(flag, name):
    repeat = "*" if flag.many else ""
    value = f":{flag.value.lower()}:{action(flag)}" if flag.value else ""
    return f"'{repeat}{name}{'=' if value and name.startswith('--') else ''}[{quoted(flag.text)}]{value}'"


def function(command):
    name = "_" + command.page.replace("-", "_")
    lines = [f"{name}() {{"]
    specs = [argument(f, n) for f in command.flags for n in f.names]
    if command.subcommands:
        lines.append("  local context state state_descr line")
        lines.append("  typeset -A opt_args")
        specs += ["'1:command:->command'", "'*::argument:->rest'"]
    for _, pairs in command.more:
        specs.append(f"'1:word:({' '.join(w for w, _ in pairs)})'")
    lines.append("  _arguments -s -S \\\n    " + " \\\n    ".join(specs))
    if command.subcommands:
        lines.append("  case $state in")
        lines.append("    command)")
        offered = " ".join(f"'{s.words[-1]}:{quoted(s.summary)}'" for s in command.subcommands)
        lines.append(f"      local -a commands=({offered})")
        lines.append("      _describe command commands ;;")
        lines.append("    rest)")
        lines.append("      case $line[1] in")
        for s in command.subcommands:
            lines.append(f"        {s.words[-1]}) _{s.page.replace('-', '_')} ;;")
        lines += ["      esac ;;", "  esac"]
    return lines + ["}"]


def script(c):
    lines = [f"#compdef {c.words[0]}", "# Made from --help."]
    for command in reversed(list(c.walk())):
        lines += function(command)
    return "\n".join([*lines, f'_{c.page.replace("-", "_")} "$@"', ""])
