"""One peer in its own environment: fill it with vectors, search, and print the figures as JSON.

Usage: python _peer.py NAME DATA.npz FOLDER. The data has unit vectors float32 [N, D], queries
[Q, D] and the ten nearest vectors of each query by brute force, int [Q, 10].
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

Search = Callable[[Any], Sequence[int]]
BATCH = 5_000
TRIED = 64
THREADS = 8


def faiss_hnsw(vectors: Any, folder: Path) -> Search:
    import faiss

    index = faiss.IndexHNSWFlat(vectors.shape[1], 32, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = 200
    index.add(vectors)
    index.hnsw.efSearch = TRIED
    faiss.write_index(index, str(folder / "index"))
    faiss.omp_set_num_threads(1)
    return lambda query: index.search(query[None], 10)[1][0].tolist()


def usearch_hnsw(vectors: Any, folder: Path) -> Search:
    from usearch.index import Index

    index = Index(ndim=vectors.shape[1], metric="ip", dtype="f32")
    index.add(np.arange(len(vectors)), vectors)
    index.save(str(folder / "index"))
    return lambda query: index.search(query, 10).keys.tolist()


def chroma(vectors: Any, folder: Path) -> Search:
    import chromadb

    client = chromadb.PersistentClient(str(folder))
    made = client.create_collection("vectors", configuration={"hnsw": {"space": "cosine"}})
    for start in range(0, len(vectors), BATCH):
        some = vectors[start : start + BATCH]
        made.add(ids=[str(n) for n in range(start, start + len(some))], embeddings=some)
    return lambda query: [int(n) for n in made.query(query[None], n_results=10)["ids"][0]]


def qdrant_local(vectors: Any, folder: Path) -> Search:
    from qdrant_client import QdrantClient, models

    client = QdrantClient(path=str(folder))
    size = models.VectorParams(size=vectors.shape[1], distance=models.Distance.COSINE)
    client.create_collection("vectors", vectors_config=size)
    client.upload_collection("vectors", vectors=vectors, ids=range(len(vectors)))
    return lambda query: [p.id for p in client.query_points("vectors", query, limit=10).points]


def _lance(vectors: Any, folder: Path) -> Any:
    import lancedb
    import pyarrow as pa

    flat = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), vectors.shape[1])
    rows = pa.table({"id": np.arange(len(vectors)), "vector": flat})
    return lancedb.connect(str(folder)).create_table("vectors", rows)


def lancedb_default(vectors: Any, folder: Path) -> Search:
    table = _lance(vectors, folder)
    table.create_index(metric="cosine")
    return lambda query: table.search(query).limit(10).select(["id"]).to_arrow()["id"].to_pylist()


def lancedb_tuned(vectors: Any, folder: Path) -> Search:
    table = _lance(vectors, folder)
    table.create_index(metric="cosine", index_type="IVF_FLAT", num_partitions=316)

    def search(query: Any) -> Sequence[int]:
        found = table.search(query).distance_type("cosine").nprobes(32).limit(10)
        ids: list[int] = found.select(["id"]).to_arrow()["id"].to_pylist()
        return ids

    return search


def _trawl(vectors: Any, folder: Path, held: bool) -> Search:
    from trawl.locations import location_of
    from trawl.store import Store, write_lock
    from trawl.types import Chunk, Document, Space, Span

    source = "bench.text"
    location = location_of(folder)
    store = Store.create(location, {source: Space("bench", vectors.shape[1], "0")})
    with write_lock(location) as lock:
        writer = store.writer(lock)
        for start in range(0, len(vectors), BATCH):
            batch = []
            for number, row in enumerate(vectors[start : start + BATCH], start):
                name = f"d{number:08d}"
                about = Document(name, f"/d/{number}", "h", "text/plain", name, {}, 1)
                batch.append((about, [Chunk(name, 0, "text", Span(), name, {source: row})]))
            writer.commit(batch)
        writer.maintain()
    if held:
        store.hold(2**30, folder)
        store.settle()
    snapshot = store.refresh()
    found, names = snapshot.names
    numbers = {
        row: int(name[1:9]) for row, name in zip(found.tolist(), names.tolist(), strict=True)
    }
    return lambda query: [
        numbers[row] for row in snapshot.nearest(source, query, 10, None).rows.tolist()
    ]


PEERS: dict[str, Callable[[Any, Path], Search]] = {
    "trawl-disk": lambda vectors, folder: _trawl(vectors, folder, False),
    "trawl-held": lambda vectors, folder: _trawl(vectors, folder, True),
    "lancedb-default": lancedb_default,
    "lancedb-tuned": lancedb_tuned,
    "chroma": chroma,
    "qdrant-local": qdrant_local,
    "faiss-hnsw": faiss_hnsw,
    "usearch-hnsw": usearch_hnsw,
}


def main() -> None:
    name, data, folder = sys.argv[1], np.load(sys.argv[2]), Path(sys.argv[3])
    folder.mkdir(parents=True)
    vectors, queries, nearest = data["vectors"], data["queries"], data["nearest"]
    began = time.perf_counter()
    search = PEERS[name](vectors, folder)
    built = time.perf_counter() - began
    began = time.perf_counter()
    search(queries[0])
    first = time.perf_counter() - began
    times, hits = [], 0
    for query, true in zip(queries, nearest, strict=True):
        began = time.perf_counter()
        found = search(query)
        times.append(time.perf_counter() - began)
        hits += len(set(found) & set(true.tolist()))
    with ThreadPoolExecutor(THREADS) as pool:
        began = time.perf_counter()
        list(pool.map(search, queries))
        together = len(queries) / (time.perf_counter() - began)
    with open("/proc/self/status") as status:
        resident = next(int(line.split()[1]) for line in status if line.startswith("RssAnon"))
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    figures = {
        "p50_ms": 1000 * float(np.median(times)),
        "p95_ms": 1000 * float(np.percentile(times, 95)),
        "first_ms": 1000 * first,
        "recall": hits / nearest.size,
        "a_second": together,
        "build_s": built,
        "disk_mb": size / 2**20,
        "memory_mb": resident / 1024,
    }
    print(json.dumps({"peer": name, **{key: round(value, 3) for key, value in figures.items()}}))


if __name__ == "__main__":
    main()
