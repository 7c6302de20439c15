"""The writing half of `Library`: add, remove and edit documents."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from trawl.encoders import Model
from trawl.errors import NotFoundError
from trawl.ingest import Ingester, Progress, make_plan
from trawl.library import identity, inputs
from trawl.library.contents import metadata_edits
from trawl.settings import Settings
from trawl.store import DocumentRow, Store, WriteLock
from trawl.types import Report


class Writing:
    """The methods of `Library` that change it. Each holds the lock of the one writer.

    `Library` sets the attributes.
    """

    path: Path
    settings: Settings
    _models: Sequence[Model]
    _store: Store

    def add(
        self,
        paths: str | Path | Iterable[str | Path],
        *,
        metadata: Mapping[str, Any] | None = None,
        prune: bool = False,
        progress: Progress | None = None,
    ) -> Report:
        """Add files and directories. Skips unchanged files and replaces changed ones.

        `metadata` applies to every file and overrides what is found beside it. `prune`
        removes documents below the given directories whose files are gone. `progress` is
        called with (done, total, address). Unreadable files are reported and skipped.
        Raises `LibraryLockedError` while another process writes.
        """
        with WriteLock(self.path, self.settings.lock_wait_s) as lock:
            writer = self._store.writer(lock)
            plan = make_plan(
                inputs.names_of(paths),
                inputs.as_mapping(metadata, "metadata"),
                {row.document_id: (row.uri, *row.names) for row in writer.known.values()},
            )
            ingester = Ingester(
                writer,
                identity.encoders_of(self._models),
                self._models[0].text,
                identity.ingest_options(self.settings, self._models),
            )
            report = ingester.run(plan, prune=prune, progress=progress)
        self._store.refresh()
        return report

    def remove(self, targets: str | Path | Iterable[str | Path]) -> int:
        """Remove documents by id or path; a directory stands for every document below it.

        Returns the number of documents removed. Raises `NotFoundError` if a target matches
        nothing, before anything is removed.
        """
        with WriteLock(self.path, self.settings.lock_wait_s) as lock:
            writer = self._store.writer(lock)
            ids = inputs.matching_ids(inputs.names_of(targets), writer.known.values())
            writer.remove(ids)
            writer.maintain()
        self._store.refresh()
        return len(ids)

    def set_metadata(
        self,
        document_id: str,
        changes: Mapping[str, Any],
        *,
        check: Callable[[DocumentRow], None] | None = None,
    ) -> DocumentRow:
        """Change the metadata of a document and its chunks, without embedding anything again.

        `changes` is a JSON merge patch (RFC 7396): None deletes a key. Edits survive
        re-adding the file, and are deleted with the document. `check` is called under the
        lock with the document as it is, and may raise to prevent the change.

        Returns the changed document. Raises `NotFoundError`, and `MetadataError` if a value
        does not fit its column.
        """
        edits = metadata_edits(changes)
        with WriteLock(self.path, self.settings.lock_wait_s) as lock:
            writer = self._store.writer(lock)
            row = next(
                filter(
                    None, map(writer.known.get, inputs.candidate_ids(inputs.name_of(document_id)))
                ),
                None,
            )
            if row is None:
                raise NotFoundError(f"no document {document_id!r} in {self.path}")
            if check is not None:
                check(row)
            if edits:
                row = writer.edit(row.document_id, edits)
                writer.maintain()
        self._store.refresh()
        return row
