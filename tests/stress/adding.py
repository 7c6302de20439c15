"""One of the writers of `test_ceph.py`: adds documents until it is ended.

Each turn takes the lease, commits one document of `CHUNKS` chunks, releases the lease, and records
the document in a file. With `alone`, it also checks that no other process is inside its turn.
"""

from __future__ import annotations

import fcntl
import json
import sys
from pathlib import Path

import numpy as np

from trawl.errors import LibraryLockedError
from trawl.locations import location_of
from trawl.store import Store, lease, write_lock
from trawl.types import Chunk, Document, Space, Span

DIMENSION = 16
CHUNKS = 3
SOURCES = {"toy.text": Space("toy", DIMENSION, "f")}

lease.TTL_S = 4.0
lease._RENEW_S = 0.5


def document_of(worker: int, number: int) -> tuple[Document, list[Chunk]]:
    """Return a document and its chunks, the same for the same numbers."""
    name = f"{worker:012x}{number:012x}"
    vectors = np.random.default_rng([worker, number]).standard_normal((CHUNKS, DIMENSION))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    chunks = [
        Chunk(name, n, "text", Span(), f"word{number} of {worker}", {"toy.text": vector})
        for n, vector in enumerate(vectors.astype(np.float32))
    ]
    return Document(name, f"/{worker}/{number}", "h", "text/plain", "T", {}, 1), chunks


def main() -> None:
    address, options, worker, folder, alone = sys.argv[1:]
    location = location_of(address, json.loads(options))
    store = Store(location, SOURCES)
    log = (Path(folder) / f"log{worker}").open("a")

    def record(what: str) -> None:
        print(what, file=log, flush=True)

    inside = (Path(folder) / "inside").open("a")
    number = sum(line.startswith("begin") for line in Path(log.name).read_text().splitlines())
    while True:
        document, chunks = document_of(int(worker), number)
        number += 1
        record(f"begin {document.document_id}")
        try:
            with write_lock(location, 60) as lock:
                if alone == "alone":
                    try:
                        fcntl.flock(inside, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    except BlockingIOError:
                        record("two holders")
                try:
                    store.writer(lock).commit([(document, chunks)])
                finally:
                    fcntl.flock(inside, fcntl.LOCK_UN)
        except LibraryLockedError as error:
            record(f"refused {type(error).__name__}")
        else:
            record(f"done {document.document_id}")


if __name__ == "__main__":
    main()
