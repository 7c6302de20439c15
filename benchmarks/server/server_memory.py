"""The server's memory after 100,000 requests against that after 1,000, and in a crowd of 10,000.

A third of the requests are questions never asked before, the others come from 300 popular ones.

Usage: python server_memory.py [REQUESTS, default 100000] [CHUNKS, default 100000]
"""

from __future__ import annotations

import asyncio
import random
import resource
import sys

from _load import Connection, Served, ask_each, serving, trawl_serve

import common

CONNECTIONS = 10_000
CLIENTS = 16


def mixture(questions: common.Questions, count: int) -> list[str]:
    """Give addresses, a third of them new."""
    draw, popular = random.Random(0), questions.paths(300)
    new = iter(questions.paths(count // 3 + 1))
    return [next(new) if number % 3 == 0 else draw.choice(popular) for number in range(count)]


async def crowd(served: Served, connections: int) -> None:
    """Open connections that ask nothing, and ask from one that was there before them."""
    inside = Connection(served.address)
    await inside.get("/health/live")
    before = served.memory_mb()
    open_ones, failed = [], 0
    for _ in range(connections):
        try:
            open_ones.append(await asyncio.open_connection(*served.peer()))
        except OSError:
            failed += 1
    statuses = [(await inside.get("/search?query=muon"))[0] for _ in range(50)]
    print(
        f"{connections:,} connections ({failed} could not be opened here): memory grew by "
        f"{served.memory_mb() - before:.0f} MB; one that was there before was answered "
        f"{statuses.count(200)} times of 50"
    )
    for _, writer in open_ones:
        writer.close()
    await asyncio.sleep(2)
    late = Connection(served.address)
    print(f"afterwards a new one is answered with {(await late.get('/health/live'))[0]}")
    await late.close()
    await inside.close()


def main() -> None:
    requests = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    library = common.served_library(int(sys.argv[2]) if len(sys.argv) > 2 else common.CHUNKS)
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    connections = min(CONNECTIONS, hard - 500)
    paths = mixture(common.Questions(), requests)
    with serving(trawl_serve(library)) as served:
        seen = asyncio.run(ask_each(served.address, paths[:1_000], CLIENTS))
        first = served.memory_mb()
        asked = 1_000
        while asked < len(paths):
            part = paths[asked : asked + len(paths) // 10]
            more = asyncio.run(ask_each(served.address, part, CLIENTS))
            for status, took in more.seconds.items():
                seen.seconds.setdefault(status, []).extend(took)
            asked += len(part)
            print(f"after {asked:,} requests: {served.memory_mb():,.0f} MB", flush=True)
        last = served.memory_mb()
        print(
            f"after 1,000: {first:,.0f} MB; "
            f"after {asked:,}: {last:,.0f} MB ({last / first - 1:+.1%})"
        )
        print(f"statuses: {dict(seen.statuses())}")
        asyncio.run(crowd(served, connections))


if __name__ == "__main__":
    main()
