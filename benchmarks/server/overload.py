"""Four times more than the server can do: the excess is refused at once, the rest keep their pace.

An open loop: questions come at a given rate, whatever becomes of those before. First at three
quarters of what the server can do (measured just before), then at four times as much.

Usage: python overload.py [SECONDS a load, default 10] [CHUNKS, default 100000]
"""

from __future__ import annotations

import asyncio
import sys

from _load import closed_loop, open_loop, serving, trawl_serve

import common


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    library = common.served_library(int(sys.argv[2]) if len(sys.argv) > 2 else common.CHUNKS)
    questions = common.Questions()
    with serving(trawl_serve(library)) as served:
        closed_loop(served.address, questions.paths(2_000), 4, 8)
        sustainable = closed_loop(served.address, questions.paths(20_000), 16, seconds).a_second
        print(f"sustainable: {sustainable:.0f} requests a second (16 clients)\n")
        print(
            "| asked a second | answered a second | p50 ms | p95 ms "
            "| refused | their p95 ms | lost |\n|---|---|---|---|---|---|---|",
            flush=True,
        )
        for share in (0.75, 4.0):
            rate = share * sustainable
            paths = questions.paths(int(rate * seconds) + 10)
            seen = asyncio.run(open_loop(served.address, paths, rate, seconds))
            counts = seen.statuses()
            refused = counts[503] + counts[429]
            print(
                f"| {rate:.0f} ({share:g} times) | {counts[200] / seconds:.0f} "
                f"| {seen.percentile_ms(50, 200):.0f} | {seen.percentile_ms(95, 200):.0f} "
                f"| {refused / max(1, counts.total()):.0%} "
                f"| {seen.percentile_ms(95, 503, 429):.1f} "
                f"| {counts[0] + counts[-1]} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
