"""Where documents and chunks are kept: a LanceDB database, read and written by its engine.

`Store` writes and owns the tables, a `Snapshot` reads one version of them. The
engine's own Python package, `lance`, does both: a query through it takes a third of
what the `lancedb` package takes, and importing it a fifth. What it writes is a
LanceDB database: ``lancedb.connect(path)`` opens it, indexes and all, and a test does.
"""

import os

# The engine reports each partition of an index that gets nothing: hundreds of lines when a
# file is added to a large library. It reads this once, when it is imported.
os.environ.setdefault("LANCE_LOG", "error")

from trawl.store.documents import DocumentRow
from trawl.store.lock import WriteLock
from trawl.store.rows import edited, fit_metadata
from trawl.store.schema import BUILT_IN_COLUMNS, filter_column
from trawl.store.snapshot import BM25, Sample, Snapshot
from trawl.store.sql import row_is_one_of
from trawl.store.store import Store
from trawl.store.words import Words
from trawl.store.writer import Writer

__all__ = [
    "BM25",
    "BUILT_IN_COLUMNS",
    "DocumentRow",
    "Sample",
    "Snapshot",
    "Store",
    "Words",
    "WriteLock",
    "Writer",
    "edited",
    "filter_column",
    "fit_metadata",
    "row_is_one_of",
]
