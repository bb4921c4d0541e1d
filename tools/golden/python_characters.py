#!/usr/bin/env python3
"""Makes text/jinja/python_characters.inc and text/jinja/character_names.inc: what Python 3.11's str knows of characters.

    python3.11 tools/golden/python_characters.py        (needs libutf8proc.so.2)

Properties are ranges. Case mappings are those that utf8proc's simple ones do not give: the longer ones, and what
changed between the Unicode versions of the two.
"""
import ctypes
import pathlib
import sys
import unicodedata

ROOM = pathlib.Path(__file__).resolve().parents[2] / "text/jinja"
ALL = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
NAMED = [(0x20, 0xFF), (0x370, 0x3FF), (0x2000, 0x206F), (0x20A0, 0x20C0), (0x2100, 0x218B), (0x2190, 0x22FF),
         (0x2500, 0x27BF), (0x2B00, 0x2BFF), (0x3000, 0x303F), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFF9, 0xFFFD),
         (0x1F300, 0x1F64F), (0x1F680, 0x1F6FF), (0x1F900, 0x1F9FF), (0x1FA70, 0x1FAFF)]


def ranges(holds):
    out = []
    for c in ALL:
        if not holds(chr(c)):
            continue
        if out and out[-1][1] == c - 1:
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


def case_ignorable(c):
    return unicodedata.category(c) in ("Mn", "Me", "Cf", "Lm", "Sk") or \
        ord(c) in (0x27, 0x2E, 0x3A, 0xB7, 0x387, 0x55F, 0x5F4, 0x2018, 0x2019, 0x2024, 0x2027, 0xFE13, 0xFE52, 0xFE55,
                   0xFF07, 0xFF0E, 0xFF1A)


PROPERTIES = {
    "Alpha": str.isalpha, "Decimal": str.isdecimal, "Digit": str.isdigit, "Numeric": str.isnumeric,
    "Lower": str.islower, "Upper": str.isupper, "Title": lambda c: unicodedata.category(c) == "Lt",
    "Unprintable": lambda c: not c.isprintable(), "CaseIgnorable": case_ignorable,
}


def table(name, kind, cells):
    lines, line = [], " "
    for cell in cells:
        if len(line) + len(cell) + 2 > 118:
            lines.append(line)
            line = " "
        line += f" {cell},"
    lines.append(line)
    return f"constexpr {kind} k{name}[] = {{\n" + "\n".join(lines) + "\n};\n"


def main():
    lib = ctypes.CDLL("libutf8proc.so.2")
    out = [f"// Made by tools/golden/python_characters.py from Unicode {unicodedata.unidata_version}.\n// clang-format off\n"]
    for name, holds in PROPERTIES.items():
        out.append(table(name, "Range", [f"{{0x{a:X}, 0x{b:X}}}" for a, b in ranges(holds)]))
    for name, python, simple in (("UpperCase", str.upper, lib.utf8proc_toupper), ("LowerCase", str.lower, lib.utf8proc_tolower),
                                 ("TitleCase", str.title, lib.utf8proc_totitle), ("FoldCase", str.casefold, lib.utf8proc_tolower)):
        cells = []
        for c in ALL:
            want = [ord(x) for x in python(chr(c))]
            if want != [simple(c)]:
                cells.append(f"{{0x{c:X}, {{{', '.join(f'0x{x:X}' for x in want)}}}}}")
        out.append(table(name, "Mapping", cells))
    (ROOM / "python_characters.inc").write_text("\n".join(out))
    names = []
    for a, b in NAMED:
        for c in range(a, b + 1):
            if (name := unicodedata.name(chr(c), None)) is not None:
                names.append((name, c))
    cells = [f'{{"{n}", 0x{c:X}}}' for n, c in sorted(names)]
    (ROOM / "character_names.inc").write_text("// Made by tools/golden/python_characters.py: sorted by name.\n// clang-format off\n"
                                              + table("Names", "Named", cells))


if __name__ == "__main__":
    if sys.version_info[:2] != (3, 11):
        sys.exit("the tables are Python 3.11's")
    main()
