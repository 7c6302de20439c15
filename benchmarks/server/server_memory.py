"""The server's memory after 100,000 requests compared with 1,000, and with 10,000 connections.

A third of the requests are new queries, the others repeat 300 popular ones.

Usage: python server_memory.py [REQUESTS, default 100000] [CHUNKS, default 100000]
"""

from __future__ import annotations

import asyncio
import random
import resource
import sys

from _load import Connection, Served, request_each, serving, trawl_serve

import common

CONNECTIONS = 10_000
CLIENTS = 16


def mixture(queries: common.Queries, count: int) -> list[str]:
    """Return paths of searches, a third of them new."""
    draw, popular = random.Random(0), queries.paths(300)
    new = iter(queries.paths(count // 3 + 1))
    return [next(new) if number % 3 == 0 else draw.choice(popular) for number in range(count)]


async def connect_many(served: Served, connections: int) -> None:
    """Open idle connections, and send requests on one that was opened before them."""
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
        f"{connections:,} connections ({failed} could not be opened): memory grew by "
        f"{served.memory_mb() - before:.0f} MB; an earlier connection got "
        f"{statuses.count(200)} of 50 responses"
    )
    for _, writer in open_ones:
        writer.close()
    await asyncio.sleep(2)
    late = Connection(served.address)
    print(f"afterwards a new connection gets {(await late.get('/health/live'))[0]}")
    await late.close()
    await inside.close()


def main() -> None:
    requests = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    library = common.served_library(int(sys.argv[2]) if len(sys.argv) > 2 else common.CHUNKS)
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    connections = min(CONNECTIONS, hard - 500)
    paths = mixture(common.Queries(), requests)
    with serving(trawl_serve(library)) as served:
        responses = asyncio.run(request_each(served.address, paths[:1_000], CLIENTS))
        first = served.memory_mb()
        sent = 1_000
        while sent < len(paths):
            part = paths[sent : sent + len(paths) // 10]
            more = asyncio.run(request_each(served.address, part, CLIENTS))
            for status, took in more.seconds.items():
                responses.seconds.setdefault(status, []).extend(took)
            sent += len(part)
            print(f"after {sent:,} requests: {served.memory_mb():,.0f} MB", flush=True)
        last = served.memory_mb()
        print(
            f"after 1,000: {first:,.0f} MB; "
            f"after {sent:,}: {last:,.0f} MB ({last / first - 1:+.1%})"
        )
        print(f"statuses: {dict(responses.statuses())}")
        asyncio.run(connect_many(served, connections))


if __name__ == "__main__":
    main()
