"""A library of many chunks on one machine: what each operation takes, and a reader's memory.

Usage: python million.py [CHUNKS [DIRECTORY]] (default 100000). Documents have five passages of real
words and three metadata columns. The vectors are those of 2,000 topics with variances that
fall as in real embeddings. A library in DIRECTORY is used again.
"""

from __future__ import annotations

import datetime
import itertools
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from pydoc_data.topics import topics

import lance
import numpy as np

from trawl import Library
from trawl.store import DocumentRow, write_lock
from trawl.store.rows import chunk_rows, document_table
from trawl.types import Chunk, Document, Span

PASSAGES = 5
SOURCE = "mini.text"
BATCH = 2_000
TOPICS = 2_000

Pair = tuple[Document, list[Chunk]]

READER = """
import sys, time
import numpy as np
from trawl import Library

def timed(name, call, times=1):
    took = []
    for _ in range(times):
        began = time.perf_counter()
        found = call()
        took.append((time.perf_counter() - began) * 1000)
    print(f"| {name} | {np.median(took):,.1f} |", flush=True)
    return found

library = timed("open", lambda: Library(sys.argv[1]))
timed("first search, models loaded with it", lambda: library.search("statement of a class"))
words = "object method value string module exception operator syntax".split()
queries = iter([f"{one} {other}" for one in words for other in words])
timed("search, from disk (median of 15)", lambda: library.search(next(queries)), 15)
began = time.perf_counter()
library.warm()
library._store.settle()
print(f"| reading into memory | {(time.perf_counter() - began) * 1000:,.1f} |")
timed("search, in memory (median of 15)", lambda: library.search(next(queries)), 15)
snapshot = library._store.snapshot()
held = snapshot.holds("mini.text")
stored = snapshot.sample("mini.text", 200).vectors
noise = np.random.default_rng(1).standard_normal(stored.shape).astype(np.float32)
probes = stored + 0.3 * noise * np.linalg.norm(stored, axis=1, keepdims=True) / 16
probes /= np.linalg.norm(probes, axis=1, keepdims=True)
snapshot.nearest("mini.text", probes[0], 100, None)
each = iter(probes)
timed(f"vectors alone, top 100, held in memory: {held} (median of 100)",
      lambda: snapshot.nearest("mini.text", next(each), 100, None), 100)
total = library.document_page(limit=1).total
library = Library(sys.argv[1])
timed("first page of the documents", lambda: library.document_page(limit=50))
timed("first page again", lambda: library.document_page(limit=50), 5)
timed("page in the middle", lambda: library.document_page(limit=50, offset=total // 2))
timed("first page by year", lambda: library.document_page(limit=50, sort="-year"))
timed("page in the middle by year",
      lambda: library.document_page(limit=50, offset=total // 2, sort="-year"))
timed("first page of a year", lambda: library.document_page(limit=50, where="year = 2001"))
timed("status", library.status)
timed("status again", library.status)
timed("facets of three keys", lambda: library.facets(["year", "kind", "author"]))
timed("facets again", lambda: library.facets(["year", "kind", "author"]))
def megabytes(name):
    return int(open("/proc/self/status").read().split(name + ":")[1].split()[0]) // 1024

print(f"peak memory {megabytes('VmHWM'):,} MB; now {megabytes('RssAnon'):,} MB of its own and "
      f"{megabytes('RssFile'):,} MB of files")

exact = np.zeros(0)
hits = {10: 0, 100: 0}
best = [[] for _ in probes]
for names, vectors in library._store.snapshot().batches("mini.text", "text"):
    found = vectors @ probes.T
    for one in range(len(probes)):
        top = np.argpartition(-found[:, one], min(100, len(found) - 1))[:100]
        best[one] += zip(found[top, one].tolist(), names[top].tolist())
        if len(best[one]) > 2000:
            best[one] = sorted(best[one], reverse=True)[:100]
for one, probe in enumerate(probes):
    for depth in hits:
        found = snapshot.take(snapshot.nearest("mini.text", probe, depth, None).rows.tolist())
        exact = {name.decode() for _, name in sorted(best[one], reverse=True)[:depth]}
        hits[depth] += len(exact & {chunk.chunk_id for chunk in found})
print("recall", {depth: round(hit / depth / len(probes), 4) for depth, hit in hits.items()})
"""

WRITER = """
import sys, tempfile, time
from pathlib import Path
from trawl import Library

def timed(name, call):
    began = time.perf_counter()
    found = call()
    print(f"| {name} | {(time.perf_counter() - began) * 1000:,.1f} |", flush=True)
    return found

with tempfile.TemporaryDirectory() as folder, Library(sys.argv[1]) as library:
    library.search("warm", limit=1)
    for number in range(3):
        file = Path(folder) / f"new-{number}-{time.time_ns()}.md"
        file.write_text(f"# A new file\\n\\nIt was written at {time.time_ns()}.")
        timed(f"add a file ({number + 1})", lambda: library.add(file))
    timed("add it again, unchanged", lambda: library.add(file))
    document = library.document_page(limit=1, offset=70).documents[0].document_id
    for number in range(3):
        edit = {"year": 1990 + time.time_ns() % 30}
        timed(f"edit a document's metadata ({number + 1})",
              lambda: library.set_metadata(document, edit))
    timed("remove the file", lambda: library.remove(file))
peak = int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) // 1024
print(f"peak memory of the writer {peak:,} MB")
"""


def documents(count: int) -> Iterator[Pair]:
    generator = np.random.default_rng(0)
    vocabulary = np.array(re.findall(r"[A-Za-z]{2,}", " ".join(topics.values())))
    scales = np.arange(1, 257) ** -0.5
    centres = generator.standard_normal((TOPICS, 256)) * scales
    for number in range(count // PASSAGES):
        name = f"d{number * 2_654_435_761 % 2**32:08x}{number:016x}"
        topic = generator.integers(TOPICS)
        points = centres[topic] + generator.standard_normal((PASSAGES, 256)) * scales * 0.7
        points = (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)
        metadata = {
            "year": int(generator.integers(1980, 2026)),
            "kind": ["letter", "report", "paper", "note"][generator.integers(4)],
            "author": f"author {int(generator.pareto(1.0) * 10) % 5_000}",
        }
        document = Document(
            name, f"note:{name[1:5]}/{number}", f"h{number:031x}", "text/plain",
            " ".join(generator.choice(vocabulary, 4)), metadata, 5_000, content=f"{number:024x}",
        )  # fmt: skip
        starts = generator.integers(0, len(vocabulary) - 60, PASSAGES).tolist()
        texts = [" ".join(vocabulary[start : start + 50]) for start in starts]
        yield (
            document,
            [
                Chunk(name, i, "text", Span(i * 300, i * 300 + 299), text, {SOURCE: point})
                for i, (text, point) in enumerate(zip(texts, points, strict=True))
            ],
        )


def batched(pairs: Iterator[Pair]) -> Iterator[list[Pair]]:
    while batch := list(itertools.islice(pairs, BATCH)):
        yield batch


def fill(directory: Path, count: int) -> None:
    with Library(directory, create=True) as library, write_lock(library.location) as lock:
        began = time.perf_counter()
        store, location = library._store, library.location
        # The first commit creates the columns. The others are appended, and indexed at the end.
        batches = batched(documents(count))
        store.writer(lock).commit(next(batches))
        schema = lance.dataset(location.table("chunks")).schema
        for batch in batches:
            lance.write_dataset(chunk_rows(batch, schema), location.table("chunks"), mode="append")
            rows = [DocumentRow.of(document, len(chunks)) for document, chunks in batch]
            lance.write_dataset(document_table(rows), location.table("documents"), mode="append")
        written = time.perf_counter()
        store.writer(lock).maintain()
        done = time.perf_counter()
        print(f"written in {written - began:,.0f} s, indexed in {done - written:,.0f} s")


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(sys.argv[2] if len(sys.argv) > 2 else temporary) / "library"
        if not directory.exists():
            fill(directory, count)
        print(f"{count:,} chunks, {count // PASSAGES:,} documents, {datetime.date.today()}\n")
        print("| operation | ms |\n|---|---|", flush=True)
        for child in (WRITER, READER):
            subprocess.run([sys.executable, "-c", child, str(directory)], check=True)


if __name__ == "__main__":
    main()
