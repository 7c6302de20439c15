"""The time and the cost of large libraries, from rates that are measured here: docs/scale.md.

Measures, on one core each: splitting and embedding passages, reading and embedding pictures, and
committing chunks with their indexes; and the bytes of a chunk on the disk. The table multiplies.
Prices are arguments, in dollars. Nothing of 100 million or 10 billion chunks is run.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

SIZES = (10**6, 10**8, 10**10)
PASSAGES, PICTURES, CHUNKS, BATCH = 2_000, 1_000, 40_000, 2_000
DIMENSION = 256
CODE_BITS = 5
CODE_EXTRA_BYTES = 24
"""Row id, factors and the share of the centroids, for each vector of an index."""

# A shard is searched in about 10 ms and its codes fit into the memory of a small machine.
SHARD = 10**7
GPU_PICTURES_S = 1_223
"""Decoded photos a second of a ViT-B/32 on an H200 (`gpu.py`)."""


def core_seconds(work: Callable[[], int]) -> float:
    """Return the processor seconds of one unit of `work`, which returns how many it did."""
    before = os.times()
    done = work()
    after = os.times()
    spent = sum(after[:4]) - sum(before[:4])
    return spent / done


def add_passages(folder: Path) -> int:
    from trawl import Library

    draw = np.random.default_rng(0)
    words = ["".join(draw.choice(list("aeioustrnl"), 6)) for _ in range(5_000)]
    for number in range(PASSAGES):
        text = " ".join(draw.choice(words, 90))
        (folder / f"{number}.txt").write_text(text)
    with Library(folder / "library", create=True, reader_workers=1) as library:
        library.add(folder)
        return sum(library.status().chunks.values())


def add_pictures(folder: Path) -> int:
    from trawl import Library

    draw = np.random.default_rng(0)
    for number in range(PICTURES):
        small = draw.integers(0, 255, (24, 32, 3), np.uint8)
        Image.fromarray(small).resize((640, 480)).save(folder / f"{number}.jpg", quality=85)
    with Library(folder / "library", create=True, reader_workers=1) as library:
        library.add(folder)
        return sum(library.status().chunks.values())


def commit(folder: Path) -> tuple[float, float]:
    """Return the chunks a second of one writer, and the bytes of a chunk on the disk."""
    from trawl.locations import location_of
    from trawl.store import Store, write_lock
    from trawl.types import Chunk, Document, Space, Span

    draw = np.random.default_rng(1)
    words = np.array(["".join(draw.choice(list("aeioustrnl"), 6)) for _ in range(20_000)])
    location = location_of(folder)
    store = Store.create(location, {"mini.text": Space("mini", DIMENSION, "f")})
    seconds = 0.0
    with write_lock(location) as lock:
        writer = store.writer(lock)
        for start in range(0, CHUNKS, BATCH):
            vectors = draw.standard_normal((BATCH, DIMENSION)).astype(np.float32)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            batch = []
            for n, vector in enumerate(vectors, start):
                text = " ".join(words[draw.zipf(1.3, 90) % len(words)])
                document = Document(f"{n:024x}", f"/d/{n}", "h", "text/plain", f"T{n}", {}, 1)
                chunk = Chunk(f"{n:024x}", 0, "text", Span(), text, {"mini.text": vector})
                batch.append((document, [chunk]))
            began = time.perf_counter()
            writer.commit(batch)
            seconds += time.perf_counter() - began
        began = time.perf_counter()
        writer.maintain()
        seconds += time.perf_counter() - began
    live = store.refresh()._dataset
    files = live.tracked_files(min_version=live.version).read_all()["path"].to_pylist()
    size = sum((folder / "chunks.lance" / name).stat().st_size for name in files)
    store.close()
    return CHUNKS / seconds, size / CHUNKS


def long(seconds: float) -> str:
    for unit, length in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.0f} {unit}"
    return f"{seconds:.0f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--core-hour", type=float, default=0.04)
    parser.add_argument("--gpu-hour", type=float, default=3.0)
    parser.add_argument("--gb-month", type=float, default=0.023, help="of the object store")
    parser.add_argument("--memory-gb-month", type=float, default=3.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        places = [Path(folder, name) for name in ("passages", "pictures", "commits")]
        for place in places:
            place.mkdir()
        passage_s = core_seconds(lambda: add_passages(places[0]))
        picture_s = core_seconds(lambda: add_pictures(places[1]))
        rate, size = commit(places[2])
    print(
        f"one core: {1 / passage_s:,.0f} passages/s, {1 / picture_s:,.0f} pictures/s; "
        f"one writer: {rate:,.0f} chunks/s; {size:,.0f} bytes a chunk on the disk\n"
    )
    code = DIMENSION * CODE_BITS / 8 + CODE_EXTRA_BYTES
    rows: list[tuple[str, Callable[[int], str]]] = [
        ("passages by mini, core-hours", lambda n: f"{n * passage_s / 3600:,.0f}"),
        ("  dollars", lambda n: f"{n * passage_s / 3600 * given.core_hour:,.0f}"),
        ("pictures by mini, core-hours", lambda n: f"{n * picture_s / 3600:,.0f}"),
        ("  dollars", lambda n: f"{n * picture_s / 3600 * given.core_hour:,.0f}"),
        ("pictures by ViT-B/32, GPU-hours", lambda n: f"{n / GPU_PICTURES_S / 3600:,.1f}"),
        ("  dollars", lambda n: f"{n / GPU_PICTURES_S / 3600 * given.gpu_hour:,.0f}"),
        ("one writer", lambda n: long(n / rate)),
        ("  cores of pictures that keep it busy", lambda n: f"{rate * picture_s:,.0f}"),
        ("object store, GB", lambda n: f"{n * size / 1e9:,.0f}"),
        ("  dollars a month", lambda n: f"{n * size / 1e9 * given.gb_month:,.0f}"),
        (f"index of {CODE_BITS}-bit codes in memory, GB", lambda n: f"{n * code / 1e9:,.1f}"),
        ("  dollars a month", lambda n: f"{n * code / 1e9 * given.memory_gb_month:,.0f}"),
        (f"libraries of {SHARD:,}", lambda n: f"{max(1, n // SHARD):,}"),
        ("one search of all of them, core-seconds", lambda n: f"{max(1, n // SHARD) * 0.01:,.2f}"),
    ]
    print("| chunks |" + "|".join(f" {size:,} " for size in SIZES) + "|")
    print("|---" * (len(SIZES) + 1) + "|")
    for name, value in rows:
        print(f"| {name} |" + "|".join(f" {value(size)} " for size in SIZES) + "|")


if __name__ == "__main__":
    main()
