"""The server under load: new queries, cached queries, and new queries while files are added.

A library of 100,000 chunks with `mini`, all sources; one process and two (`--workers 2`). The
client (`wrk` if installed, or one in Python) runs on the same cores.

Usage: python load.py [SECONDS per load, default 6] [CHUNKS, default 100000]
"""

from __future__ import annotations

import shutil
import sys

from _adding import add_to_trawl, adding, copied
from _load import HEADER, closed_loop, serving, trawl_serve

import common

CLIENTS = (1, 16, 64)


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 6.0
    library = common.served_library(int(sys.argv[2]) if len(sys.argv) > 2 else common.CHUNKS)
    queries = common.Queries()
    print(f"client: {'wrk' if shutil.which('wrk') else 'Python'}\n\n{HEADER}", flush=True)
    for workers in (1, 2):
        name = f"{workers} process{'es' if workers > 1 else ''}"
        with (
            copied(library) as copy,
            serving(trawl_serve(copy, "--workers", str(workers))) as served,
        ):
            # Warm up: load the library into memory.
            closed_loop(served.address, queries.paths(2_000), 4, 8)
            for clients in CLIENTS:
                load = closed_loop(served.address, queries.paths(40_000), clients, seconds)
                print(load.row(f"{name}, {clients} clients, new queries"), flush=True)
            few = queries.paths(50)
            closed_loop(served.address, few, 4, 2)
            for clients in CLIENTS:
                load = closed_loop(served.address, few, clients, seconds)
                print(load.row(f"{name}, {clients} clients, cached queries"), flush=True)
            for clients in CLIENTS:
                with adding(served, copy.parent, add_to_trawl) as files_per_s:
                    load = closed_loop(served.address, queries.paths(40_000), clients, 10)
                label = f"new queries while adding {files_per_s():.0f} files/s"
                print(load.row(f"{name}, {clients} clients, {label}"), flush=True)
            print(
                f"\n{name}: {served.memory_mb():,.0f} MB resident; "
                f"searches refused: {served.refusals() or 'none'}\n\n{HEADER}",
                flush=True,
            )


if __name__ == "__main__":
    main()
