#!/usr/bin/env python3
"""Holds every #include to the walls of the house.

The table of who may see whom is read from cmake/Sluice.cmake, so configure and this check cannot disagree. On top of
it, outside headers are kept in their rooms: UCX in kvtransfer/transport/ucx*, Beast in the HTTP and RPC files, CUDA in
engine/cuda, kvtransfer/codec/cuda and one RAII header.

Usage: check_walls.py [ROOT]; exits 1 and lists every crossing.
"""
import pathlib
import re
import sys

SOURCES = {".h", ".cpp", ".cu", ".cuh"}
OUTSIDE = [
    (re.compile(r"^(ucp|ucs|uct)/"), re.compile(r"^(kvtransfer/transport/ucx|tests/kvtransfer_transport/)"), "UCX"),
    (re.compile(r"^boost/beast"), re.compile(r"^(common/http/|coordinator/http_|tests/)"), "Beast"),
    (re.compile(r"^(cuda|cublas|nccl)"), re.compile(r"^(engine/cuda/|kvtransfer/codec/cuda/|common/cuda_raii\.h)|\.cu$"), "CUDA"),
    (re.compile(r"^(oneapi/dnnl|dnnl)"), re.compile(r"^(engine/cpu/|tools/bench/|tests/)"), "oneDNN"),
]


def walls(root: pathlib.Path) -> dict[str, set[str]]:
    text = (root / "cmake/Sluice.cmake").read_text()
    table = {room: set(filter(None, deps.split(";"))) for room, deps in re.findall(r'set\(SLUICE_WALL_(\w+) "([^"]*)"\)', text)}
    if len(table) < 5:
        sys.exit("check_walls: cannot read the walls from cmake/Sluice.cmake")
    return table


def allowed(room: str, path: str, target: str, table: dict[str, set[str]]) -> bool:
    if target == room or target in table[room]:
        return True
    # The simulator runs the daemons' own scheduler: the one exception, and only that header set.
    return path.startswith("coordinator/sim/") and target == "engine"


def main() -> int:
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent)
    table = walls(root)
    include = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.M)
    bad, files = [], 0
    for room in table:
        for file in sorted((root / room).rglob("*")):
            if file.suffix not in SOURCES:
                continue
            files += 1
            path = file.relative_to(root).as_posix()
            for kind, name in include.findall(file.read_text(errors="replace")):
                target = name.split("/")[0]
                if kind == '"' and target in table and not allowed(room, path, target, table):
                    bad.append(f"{path}: room '{room}' may not include \"{name}\"")
                for header, place, what in OUTSIDE:
                    if header.search(name) and not place.search(path):
                        bad.append(f"{path}: {what} header <{name}> outside its room")
    print("\n".join(bad) if bad else f"check_walls: {files} files, no crossing")
    return 1 if bad or not files else 0


if __name__ == "__main__":
    sys.exit(main())
