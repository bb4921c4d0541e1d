#!/usr/bin/env python3
"""Holds every #include to the walls of the house.

The table of who may see whom is read from cmake/Walls.cmake, so configure and this check cannot disagree. The table
itself may hold no circle. On top of it, outside headers are kept in their rooms (OUTSIDE below).

Usage: check_walls.py [--edges] [ROOT]; exits 1 and lists every crossing. --edges prints who really includes whom.
"""
import collections
import pathlib
import re
import sys

SOURCES = {".h", ".cpp", ".inl", ".cu", ".cuh"}
OUTSIDE = [
    (re.compile(r"^(ucp|ucs|uct)/"), re.compile(r"^(kvtransfer/transport/ucx|tests/kvtransfer_transport/)"), "UCX"),
    (re.compile(r"^boost/beast"), re.compile(r"^(common/etcd/|common/http/|coordinator/http/|tests/)"), "Beast"),
    (re.compile(r"^openssl/ssl\.h|^boost/asio/ssl"), re.compile(r"^(common/tls/|tests/common_tls/)"), "TLS"),
    (re.compile(r"^(cuda|cublas|nccl)"), re.compile(r"^(engine/cuda/|kvtransfer/codec/cuda/|common/cuda_raii\.h)|\.cu$"), "CUDA"),
    (re.compile(r"^sodium"), re.compile(r"^(common/prefix/|kvstore/object/)"), "libsodium"),
    (re.compile(r"^hiredis/"), re.compile(r"^kvstore/tier/redis_connection\.cpp$"), "hiredis"),
    (re.compile(r"^(oneapi/dnnl|dnnl)"), re.compile(r"^(engine/cpu/|tools/bench/|tests/)"), "oneDNN"),
]
Table = dict[str, list[str]]


def read_table(root: pathlib.Path) -> Table:
    block = re.search(r"set\(SLUICE_WALLS\n(.*?)\n\)", (root / "cmake/Walls.cmake").read_text(), re.S)
    rows = re.findall(r'^\s*"([^:"]+):([^"]*)"$', block.group(1), re.M) if block else []
    if len(rows) < 5:
        sys.exit("check_walls: cannot read the walls from cmake/Walls.cmake")
    return {place: sees.split() for place, sees in rows}


def place_of(folder: str, table: Table) -> str | None:
    while folder and folder not in table:
        folder = folder.rpartition("/")[0]
    return folder or None


def sees(place: str, other: str, table: Table) -> bool:
    return other == place or any(
        e == other or (e.endswith("/*") and f"{other}/".startswith(e[:-1])) for e in table[place])


def circle(table: Table) -> list[str] | None:
    done: set[str] = set()

    def walk(place: str, path: list[str]) -> list[str] | None:
        if place in path:
            return path[path.index(place):] + [place]
        if place in done:
            return None
        for other in table:
            if other != place and sees(place, other, table):
                if found := walk(other, path + [place]):
                    return found
        done.add(place)
        return None

    for place in table:
        if found := walk(place, []):
            return found
    return None


def main() -> int:
    args = [a for a in sys.argv[1:] if a != "--edges"]
    root = pathlib.Path(args[0] if args else pathlib.Path(__file__).resolve().parent.parent)
    table = read_table(root)
    rooms = {place.split("/")[0] for place in table}
    include = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.M)
    bad, files, edges = [], 0, collections.Counter()
    if found := circle(table):
        bad.append("cmake/Walls.cmake: a circle: " + " -> ".join(found))
    for room in sorted(rooms):
        for file in sorted((root / room).rglob("*")):
            if file.suffix not in SOURCES:
                continue
            files += 1
            path = file.relative_to(root).as_posix()
            place = place_of(path.rpartition("/")[0], table)
            if place is None:
                bad.append(f"{path}: its folder has no row in cmake/Walls.cmake")
                continue
            for kind, name in include.findall(file.read_text(errors="replace")):
                if kind == '"' and name.split("/")[0] in rooms:
                    other = place_of(name.rpartition("/")[0], table)
                    if other is None or not sees(place, other, table):
                        bad.append(f"{path}: {place} may not include \"{name}\"")
                    elif other != place:
                        edges[place, other] += 1
                for header, where, what in OUTSIDE:
                    if header.search(name) and not where.search(path):
                        bad.append(f"{path}: {what} header <{name}> outside its room")
    if "--edges" in sys.argv:
        for (a, b), n in sorted(edges.items()):
            print(f"{a} -> {b}: {n}")
    print("\n".join(bad) if bad else f"check_walls: {files} files, no crossing")
    return 1 if bad or not files else 0


if __name__ == "__main__":
    sys.exit(main())
