#!/usr/bin/env python3
"""Print text/unicode/property_tables.h: what the reference takes every code point for.

    unicode_properties.py > text/unicode/property_tables.h

The `tokenizers` package (the reference) carries four sets of Unicode data of four ages: Oniguruma's for regular
expressions, that of the crate unicode_categories for punctuation, that of Rust's standard library for digits and lower
case, and that of the crate unicode-normalization-alignments (see unicode_frozen.py). A model's ids come from the
reference, so each is asked code point by code point and written down. Needs `tokenizers` and libutf8proc (for what
utf8proc's lower case does not know). The data is the Unicode Character Database's, under the Unicode License v3.
"""
import ctypes
import sys

import tokenizers
from tokenizers import Regex, normalizers, pre_tokenizers

# Insides of ranges that are one thing in every version (ideographs, Hangul syllables, Tangut, private use, nothing): asking
# about each would take an hour. The edges are asked about.
UNIFORM = [(0x3410, 0x4DB0), (0x4E10, 0x9FF0), (0xAC10, 0xD790), (0xD7FF, 0xE000), (0xE010, 0xF8F0), (0x17010, 0x187F0), (0x20010, 0x2A6D0),
           (0x2A750, 0x2B730), (0x2B830, 0x2CE90), (0x2CEC0, 0x2EBD0), (0x30010, 0x31340), (0x31360, 0x32390), (0x33480, 0xDFFF0),
           (0xE0200, 0xEFFF0), (0xF0010, 0xFFFF0), (0x100010, 0x10FFF0)]
CODE_POINTS = [c for c in range(1, 0x110000) if not any(a < c < b for a, b in UNIFORM)]
NEXT = dict(zip(CODE_POINTS, CODE_POINTS[1:]))
ALL = "".join(map(chr, CODE_POINTS))
CATEGORIES = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Co Cn".split()
SCRIPTS = """Adlam:adlm Ahom Anatolian_Hieroglyphs:hluw Arabic:arab Armenian:armn Avestan:avst Balinese:bali Bamum:bamu
Bassa_Vah:bass Batak:batk Bengali:beng Bhaiksuki:bhks Bopomofo:bopo Brahmi:brah Braille:brai Buginese:bugi Buhid:buhd
Canadian_Aboriginal:cans Carian:cari Caucasian_Albanian:aghb Chakma:cakm Cham Cherokee:cher Chorasmian:chrs
Common:zyyy Coptic:copt Cuneiform:xsux Cypriot:cprt Cypro_Minoan:cpmn Cyrillic:cyrl Deseret:dsrt Devanagari:deva
Dives_Akuru:diak Dogra:dogr Duployan:dupl Egyptian_Hieroglyphs:egyp Elbasan:elba Elymaic:elym Ethiopic:ethi Garay:gara
Georgian:geor Glagolitic:glag Gothic:goth Grantha:gran Greek:grek Gujarati:gujr Gunjala_Gondi:gong Gurmukhi:guru
Gurung_Khema:gukh Han:hani Hangul:hang Hanifi_Rohingya:rohg Hanunoo:hano Hatran:hatr Hebrew:hebr Hiragana:hira
Imperial_Aramaic:armi Inherited:zinh Inscriptional_Pahlavi:phli Inscriptional_Parthian:prti Javanese:java Kaithi:kthi
Kannada:knda Katakana:kana Kawi Kayah_Li:kali Kharoshthi:khar Khitan_Small_Script:kits Khmer:khmr Khojki:khoj
Khudawadi:sind Kirat_Rai:krai Lao:laoo Latin:latn Lepcha:lepc Limbu:limb Linear_A:lina Linear_B:linb Lisu Lycian:lyci
Lydian:lydi Mahajani:mahj Makasar:maka Malayalam:mlym Mandaic:mand Manichaean:mani Marchen:marc Masaram_Gondi:gonm
Medefaidrin:medf Meetei_Mayek:mtei Mende_Kikakui:mend Meroitic_Cursive:merc Meroitic_Hieroglyphs:mero Miao:plrd Modi
Mongolian:mong Mro:mroo Multani:mult Myanmar:mymr Nabataean:nbat Nag_Mundari:nagm Nandinagari:nand New_Tai_Lue:talu
Newa Nko:nkoo Nushu:nshu Nyiakeng_Puachue_Hmong:hmnp Ogham:ogam Ol_Chiki:olck Ol_Onal:onao Old_Hungarian:hung
Old_Italic:ital Old_North_Arabian:narb Old_Permic:perm Old_Persian:xpeo Old_Sogdian:sogo Old_South_Arabian:sarb
Old_Turkic:orkh Old_Uyghur:ougr Oriya:orya Osage:osge Osmanya:osma Pahawh_Hmong:hmng Palmyrene:palm Pau_Cin_Hau:pauc
Phags_Pa:phag Phoenician:phnx Psalter_Pahlavi:phlp Rejang:rjng Runic:runr Samaritan:samr Saurashtra:saur Sharada:shrd
Shavian:shaw Siddham:sidd SignWriting:sgnw Sinhala:sinh Sogdian:sogd Sora_Sompeng:sora Soyombo:soyo Sundanese:sund
Sunuwar:sunu Syloti_Nagri:sylo Syriac:syrc Tagalog:tglg Tagbanwa:tagb Tai_Le:tale Tai_Tham:lana Tai_Viet:tavt
Takri:takr Tamil:taml Tangsa:tnsa Tangut:tang Telugu:telu Thaana:thaa Thai Tibetan:tibt Tifinagh:tfng Tirhuta:tirh
Todhri:todr Toto Tulu_Tigalari:tutg Ugaritic:ugar Vai:vaii Vithkuqi:vith Wancho:wcho Warang_Citi:wara Yezidi:yezi
Yi:yiii Zanabazar_Square:zanb""".split()
BINARY = "Alphabetic Uppercase Lowercase Emoji Emoji_Presentation Emoji_Modifier Emoji_Modifier_Base Emoji_Component Extended_Pictographic Ideographic Unified_Ideograph Variation_Selector Math Dash".split()


def taken_out(pre_tokenizer):
    """The code points that this pre-tokenizer, with behavior "removed", removes from all there are."""
    out, at = set(), 0
    for _, (begin, end) in pre_tokenizer.pre_tokenize_str(ALL):
        out.update(CODE_POINTS[at:begin])
        at = end
    return out | set(CODE_POINTS[at:])


def matches(pattern):
    return taken_out(pre_tokenizers.Split(Regex(pattern), "removed"))


def ranges(points):
    out = []
    for c in sorted(points):
        if out and NEXT[out[-1][1]] == c:
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


def show(items, indent="    ", width=116):
    lines, line = [], indent
    for item in items:
        if len(line) + len(item) + 1 > width:
            lines.append(line.rstrip())
            line = indent
        line += item + ", "
    return "\n".join(lines + [line.rstrip()])


def print_values(comment, name, values):
    """{first code point << 8 | value}, one entry wherever the value changes."""
    entries, last = [], None
    for c in CODE_POINTS:
        value = values.get(c, 0)
        if value != last:
            entries.append(f"{c << 8 | value:#x}")
            last = value
    print(f"// {comment}\ninline constexpr auto {name} = std::to_array<std::uint32_t>({{\n{show(entries)}\n}});\n")


def print_ranges(comment, name, points):
    items = [f"{{{a:#x}, {b:#x}}}" for a, b in ranges(points)]
    print(f"// {comment}\ninline constexpr auto {name} = std::to_array<CodePointRange>({{\n{show(items)}\n}});\n")


def lower_case_exceptions():
    utf8proc = ctypes.CDLL("libutf8proc.so.2")
    utf8proc.utf8proc_tolower.restype = ctypes.c_int32
    lower = normalizers.Lowercase()
    for c in CODE_POINTS:
        if c == 0x130:  # the one with two characters
            continue
        ours, theirs = utf8proc.utf8proc_tolower(c), lower.normalize_str(chr(c))
        assert len(theirs) == 1, hex(c)
        if ord(theirs) != ours:
            yield c, ord(theirs)


def main():
    category = {c: i for i, name in enumerate(CATEGORIES) for c in matches(r"\p{%s}" % name)}
    assert len(category) == len(CODE_POINTS)
    of = lambda *names: {c for c, i in category.items() if CATEGORIES[i].startswith(names)}

    names = [(s.split(":") + [s])[:2] for s in SCRIPTS]
    scripts, known = {}, []
    for name, short in names:
        points = matches(r"\p{%s}" % name)
        assert points == matches(r"\p{%s}" % short), name
        known.append((name, short))
        for c in points:
            assert c not in scripts, (name, hex(c))
            scripts[c] = len(known)
    unknown = {c for c in CODE_POINTS if c not in scripts}
    assert unknown == matches(r"\p{Unknown}") and len(known) < 256

    binary = {name: matches(r"\p{%s}" % name) for name in BINARY}
    # What text/unicode/properties.cpp puts together from the tables below.
    low_word = set(map(ord, "²³¹¼½¾"))
    word = binary["Alphabetic"] | of("M", "Nd", "Pc")
    checks = {
        r"\w": word | low_word, r"[\w]": word, r"[[:word:]]": word, r"\d": of("Nd"), r"[[:alpha:]]": binary["Alphabetic"],
        r"[[:alnum:]]": binary["Alphabetic"] | of("Nd"), r"[[:upper:]]": binary["Uppercase"], r"[[:lower:]]": binary["Lowercase"],
        r"[[:punct:]]": of("P", "S"), r"[[:print:]]": set(CODE_POINTS) - of("Zl", "Zp", "Cc", "Cn"),
        r"[[:graph:]]": set(CODE_POINTS) - of("Z", "Cc", "Cn"), r"[[:cntrl:]]": of("Cc"), r"[[:blank:]]": of("Zs") | {9},
        r"\s": of("Z") | {9, 10, 11, 12, 13, 0x85}, r"[[:space:]]": of("Z") | {9, 10, 11, 12, 13, 0x85}, r"\p{Punct}": of("P"),
        r"\p{LC}": of("Lu", "Ll", "Lt"), r"\p{C}": of("C")}
    for pattern, expected in checks.items():
        if matches(pattern) != expected:
            got = matches(pattern)
            print("// CHECK", pattern, [hex(c) for c in got - expected][:20], [hex(c) for c in expected - got][:20], file=sys.stderr)

    print(f"""#pragma once
// What the reference (tokenizers {tokenizers.__version__}) takes every code point for, written by tools/golden/unicode_properties.py.
// Data of the Unicode Character Database, of the ages that the reference's parts have. Copyright (c) 1991-2025 Unicode,
// Inc., under the Unicode License v3 (https://www.unicode.org/license.txt).
#include <array>
#include <cstdint>
#include <string_view>
#include <utility>

#include "text/unicode/code_point_set.h"

// clang-format off
namespace sluice::text::unicode_tables {{

// In the order of the values of kCategoryOf.
inline constexpr auto kCategories = std::to_array<std::string_view>({{
{show([f'"{c}"' for c in CATEGORIES])}
}});

// Long and short names; their place here plus one is the value in kScriptOf, where 0 is no script.
inline constexpr auto kScripts = std::to_array<std::pair<std::string_view, std::string_view>>({{
{show([f'{{"{a.replace("_", "").lower()}", "{b.lower()}"}}' for a, b in known])}
}});
""")
    print_values("Regular expressions: general category. An entry is (first code point << 8 | value).", "kCategoryOf", category)
    print_values("Regular expressions: script.", "kScriptOf", scripts)
    print_ranges("Regular expressions: Alphabetic beyond L and Nl.", "kOtherAlphabetic", binary["Alphabetic"] - of("L", "Nl"))
    print_ranges("Regular expressions: Uppercase beyond Lu.", "kOtherUppercase", binary["Uppercase"] - of("Lu"))
    print_ranges("Regular expressions: Lowercase beyond Ll.", "kOtherLowercase", binary["Lowercase"] - of("Ll"))
    assert binary["Alphabetic"] >= of("L", "Nl") and binary["Uppercase"] >= of("Lu") and binary["Lowercase"] >= of("Ll")
    for name in BINARY[3:]:
        print_ranges(f"Regular expressions: {name}.", "k" + name.replace("_", ""), binary[name])
    punctuation = taken_out(pre_tokenizers.Punctuation("removed"))
    print_ranges("The Punctuation pre-tokenizer (older data).", "kPunctuation", punctuation)
    digits = set(CODE_POINTS)
    for piece, (begin, end) in pre_tokenizers.Digits(individual_digits=True).pre_tokenize_str("a" + "a".join(map(chr, CODE_POINTS)) + "a"):
        if end - begin > 1:
            digits -= set(map(ord, piece))
    print_ranges("The Digits pre-tokenizer (newer data).", "kDigits", digits - {97})
    exceptions = list(lower_case_exceptions())
    print(f"// The Lowercase normalizer (newer data): what utf8proc 2.8 does not know.\ninline constexpr auto kLowerCase = std::to_array<std::pair<char32_t, char32_t>>({{\n{show([f'{{{a:#x}, {b:#x}}}' for a, b in exceptions])}\n}});\n")
    print("}  // namespace sluice::text::unicode_tables\n// clang-format on")
    return 0


if __name__ == "__main__":
    sys.exit(main())
