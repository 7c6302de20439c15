"""How a person names a document: by its id, a chunk's id, a file, or a folder above it."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from trawl.ingest import document_id_of, uri_of
from trawl.store import DocumentRow


def candidates(name: str) -> list[str]:
    """Give the ids of documents that a name may stand for, the likeliest first."""
    found = [name, name.partition(":")[0], document_id_of(name)]
    return found + [document_id_of(uri) for uri in _as_path(name)]


def matching(name: str, rows: Iterable[DocumentRow]) -> list[str]:
    """Give the ids of the documents that a name stands for, those below it where it is a folder."""
    uris = {name, *_as_path(name)}
    prefixes = tuple(uri.rstrip("/") + "/" for uri in uris if uri)
    return [
        row.document_id
        for row in rows
        if row.document_id == name or row.uri in uris or row.uri.startswith(prefixes)
    ]


def _as_path(name: str) -> list[str]:
    """Give the address of the file of that name, or nothing where it cannot be one."""
    with suppress(OSError, RuntimeError, ValueError):
        return [uri_of(Path(name).resolve())]
    return []
