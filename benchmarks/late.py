"""Late interaction: pages of papers by ColModernVBERT with random weights.

Usage: python late.py [PAGES] (default 500). Needs the packages of `make parity`, and the papers of
the reference data. A small network with the published tiles and tokens fills the
index; one of the published size is timed on a few pages. The baseline is an exact comparison of
all tokens.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lance
import numpy as np
import pyarrow as pa
import pypdfium2
from numpy.typing import NDArray
from PIL import Image

from trawl import maxsim
from trawl.encoders import load_model
from trawl.encoders.reference import bank_questions
from trawl.encoders.towers import load_towers
from trawl.store import maintenance
from trawl.store.rows import vector_array
from trawl.store.schema import chunks_schema
from trawl.store.sets import nearest_sets
from trawl.types import Space

HERE = Path(__file__).resolve()
DATA = Path(os.environ.get("TRAWL_DATA") or HERE.parents[2] / "shared" / "data")
PARTS, WIDTH, DEPTH = 64, 128, 100
SOURCE = "late.image"


def pages(count: int) -> Iterator[Image.Image]:
    """Yield pages of the papers as pictures, evenly over the papers."""
    papers = [pypdfium2.PdfDocument(path) for path in sorted(DATA.rglob("*.pdf"))]
    left, number = count, 0
    while left and any(number < len(paper) for paper in papers):
        for paper in papers:
            if left and number < len(paper):
                yield paper[number].render(scale=2.2).to_pil().convert("RGB")
                left -= 1
        number += 1


def median_ms(work: Callable[[Any], Any], items: Any) -> float:
    times = []
    for item in items:
        began = time.perf_counter()
        work(item)
        times.append(time.perf_counter() - began)
    return 1000 * float(np.median(times))


def tokens_of(towers: Any, image: Image.Image) -> NDArray[np.float32]:
    (prepared,) = towers["image"].prepare(image)
    features = towers["image"]._network.run(towers["image"].options.feeds([prepared.arrays]))
    found: NDArray[np.float32] = towers["text"].token_vectors(
        [prepared.before], {"image_features": features}
    )[0]
    return found


def recall(found: Any, truth: Any) -> float:
    return float(
        np.mean([len(set(a[:10]) & set(b[:10])) / 10 for a, b in zip(found, truth, strict=True)])
    )


def index(checkpoint: Path, count: int) -> None:
    """Print the recall, the size and the time of searches among `count` pages."""
    towers: Any = load_towers(load_model(str(checkpoint)).card)
    began = time.perf_counter()
    tokens = [tokens_of(towers, image).astype(np.float16) for image in pages(count)]
    took = time.perf_counter() - began
    each = float(np.mean([len(one) for one in tokens]))
    print(f"{len(tokens)} pages, {each:.0f} tokens each, encoded in {took:.0f} s")
    flat = towers["text"].encode_queries(bank_questions()[:40])
    half = [tokens_of(towers, image)[::40] for image in pages(20)]  # parts of pages
    queries = [*flat, *(maxsim.joined(one[:PARTS], PARTS) for one in half)]

    def exact(query: NDArray[np.float32]) -> NDArray[np.int64]:
        rows = maxsim.rows_of(query, WIDTH)
        scores = [float((rows @ one.T.astype(np.float32)).max(axis=1).sum()) for one in tokens]
        return np.argsort(-np.array(scores), kind="stable")

    truth = [exact(query) for query in queries]
    print(f"exact, all tokens (baseline): {median_ms(exact, queries):.0f} ms")
    for parts in (16, 32, 64, 128):
        began = time.perf_counter()
        pooled = np.stack(
            [maxsim.joined(maxsim.pooled(one.astype(np.float32), parts), parts) for one in tokens]
        )
        took = 1000 * (time.perf_counter() - began) / len(tokens)
        found = [np.argsort(-maxsim.similarities(q[None], pooled, parts)[0]) for q in queries]
        words, looks = recall(found[:40], truth[:40]), recall(found[40:], truth[40:])
        print(
            f"pooled to {parts}: {took:.0f} ms a page, recall@10 of words {words:.3f}, "
            f"of parts of pages {looks:.3f}"
        )
        if parts == PARTS:
            stored, among = pooled, found
    for times in (1, 10):
        search(np.tile(stored, (times, 1)), queries, among if times == 1 else None)


def search(sets: NDArray[np.float32], queries: Any, truth: Any) -> None:
    """Print the size and the times of a table of sets, in full and by its index."""
    random = np.random.default_rng(0)
    if truth is None:  # more pages, each a little different
        rows = (
            sets.reshape(-1, WIDTH)
            + random.normal(0, 0.02, (sets.size // WIDTH, WIDTH)).astype(np.float32) / 8
        )
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        sets = (rows / np.sqrt(PARTS)).reshape(len(sets), -1)
        truth = [np.argsort(-maxsim.similarities(q[None], sets, PARTS)[0]) for q in queries]
    space = Space("late", PARTS * WIDTH, "1", parts=PARTS)
    schema = chunks_schema({SOURCE: space})
    name = schema.names[-1]
    with tempfile.TemporaryDirectory() as folder:
        column = vector_array(list(sets), schema, name)
        modality = pa.array(["image"] * len(sets))
        table = lance.write_dataset(pa.table({"modality": modality, name: column}), folder)
        size = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
        print(f"{len(sets)} sets: {size / len(sets) / 1024:.1f} KB a page")
        options = {"column": name, "k": DEPTH, "metric": "cosine"}
        for indexed in (False, True):
            if indexed:
                began = time.perf_counter()
                maintenance._SETS_INDEXED_FROM = 1
                maintenance._index_vectors(table, name)
                table = lance.dataset(folder)
                size = sum(f.stat().st_size for f in Path(folder).rglob("*") if f.is_file())
                took = time.perf_counter() - began
                print(f"indexed in {took:.1f} s, {size / len(sets) / 1024:.1f} KB a page")

            def ask(query: Any, table: Any = table, indexed: bool = indexed) -> Any:
                given = {**options, "use_index": indexed}
                return nearest_sets(table, space, query, given, None, indexed)[0]

            found = [ask(query) for query in queries]
            how = "by the index" if indexed else "in full"
            ms = median_ms(ask, queries)
            print(f"{how}: p50 {ms:.1f} ms, recall@10 {recall(found, truth):.3f}")


def speed(checkpoint: Path, folder: Path) -> None:
    """Print the time of pages and queries at full size, with both backends."""
    from trawl.encoders.export import export

    export(checkpoint, folder)
    sheets, texts = list(pages(4)), bank_questions()[:20]
    for name, place in (("transformers", checkpoint), ("ONNX Runtime", folder)):
        towers: Any = load_towers(load_model(str(place)).card)
        towers["image"].encode(sheets[:1])
        page = median_ms(lambda one, towers=towers: towers["image"].encode([one]), sheets[1:])
        text = median_ms(lambda one, towers=towers: towers["text"].encode_queries([one]), texts)
        print(f"{name}: {page / 1000:.1f} s a page, {text:.0f} ms a query", flush=True)
    with open("/proc/self/status") as status:
        peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    print(f"peak memory of the process: {peak / 1024:.0f} MB")


def main() -> None:
    sys.path.insert(0, str(HERE.parents[1] / "tests" / "parity"))
    import small

    with tempfile.TemporaryDirectory() as folder:
        index(small.late(Path(folder) / "small", tiles=True), int((sys.argv[1:] or ["500"])[0]))
        speed(small.late(Path(folder) / "full", full=True), Path(folder) / "onnx")


if __name__ == "__main__":
    main()
