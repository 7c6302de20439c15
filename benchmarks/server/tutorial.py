"""Trawl's server compared with the tutorial's design, on the same data, model and machine.

`_tutorial_app.py` implements that design: one LanceDB table, blocking calls in async routes, a
dict as cache. It searches one vector column; Trawl searches all sources and the full-text index.
Measured are new queries from 1, 16 and 64 clients, and while files are added, 100 per request.
The table is measured without an index (each search scans all vectors) and with LanceDB's default
index (IVF_PQ), which is faster but not exact; its recall@10 is printed.

Usage: python tutorial.py [SECONDS per load, default 8] [CHUNKS, default 100000]
"""

from __future__ import annotations

import shutil
import sys
from contextlib import ExitStack
from pathlib import Path

from _adding import Add, add_to_trawl, add_to_tutorial, adding, copied
from _load import HEADER, Load, Served, closed_loop, free_port, serving, trawl_serve

import common

CLIENTS = (1, 16, 64)
PEERS = ("tutorial, no index", "tutorial, an index")
OURS = ("Trawl", "Trawl, 2 workers")
DIMENSION = 256


def tutorial_table(library: Path, index: bool) -> Path:
    """Return a database with the library's chunks in the tutorial's table; build it once."""
    import lance
    import lancedb
    import numpy as np
    import pyarrow as pa

    folder = library.parent / ("tutorial-indexed" if index else "tutorial")
    if (folder / "made").is_file():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    chunks = lance.dataset(str(library / "chunks.lance")).to_table(
        columns=["chunk_id", "modality", "text", "metadata"]
        + [f"v_mini_2e{modality}" for modality in ("text", "image", "audio")]
    )
    vectors = np.zeros((chunks.num_rows, DIMENSION), np.float32)
    modalities = np.asarray(chunks["modality"].to_numpy(zero_copy_only=False))
    for name in ("text", "image", "audio"):
        column = chunks[f"v_mini_2e{name}"].combine_chunks()
        there = column.is_valid().to_numpy(zero_copy_only=False)
        rows = np.flatnonzero((modalities == name) & there)
        found = np.asarray(column.take(pa.array(rows)).flatten())
        vectors[rows] = found.reshape(-1, DIMENSION)
    columns = {name: chunks[name] for name in ("modality", "text", "metadata")}
    columns |= {
        "id": chunks["chunk_id"],
        "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), DIMENSION),
    }
    table = lancedb.connect(str(folder)).create_table("items", pa.table(columns))
    if index:
        table.create_index(metric="cosine", vector_column_name="vector")
        print(f"<!-- recall@10 of the tutorial's index: {_recall(table, vectors):.2f} -->")
    (folder / "made").touch()
    return folder


def _recall(table: object, vectors: object) -> float:
    """Return the recall@10 of a search, over 50 queries."""
    import numpy as np

    from trawl.encoders import load_model

    texts, matrix = common.Queries(1), np.asarray(vectors)
    queries = load_model("mini").text.encode([next(texts) for _ in range(50)])
    hits = 0
    for query in queries:
        found = table.search(query).distance_type("cosine").limit(10)  # type: ignore[attr-defined]
        distances = {round(row["_distance"], 4) for row in found.refine_factor(1).to_list()}
        exact = np.sort(1 - matrix @ query)[:10]
        hits += sum(round(float(one), 4) in distances for one in exact)
    return hits / (10 * len(queries))


def measure(
    name: str, served: Served, queries: common.Queries, seconds: float, folder: Path, add: Add
) -> dict[str, Load]:
    """Run the loads, print each, and return them by name."""
    loads: dict[str, Load] = {}
    # Warm up: load the library into memory.
    closed_loop(served.address, queries.paths(2_000), 4, 8)
    for clients in CLIENTS:
        load = closed_loop(served.address, queries.paths(40_000), clients, seconds)
        loads[f"{clients} clients"] = load
        print(load.row(f"{name}: {clients} clients"), flush=True)
    for clients in (1, 16):
        with adding(served, folder, add) as per_second:
            load = closed_loop(served.address, queries.paths(40_000), clients, max(seconds, 10))
        loads[f"{clients} clients, adding"] = load
        label = f"{clients} clients, while adding {per_second():.0f} files/s"
        print(load.row(f"{name}: {label}"), flush=True)
    return loads


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 8.0
    library = common.served_library(int(sys.argv[2]) if len(sys.argv) > 2 else common.CHUNKS)
    queries = common.Queries()
    results: dict[str, dict[str, Load]] = {}
    app = str(Path(__file__).with_name("_tutorial_app.py"))
    for index in (False, True):
        tutorial_table(library, index)
    print(f"\n{HEADER}", flush=True)
    for name in (*PEERS, *OURS):
        with ExitStack() as stack:
            if name in PEERS:
                table = stack.enter_context(copied(tutorial_table(library, name == PEERS[1])))
                command = [sys.executable, app, str(table), str(free_port())]
                add: Add = add_to_tutorial
            else:
                table = stack.enter_context(copied(library))
                command = trawl_serve(table, "--workers", "2" if name == OURS[1] else "1")
                add = add_to_trawl
            served = stack.enter_context(serving(command))
            results[name] = measure(name, served, queries, seconds, table.parent, add)
    print(
        "\n| Trawl and tutorial | throughput at 16 clients | p95 while adding, 1 client "
        "| p95 while adding, 16 clients |\n|---|---|---|---|"
    )
    for mine in OURS:
        for peer in PEERS:
            ours, theirs = results[mine], results[peer]
            more = ours["16 clients"].per_second / theirs["16 clients"].per_second
            lower = [
                theirs[key].p95_ms / ours[key].p95_ms
                for key in ("1 clients, adding", "16 clients, adding")
            ]
            print(
                f"| {mine} / {peer} | {more:.2f} times | {lower[0]:.1f} times lower "
                f"| {lower[1]:.1f} times lower |"
            )


if __name__ == "__main__":
    main()
