"""Overload with four times the server's capacity: the excess is refused at once.

An open loop sends requests at a fixed rate, regardless of responses: first at three quarters of
the capacity, which is measured just before, then at four times the capacity.

Usage: python overload.py [SECONDS per load, default 10] [CHUNKS, default 100000]
"""

from __future__ import annotations

import asyncio
import sys

from _load import closed_loop, open_loop, serving, trawl_serve

import common


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    library = common.served_library(int(sys.argv[2]) if len(sys.argv) > 2 else common.CHUNKS)
    queries = common.Queries()
    with serving(trawl_serve(library)) as served:
        closed_loop(served.address, queries.paths(2_000), 4, 8)
        sustainable = closed_loop(served.address, queries.paths(20_000), 16, seconds).per_second
        print(f"sustainable: {sustainable:.0f} requests/s (16 clients)\n")
        print(
            "| requests/s | responses/s | p50 ms | p95 ms "
            "| refused | p95 ms of refusals | lost |\n|---|---|---|---|---|---|---|",
            flush=True,
        )
        for share in (0.75, 4.0):
            rate = share * sustainable
            paths = queries.paths(int(rate * seconds) + 10)
            responses = asyncio.run(open_loop(served.address, paths, rate, seconds))
            counts = responses.statuses()
            refused = counts[503] + counts[429]
            print(
                f"| {rate:.0f} ({share:g} times) | {counts[200] / seconds:.0f} "
                f"| {responses.percentile_ms(50, 200):.0f} "
                f"| {responses.percentile_ms(95, 200):.0f} "
                f"| {refused / max(1, counts.total()):.0%} "
                f"| {responses.percentile_ms(95, 503, 429):.1f} "
                f"| {counts[0] + counts[-1]} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
