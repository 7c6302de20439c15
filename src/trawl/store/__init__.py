"""Storage of documents and chunks in a LanceDB database.

`Store` owns the tables, a `Snapshot` reads one version of them, and the `Writer` commits
to them. All use `lance`, the engine's own Python package: a query through it takes a third
of the time that the `lancedb` package takes, and importing it a fifth. The result is a
LanceDB database with its indexes, which ``lancedb.connect(path)`` opens.
"""

import os

# The engine logs every partition of an index that gets no rows, hundreds of lines for one file.
# It reads this variable when it is imported.
os.environ.setdefault("LANCE_LOG", "error")

from trawl.store.copies import Copies
from trawl.store.edits import (
    EmbedTexts,
    TextVectors,
    edited_caption,
    edited_title,
    takes_caption,
)
from trawl.store.full_text import Words
from trawl.store.known import DocumentRows, Known, Named
from trawl.store.lease import Lease
from trawl.store.locking import write_lock
from trawl.store.lookups import Sample
from trawl.store.mirror import Mirror
from trawl.store.rows import DocumentRow, passage_text
from trawl.store.schema import BUILT_IN_COLUMNS, filter_column, has_name, row_is_one_of
from trawl.store.snapshot import BM25, Snapshot
from trawl.store.store import Store
from trawl.store.writer import Writer

__all__ = [
    "BM25",
    "BUILT_IN_COLUMNS",
    "Copies",
    "DocumentRow",
    "DocumentRows",
    "EmbedTexts",
    "Known",
    "Lease",
    "Mirror",
    "Named",
    "Sample",
    "Snapshot",
    "Store",
    "TextVectors",
    "Words",
    "Writer",
    "edited_caption",
    "edited_title",
    "filter_column",
    "has_name",
    "passage_text",
    "row_is_one_of",
    "takes_caption",
    "write_lock",
]
