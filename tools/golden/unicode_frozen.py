#!/usr/bin/env python3
"""Print the code points whose normalization the reference does not know: the table of text/unicode/unicode_frozen.h.

The `tokenizers` package normalizes with data of an old Unicode version and leaves later characters alone; utf8proc
knows them. A model's ids come from the reference, so ours leaves the same characters alone. Needs `tokenizers` and
libutf8proc.
"""
import ctypes
import sys

from tokenizers import normalizers

lib = ctypes.CDLL("libutf8proc.so.2")
lib.utf8proc_get_property.restype = ctypes.POINTER(ctypes.c_int16)
lib.utf8proc_version.restype = lib.utf8proc_unicode_version.restype = ctypes.c_char_p
for form in ("utf8proc_NFC", "utf8proc_NFD", "utf8proc_NFKD"):
    getattr(lib, form).restype = ctypes.c_char_p
ref_nfc, ref_nfd, ref_nfkd = normalizers.NFC(), normalizers.NFD(), normalizers.NFKD()


def combining_class(c):
    return lib.utf8proc_get_property(c)[1]


def reorders(c):
    """Does the reference move this mark, or the mark beside it, into canonical order?"""
    k, mark = combining_class(c), chr(c)
    low, high = ("\u0334", 1), ("\u0345", 240)
    s = "a" + mark + low[0] if k > low[1] else "a" + high[0] + mark
    return ref_nfd.normalize_str(s) != s


def unknown(c):
    if combining_class(c) and not reorders(c):
        return [c]
    s = chr(c)
    raw = s.encode()
    canonical = lib.utf8proc_NFD(raw).decode()
    if ref_nfd.normalize_str(s) != canonical:
        return [c] + [ord(p) for p in canonical]  # nor may the parts compose
    composed = lib.utf8proc_NFC(canonical.encode()).decode()
    if ref_nfc.normalize_str(canonical) != composed or ref_nfkd.normalize_str(s) != lib.utf8proc_NFKD(raw).decode():
        return [c]
    return []


def main():
    found = sorted({p for c in range(1, 0x110000) if not 0xD800 <= c <= 0xDFFF for p in unknown(c)})
    ranges = []
    for c in found:
        if ranges and ranges[-1][1] == c - 1:
            ranges[-1][1] = c
        else:
            ranges.append([c, c])
    print(f"// {len(found)} code points; utf8proc {lib.utf8proc_version().decode()}, Unicode {lib.utf8proc_unicode_version().decode()}")
    print(", ".join(f"{{0x{a:X}, 0x{b:X}}}" for a, b in ranges))
    return 0


if __name__ == "__main__":
    sys.exit(main())
