"""The server under load: new questions, cached ones, and new ones while files are added.

One library of 100,000 chunks, `mini`, all sources and words asked; the client (`wrk`, or this
project's own where it is not installed) has its share of the same cores. Given for one process
and for two (`--workers 2`).

Usage: python load.py [SECONDS a load, default 6] [CHUNKS, default 100000]
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
    questions = common.Questions()
    print(f"client: {'wrk' if shutil.which('wrk') else 'Python'}\n\n{HEADER}", flush=True)
    for workers in (1, 2):
        name = f"{workers} process{'es' if workers > 1 else ''}"
        with (
            copied(library) as copy,
            serving(trawl_serve(copy, "--workers", str(workers))) as served,
        ):
            # What is read into memory at the start, and what is read once, is read by then.
            closed_loop(served.address, questions.paths(2_000), 4, 8)
            for clients in CLIENTS:
                load = closed_loop(served.address, questions.paths(40_000), clients, seconds)
                print(load.row(f"{name}, {clients} clients, new questions"), flush=True)
            few = questions.paths(50)
            closed_loop(served.address, few, 4, 2)
            for clients in CLIENTS:
                load = closed_loop(served.address, few, clients, seconds)
                print(load.row(f"{name}, {clients} clients, cached questions"), flush=True)
            for clients in CLIENTS:
                with adding(served, copy.parent, add_to_trawl) as files_a_second:
                    load = closed_loop(served.address, questions.paths(40_000), clients, 10)
                said = f"new questions while {files_a_second():.0f} files a second are added"
                print(load.row(f"{name}, {clients} clients, {said}"), flush=True)
            print(
                f"\n{name}: {served.memory_mb():,.0f} MB resident; "
                f"searches refused: {served.refusals() or 'none'}\n\n{HEADER}",
                flush=True,
            )


if __name__ == "__main__":
    main()
