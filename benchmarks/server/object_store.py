"""Searching a library of 100,000 chunks in an object store against one in a directory.

moto's S3 server runs in another process, behind a gateway that adds 20 ms to each request and
counts them. Prints the median and the 95th percentile of a search, and the requests that a search
sends, without those that look for new versions.
"""

from __future__ import annotations

import json
import multiprocessing
import statistics
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lance

from common import Queries, served_library

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

DELAY_S = 0.020
QUERIES = 100
SLOW_QUERIES = 10  # in the store itself
COMMITS = 5
MEMORY = 512 * 2**20


def serve(pipe: Any, delay_s: float) -> None:
    """Run the store and the gateway, and send their options."""
    from buckets import Gateway, new_bucket, serving_buckets

    with serving_buckets() as options, Gateway(options, delay_s) as gateway:
        pipe.send((new_bucket(options), options, gateway.options))
        pipe.recv()


@contextmanager
def store() -> Iterator[tuple[str, dict[str, str], dict[str, str]]]:
    """Yield the address of a bucket, and the options without and with the delay."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, DELAY_S), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        process.kill()


def counts(options: dict[str, str]) -> dict[str, int]:
    """Return the requests since the last call."""
    with urllib.request.urlopen(f"{options['aws_endpoint']}/-/counts") as answer:
        return dict(json.load(answer))


def upload(source: Path, address: str, options: dict[str, str]) -> float:
    from trawl.locations import location_of

    there = location_of(address, options)
    began = time.monotonic()
    there.write("library.json", (source / "library.json").read_bytes())
    for table in ("chunks", "documents", "media"):
        dataset = lance.dataset(str(source / f"{table}.lance"))
        files = dataset.tracked_files(min_version=dataset.version).read_all()["path"]
        for name in files.to_pylist():
            path = source / f"{table}.lance" / name
            there.write(f"{table}.lance/{name}", path.read_bytes())
    return time.monotonic() - began


def timed(library: Any, count: int = QUERIES) -> list[float]:
    """Return the milliseconds of searches that never repeat, after a fifth as many others."""
    queries = Queries(1)
    times = []
    for number in range(-count // 5, count):
        query = next(queries)
        began = time.perf_counter()
        library.search(query)
        if number >= 0:
            times.append((time.perf_counter() - began) * 1_000)
    return times


def report(name: str, times: list[float], baseline: list[float], sent: dict[str, int]) -> None:
    middle = statistics.median(times)
    requests = sum(count for kind, count in sent.items() if kind != "LIST") / (len(times) * 6 // 5)
    print(
        f"{name:<34} {middle:7.1f} {statistics.quantiles(times, n=20)[-1]:7.1f} "
        f"{middle / statistics.median(baseline):6.2f} {requests:8.1f}",
        flush=True,
    )


def wait_for_copy(library: Any) -> float:
    began = time.monotonic()
    while not library._store.snapshot()._dataset.uri.startswith(("/", "file:")):
        time.sleep(0.05)
    return time.monotonic() - began


def freshness(address: str, options: dict[str, str], reader: Any, cache: Path) -> list[float]:
    """Return the seconds from a commit by another process's library until `reader` shows it."""
    from trawl import Library

    times = []
    with Library(address, storage_options=options, cache_dir=cache, mirror_bytes=0) as writer:
        for number in range(COMMITS):
            note = cache / f"note{number}.txt"
            note.write_text(f"The word of commit {number} is zyzzyva{number}.")
            seen: list[float] = []

            def look(word: str = f"zyzzyva{number}", seen: list[float] = seen) -> None:
                while not any("zyzzyva" in hit.snippet for hit in reader.search(word).hits):
                    time.sleep(0.01)
                seen.append(time.monotonic())

            looking = threading.Thread(target=look)
            looking.start()
            writer.add(note)
            returned = time.monotonic()
            looking.join()
            times.append(seen[0] - returned)
    return times


def main() -> None:
    from trawl import Library

    source = served_library()
    with store() as (address, near, far), tempfile.TemporaryDirectory() as folder:
        print(f"upload {upload(source, address, near):.1f} s; each request takes 20 ms more")
        print(f"{'':<34} {'median':>7} {'p95':>7} {'ratio':>6} {'requests':>8}")
        local: dict[int, list[float]] = {}
        for memory in (0, MEMORY):
            kind = "memory tier" if memory else "engine"
            with Library(source) as library:
                library._store.hold(memory, Path(folder))
                library._store.settle()
                local[memory] = timed(library)
            report(f"directory, {kind}", local[memory], local[memory], {})
            for name, size in (("copied", 2**40), ("not copied", 0)):
                if not size and not memory:
                    continue  # over ten seconds each: every search reads vectors from the store
                cache = Path(folder, f"cache{memory}-{name}")
                with Library(
                    address, storage_options=far, cache_dir=cache, mirror_bytes=size
                ) as library:
                    library._store.hold(memory, Path(folder))
                    library.search("the first search")
                    took = wait_for_copy(library) if size else 0.0
                    library._store.settle()
                    counts(far)
                    times = timed(library, QUERIES if size else SLOW_QUERIES)
                    note = f" ({took:.1f} s)" if size else ""
                    report(f"object store, {kind}, {name}{note}", times, local[memory], counts(far))
                    if size and memory:
                        seen = freshness(address, near, library, Path(folder))
                        print("commit to visible, s:", *(f"{one:.2f}" for one in seen))


if __name__ == "__main__":
    main()
