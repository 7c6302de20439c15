"""The `add` pipeline: read files ahead on threads, embed and commit them in batches."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import PurePath

from trawl.encoders import Encoder, TextEncoder
from trawl.errors import TrawlError
from trawl.ingest.citations import links
from trawl.ingest.drafts import ChunkingOptions, Draft, draft_chunks
from trawl.ingest.embedding import Embedder, Pending
from trawl.ingest.moves import Origin, Origins
from trawl.ingest.names import document_id_of, leads_to
from trawl.ingest.plan import Item, Plan, Unread, fingerprint
from trawl.readers import read
from trawl.store import DocumentRow, Writer, edited_caption, edited_title
from trawl.types import Chunk, Document, Failure, Modality, Notice, Reading, Report

# A commit pays off from about a thousand rows. A slow run that is interrupted should lose only
# a few seconds of work.
_COMMIT_CHUNKS = 1024
_COMMIT_S = 5.0

Progress = Callable[[int, int, str], None]
"""Called after each file with the number done, the total and the file's URI."""


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """How files are read. `recipe` holds what else determines the chunks: spaces, versions."""

    chunking: ChunkingOptions
    recipe: Mapping[str, object]
    max_pixels: int
    threads: int


@dataclass(slots=True)
class _Prepared:
    """A file after reading: unchanged, failed, or with a reading."""

    item: Item
    content_hash: str = ""
    size_bytes: int = 0
    modified_ns: int | None = None
    origin: Origin = field(default_factory=Origin)
    reading: Reading | None = None
    error: str | None = None


@dataclass(slots=True)
class _Counts:
    added: int = 0
    unchanged: int = 0
    replaced: int = 0
    moved: int = 0
    chunks: int = 0
    failed: list[Failure] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)


class Ingester:
    """One run of `add`. The outcome of every file is in the report and in the library."""

    def __init__(
        self,
        writer: Writer,
        encoders: Mapping[Modality, Sequence[tuple[str, Encoder]]],
        sentence_encoder: TextEncoder,
        options: IngestOptions,
    ) -> None:
        self._writer = writer
        self._sentence_encoder = sentence_encoder
        self._options = options
        self._embedder = Embedder(encoders)
        self._pending: list[Pending] = []
        self._rows: list[DocumentRow] = []
        self._renamed: dict[str, DocumentRow] = {}
        self._counts = _Counts()
        self._committed_at = time.monotonic()

    def run(self, plan: Plan, *, prune: bool, progress: Progress | None) -> Report:
        """Add the files of a plan. `prune` removes documents below its roots without a file."""
        with self._embedder:
            return self._run(plan, prune, progress)

    def _run(self, plan: Plan, prune: bool, progress: Progress | None) -> Report:
        began = time.monotonic()
        self._committed_at = began
        self._origins = Origins(plan, self._writer.known, self._fingerprint)
        for unread in plan.unread:
            self._fail_unread(unread)
        for done, prepared in enumerate(self._prepare(plan.items), start=1):
            self._add(prepared)
            if progress is not None:
                progress(done, len(plan.items), prepared.item.uri)
        self._commit()
        self._remove_old_failures(plan)
        removed = self._prune(plan) if prune else 0
        self._writer.maintain()
        self._counts.notices += self._origins.notices()
        return Report(
            added=self._counts.added,
            moved=self._counts.moved,
            unchanged=self._counts.unchanged,
            replaced=self._counts.replaced,
            removed=removed,
            failed=tuple(self._counts.failed),
            chunks=self._counts.chunks,
            seconds=round(time.monotonic() - began, 3),
            skipped=len(plan.skipped),
            notices=tuple(self._counts.notices),
            skipped_types=plan.skipped_types,
        )

    def _prepare(self, items: Sequence[Item]) -> Iterator[_Prepared]:
        """Read files ahead on threads, a bounded number at a time, and yield them in order."""
        ahead = self._options.threads * 2
        with ThreadPoolExecutor(self._options.threads, "trawl-read") as pool:
            waiting: deque[Future[_Prepared]] = deque()
            try:
                for item in items:
                    waiting.append(pool.submit(self._read, item))
                    if len(waiting) >= ahead:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()

    def _read(self, item: Item) -> _Prepared:
        prepared = _Prepared(item)
        try:
            stat = item.path.stat()
            prepared.size_bytes, prepared.modified_ns = stat.st_size, stat.st_mtime_ns
            prepared.content_hash = self._fingerprint(item)
            prepared.origin = self._origins.of(item, prepared.content_hash)
            if prepared.origin.state == "changed":
                prepared.reading = read(
                    item.path, item.media_type, max_pixels=self._options.max_pixels
                )
        except OSError as error:
            prepared.error = f"cannot be opened: {error.strerror or error}"
        except TrawlError as error:
            prepared.error = str(error)
        except Exception as error:
            # A bug in a reader must fail one file only.
            prepared.error = f"cannot be read: {type(error).__name__}: {error}"
        return prepared

    def _fingerprint(self, item: Item) -> str:
        return fingerprint(item, self._options.recipe)

    def _add(self, prepared: _Prepared) -> None:
        if prepared.origin.state == "unchanged":
            self._counts.unchanged += 1
            self._update_modified(prepared)
        elif prepared.origin.state == "renamed":
            self._rename(prepared, prepared.origin)
        elif prepared.reading is None:
            self._fail(self._document(prepared, None), prepared.error or "unreadable")
        else:
            self._embed(prepared, prepared.reading)
        drafted = sum(len(pending.drafts) for pending in self._pending)
        drafted += sum(row.chunks for row in self._renamed.values())
        waited_s = time.monotonic() - self._committed_at
        if drafted >= _COMMIT_CHUNKS or (drafted and waited_s > _COMMIT_S):
            self._commit()

    def _update_modified(self, prepared: _Prepared) -> None:
        """Store the new modification time of a file whose content is unchanged."""
        known = self._writer.known[prepared.item.document_id]
        if known.modified_ns != prepared.modified_ns:
            self._rows.append(replace(known, modified_ns=prepared.modified_ns))

    def _rename(self, prepared: _Prepared, origin: Origin) -> None:
        """Keep a document's chunks under the new id or address of its file."""
        assert origin.row is not None
        item = prepared.item
        self._renamed[origin.row.document_id] = replace(
            origin.row,
            document_id=item.document_id,
            uri=item.uri,
            names=item.names,
            size_bytes=prepared.size_bytes,
            modified_ns=prepared.modified_ns,
        )

    def _embed(self, prepared: _Prepared, reading: Reading) -> None:
        document = self._document(prepared, reading)
        pending = Pending(document, [])
        try:
            for draft in self._drafts(prepared.item, reading, document):
                self._embedder.add(pending, draft)
            pending.document = replace(document, notices=(*document.notices, *reading.late_notices))
            # A Markdown file of images only has no parts, and does not fail.
            if reading.parts != () and not pending.drafts:
                pending.error = "contains nothing to index"
        except TrawlError as error:
            pending.error = str(error)
        except Exception as error:
            pending.error = f"cannot be read: {type(error).__name__}: {error}"
        self._pending.append(pending)

    def _drafts(self, item: Item, reading: Reading, document: Document) -> Iterator[Draft]:
        return draft_chunks(
            reading,
            title=edited_title(document.title, document.edits),
            caption=item.caption,
            edited_caption=edited_caption(document.edits),
            encoder=self._sentence_encoder,
            options=self._options.chunking,
        )

    @staticmethod
    def _document(prepared: _Prepared, reading: Reading | None) -> Document:
        item = prepared.item
        metadata = dict(reading.metadata) if reading else {}
        origin = prepared.origin
        return Document(
            document_id=item.document_id,
            uri=item.uri,
            content_hash=prepared.content_hash,
            media_type=item.media_type,
            title=item.title or (reading.title if reading else item.path.stem),
            metadata={**metadata, **item.metadata, **origin.given},
            size_bytes=prepared.size_bytes,
            modified_ns=prepared.modified_ns,
            notices=(*item.notices, *(reading.notices if reading else ())),
            names=item.names,
            given=origin.given,
            edits=origin.edits,
        )

    def _commit(self) -> None:
        self._embedder.flush()
        ready: list[tuple[Document, list[Chunk]]] = []
        replaced = moved = 0
        for pending in self._pending:
            document = pending.document
            if pending.error is not None:
                self._fail(document, pending.error)
                continue
            origin = self._origins[document.document_id]
            moved += origin.moved
            replaced += not origin.moved and origin.row is not None and origin.row.chunks > 0
            ready.append((document, _chunks(pending)))
            self._counts.notices += [Notice(document.uri, notice) for notice in document.notices]
        ids = [*(document.document_id for document, _ in ready)]
        ids += (row.document_id for row in self._renamed.values())
        self._writer.commit(
            ready,
            self._rows,
            self._renamed,
            [one for id_ in ids if (one := self._origins[id_].retired) is not None],
        )
        renames = [self._origins[row.document_id] for row in self._renamed.values()]
        self._counts.moved += moved + sum(origin.moved for origin in renames)
        self._counts.unchanged += sum(not origin.moved for origin in renames)
        self._renamed = {}
        self._counts.added += len(ready) - replaced - moved
        self._counts.replaced += replaced
        self._counts.chunks += sum(len(chunks) for _, chunks in ready)
        self._pending = []
        self._rows = []
        self._committed_at = time.monotonic()

    def _fail(self, document: Document, reason: str) -> None:
        """Record a failure, and remove the document's chunks from earlier runs.

        A file that cannot be opened (its content hash is unknown) keeps them.
        """
        known = self._writer.known.get(document.document_id)
        kept = known.chunks if known is not None and not document.content_hash else 0
        document = replace(document, metadata={}, notices=())
        if known is not None and kept:
            title = known.title if known.own_title is None else known.own_title
            document = replace(document, metadata=known.metadata, names=known.names, title=title)
        self._counts.failed.append(Failure(document.uri, reason))
        self._rows.append(DocumentRow.of(document, kept, error=reason))

    def _fail_unread(self, unread: Unread) -> None:
        """Record a path that cannot be added; only existing paths become documents."""
        if not unread.exists:
            self._counts.failed.append(Failure(unread.uri, unread.reason))
            return
        name = PurePath(unread.uri).stem
        content_hash = "unreadable" if unread.opened else ""
        document_id = self._named.get(unread.uri) or document_id_of(unread.uri)
        document = Document(document_id, unread.uri, content_hash, "", name, {}, 0)
        self._fail(document, unread.reason)

    @cached_property
    def _named(self) -> Mapping[str, str]:
        """The ids of the documents by their names, among which links may be broken now."""
        known = self._writer.known.values()
        return {name: row.document_id for row in known for name in (row.uri, *row.names)}

    def _remove_old_failures(self, plan: Plan) -> None:
        """Remove failures of earlier runs that did not fail again in this run."""
        failing = {failure.uri for failure in self._counts.failed}
        self._writer.remove(
            [
                row.document_id
                for row in self._writer.known.values()
                if row.error is not None
                and row.chunks == 0
                and row.uri not in failing
                and plan.covers(row.uri)
                and not plan.is_unreadable(row.uri)
            ]
        )

    def _prune(self, plan: Plan) -> int:
        present = {item.document_id for item in plan.items}
        gone = [
            row.document_id
            for row in self._writer.known.values()
            if row.document_id not in present and row.error is None and _is_gone(row, plan)
        ]
        self._writer.remove(gone)
        return len(gone)


def _is_gone(row: DocumentRow, plan: Plan) -> bool:
    """Return whether a document that is not in a plan has lost its file.

    A document that links elsewhere still lead to stays.
    """
    names = (row.uri, *row.names)
    return (
        any(plan.covers(name) for name in names)
        and not any(plan.is_unreadable(name) for name in names)
        and not any(leads_to(name, row.document_id) for name in row.names if not plan.covers(name))
    )


def _chunks(pending: Pending) -> list[Chunk]:
    document_id = pending.document.document_id
    linked = links(document_id, pending.drafts)
    return [
        Chunk(
            document_id=document_id,
            ordinal=ordinal,
            modality=draft.modality,
            span=draft.span,
            text=draft.text,
            vectors=vectors,
            thumbnail=draft.thumbnail,
            detail=draft.detail,
            label=draft.label,
            words=draft.words,
            links=linked[ordinal],
            head=draft.head,
            own_text=draft.own_text,
        )
        for ordinal, (draft, vectors) in enumerate(
            zip(pending.drafts, pending.vectors, strict=True)
        )
    ]
