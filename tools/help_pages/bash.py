"""Completion for bash: commands, flags, and the values that a flag may have."""

BODY = '''# Made from --help; bash completion of {program}.
_{function}() {{
  local cur prev command word i
  COMPREPLY=()
  cur=${{COMP_WORDS[COMP_CWORD]}}
  prev=${{COMP_WORDS[COMP_CWORD - 1]}}
  # --flag=value comes as three words.
  if [[ $cur == = ]]; then cur=; elif [[ $prev == = ]]; then prev=${{COMP_WORDS[COMP_CWORD - 2]}}; fi
  command={program}
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${{COMP_WORDS[i]}}
    case "$command $word" in
{steps}
    esac
  done
  case "$command $prev" in
{values}
  esac
  case "$command" in
{words}
  esac
}}
complete -F _{function} {program}
'''


def pattern(strings):
    return " | ".join(f"'{s}'" for s in strings)


def answer(flag):
    if flag.choices:
        return f"COMPREPLY=($(compgen -W '{' '.join(flag.choices)}' -- \"$cur\"))"
    if flag.files:
        return f"COMPREPLY=($(compgen -{'d' if flag.files == 'dir' else 'f'} -- \"$cur\")); compopt -o filenames 2>/dev/null"
    return ":"  # a number or a word of the user's own


def script(c):
    steps, values, words = [], [], []
    for command in c.walk():
        path = " ".join(command.words)
        for s in command.subcommands:
            steps.append(f"      '{path} {s.words[-1]}') command='{' '.join(s.words)}' ;;")
        for f in command.flags:
            if f.value:
                values.append(f"    {pattern(f'{path} {n}' for n in f.names)}) {answer(f)}; return ;;")
        offered = [n for f in command.flags for n in f.names if n.startswith("--")]
        offered += [s.words[-1] for s in command.subcommands]
        offered += [w for _, pairs in command.more for w, _ in pairs]
        words.append(f"    '{path}') COMPREPLY=($(compgen -W '{' '.join(offered)}' -- \"$cur\")) ;;")
    return BODY.format(program=c.words[0], function=c.words[0].replace("-", "_"), steps="\n".join(steps) or "      *) ;;",
                       values="\n".join(values) or "    *) ;;", words="\n".join(words))
