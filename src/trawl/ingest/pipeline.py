"""The `add` pipeline: an engine reads and embeds the files, and one thread here commits.

`trawl.ingest.engine` is the engine of this machine, `trawl.ingest.on_ray` that of a cluster.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import PurePath

from trawl.ingest.citations import links
from trawl.ingest.duplicates import Originals
from trawl.ingest.embedding import Pending
from trawl.ingest.engine import Engine, document_of
from trawl.ingest.items import Item, Plan, Unread, fingerprint
from trawl.ingest.moves import Origin, Origins
from trawl.ingest.names import document_id_of, leads_to
from trawl.ingest.reading import IngestOptions, Job, Pages
from trawl.store import DocumentRow, Named, Writer
from trawl.types import Change, Chunk, Document, Failure, Notice, Repeat, Report

# A commit pays off from about a thousand rows. A slow run that is interrupted should lose only
# a few seconds of work.
_COMMIT_CHUNKS = 1024
_COMMIT_S = 5.0

Progress = Callable[[int, int, str], None]
"""Called after each file with the number done, the total and the file's URI."""

OnChange = Callable[[Change], None]
"""Called with what became of a file, once that is stored; not for unchanged files."""

PagesRead = Callable[[str, int, int | None], None]
"""Called with a file's URI, the number of its pages that are read, and their total or None."""


@dataclass(slots=True)
class _Counts:
    added: int = 0
    unchanged: int = 0
    replaced: int = 0
    moved: int = 0
    chunks: int = 0
    failed: list[Failure] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    duplicates: list[Repeat] = field(default_factory=list)


class Ingester:
    """One run of `add`. The outcome of every file is in the report and in the library."""

    def __init__(self, writer: Writer, options: IngestOptions, engine: Engine) -> None:
        self._writer = writer
        self._options = options
        self._engine = engine
        self._committer = ThreadPoolExecutor(1, "trawl-commit")
        self._committing: Future[None] | None = None
        self._is_broken = False
        self._ended: dict[int, Pending] = {}
        self._rows: list[DocumentRow] = []
        self._renamed: dict[str, DocumentRow] = {}
        self._originals: Originals | None = None
        self._uris: dict[str, str] = {}
        self._counts = _Counts()
        self._committed_at = time.monotonic()
        self._on_change: OnChange | None = None

    def run(
        self,
        plan: Plan,
        *,
        prune: bool,
        progress: Progress | None = None,
        pages: PagesRead | None = None,
        on_change: OnChange | None = None,
        maintain: bool = True,
    ) -> Report:
        """Add the files of a plan. `prune` removes documents below its roots without a file.

        `on_change` may be called in another thread. Without `maintain`, the caller maintains the
        tables after the last of several runs.
        """
        self._on_change = on_change
        began = self._committed_at = time.monotonic()
        self._origins = Origins(plan, self._writer.known.version(), self._fingerprint)
        for unread in plan.unread:
            self._fail_unread(unread)
        with self._committer, self._engine:
            try:
                self._add_all(plan, progress, pages)
            finally:
                # Also after Ctrl-C, unless a commit failed or was interrupted itself.
                if not self._is_broken:
                    self._engine.flush()
                    self._commit()
                    self._wait_for_commit()
        self._remove_old_failures(plan)
        removed = self._prune(plan) if prune else 0
        if maintain:
            self._writer.maintain()
        return self._report(plan, removed, time.monotonic() - began)

    def earlier(self, document_id: str) -> DocumentRow | None:
        """Return the document that another one of this run continues, None for a new one."""
        return self._origins[document_id].row

    def _fingerprint(self, item: Item) -> str:
        return fingerprint(item, self._options.recipe_of(item.media_type))

    def _report(self, plan: Plan, removed: int, seconds: float) -> Report:
        order = {item.uri: number for number, item in enumerate(plan.items)}
        counts = self._counts
        counts.notices += self._origins.notices()
        return Report(
            added=counts.added,
            moved=counts.moved,
            unchanged=counts.unchanged,
            replaced=counts.replaced,
            removed=removed,
            failed=tuple(sorted(counts.failed, key=lambda one: order.get(one.uri, -1))),
            chunks=counts.chunks,
            seconds=round(seconds, 3),
            skipped=len(plan.skipped),
            notices=tuple(sorted(counts.notices, key=lambda one: order.get(one.uri, -1))),
            skipped_types=plan.skipped_types,
            skipped_examples=plan.skipped_examples,
            duplicates=tuple(sorted(counts.duplicates, key=lambda one: order.get(one.uri, -1))),
        )

    def _add_all(self, plan: Plan, progress: Progress | None, pages: PagesRead | None) -> None:
        done = 0
        steps = self._engine.steps(plan.items, self._options, self._origins, _COMMIT_S)
        with closing(steps):
            for step in steps:
                match step:
                    case (job, Pages() as read):
                        if pages is not None:
                            pages(job.item.uri, read.done, read.total)
                        self._commit_if_due(has_ended=False)
                    case (job, pending):
                        self._end(job, pending)
                        done += 1
                        if progress is not None:
                            progress(done, len(plan.items), job.item.uri)
                        self._commit_if_due(has_ended=True)
                    case None:
                        self._commit_if_due(has_ended=False)

    def _end(self, job: Job, pending: Pending | None) -> None:
        """Take note that a file has been read completely, or has failed."""
        if job.origin.state == "unchanged":
            self._counts.unchanged += 1
            self._update_modified(job)
        elif job.origin.state == "renamed":
            self._rename(job, job.origin)
        elif pending is None:
            self._rows.append(self._fail(document_of(job), job.error or "unreadable"))
        else:
            self._ended[job.number] = pending

    def _update_modified(self, job: Job) -> None:
        """Store the new modification time of a file whose content is unchanged."""
        known = job.origin.row
        if known is not None and known.modified_ns != job.modified_ns:
            self._rows.append(replace(known, modified_ns=job.modified_ns))

    def _rename(self, job: Job, origin: Origin) -> None:
        """Keep a document's chunks under the new id or address of its file."""
        assert origin.row is not None
        item = job.item
        self._renamed[origin.row.document_id] = replace(
            origin.row,
            document_id=item.document_id,
            uri=item.uri,
            names=item.names,
            size_bytes=job.size_bytes,
            modified_ns=job.modified_ns,
        )

    # --- committing --------------------------------------------------------------------

    def _commit_if_due(self, *, has_ended: bool) -> None:
        if time.monotonic() - self._committed_at > _COMMIT_S and (
            self._ended or self._rows or self._renamed
        ):
            self._engine.start()
            self._commit()
        elif has_ended:
            complete = (one for one in self._ended.values() if one.unembedded == 0)
            ready = sum(len(pending.drafts) for pending in complete)
            ready += sum(row.chunks for row in self._renamed.values())
            if ready >= _COMMIT_CHUNKS:
                self._commit()

    def _commit(self) -> None:
        """Commit the documents that are embedded completely, in the order of the plan.

        Waits for the previous commit, not for this one.
        """
        numbers = sorted(n for n, pending in self._ended.items() if pending.unembedded == 0)
        ready = [self._ended.pop(number) for number in numbers]
        rows, self._rows = self._rows, []
        renamed, self._renamed = self._renamed, {}
        self._wait_for_commit()
        self._committing = self._committer.submit(self._write, ready, rows, renamed)
        self._committed_at = time.monotonic()

    def _wait_for_commit(self) -> None:
        committing, self._committing = self._committing, None
        if committing is not None:
            self._is_broken = True
            committing.result()
            self._is_broken = False

    def _write(
        self,
        pending: Sequence[Pending],
        rows: list[DocumentRow],
        renamed: Mapping[str, DocumentRow],
    ) -> None:
        ready: list[tuple[Document, list[Chunk]]] = []
        replaced = moved = 0
        for one in pending:
            document = one.document
            if one.error is not None:
                rows.append(self._fail(document, one.error))
                continue
            origin = self._origins[document.document_id]
            moved += origin.moved
            replaced += not origin.moved and origin.row is not None and origin.row.chunks > 0
            chunks = _chunks(one)
            if origin.row is None and self._is_duplicate(document, chunks):
                continue
            ready.append((document, chunks))
            self._counts.notices += [Notice(document.uri, notice) for notice in document.notices]
        ids = [*(document.document_id for document, _ in ready)]
        ids += (row.document_id for row in renamed.values())
        retired = [id_ for id_ in (self._origins[one].retired for one in ids) if id_ is not None]
        self._writer.commit(ready, rows, renamed, retired)
        for document, _ in ready:
            self._tell_added(document.document_id, document.uri, document.notices)
        for row in renamed.values():
            self._tell_added(row.document_id, row.uri, row.notices)
        renames = [self._origins[row.document_id] for row in renamed.values()]
        self._counts.moved += moved + sum(origin.moved for origin in renames)
        self._counts.unchanged += sum(not origin.moved for origin in renames)
        self._counts.added += len(ready) - replaced - moved
        self._counts.replaced += replaced
        self._counts.chunks += sum(len(chunks) for _, chunks in ready)

    def _tell(self, change: Change) -> None:
        if self._on_change is not None:
            self._on_change(change)

    def _tell_added(self, document_id: str, uri: str, notices: tuple[str, ...]) -> None:
        origin = self._origins[document_id]
        known = origin.row
        if origin.moved and known is not None:
            self._tell(Change("moved", uri, was=known.uri, notices=notices))
        elif known is not None and known.chunks > 0:
            self._tell(Change("changed", uri, notices=notices))
        else:
            self._tell(Change("added", uri, notices=notices))

    def _is_duplicate(self, document: Document, chunks: Sequence[Chunk]) -> bool:
        """Report a new document that nearly repeats another one, if these are skipped."""
        if not self._options.skip_duplicates:
            return False
        if self._originals is None:
            self._originals = Originals(self._writer.prints())
        prints = [chunk.likeness for chunk in chunks]
        like = self._originals.like(document.document_id, prints)
        if like is None:
            self._originals.add(document.document_id, prints)
            self._uris[document.document_id] = document.uri
            return False
        known = self._writer.known.get(like)
        uri = known.uri if known is not None else self._uris[like]
        self._counts.duplicates.append(Repeat(document.uri, uri))
        return True

    def _fail(self, document: Document, reason: str) -> DocumentRow:
        """Report a failure, and return its row, which removes chunks from earlier runs.

        A file that cannot be opened (its content hash is unknown) keeps them.
        """
        known = self._writer.known.get(document.document_id)
        kept = known.chunks if known is not None and not document.content_hash else 0
        document = replace(document, metadata={}, notices=())
        if known is not None and kept:
            title = known.title if known.own_title is None else known.own_title
            document = replace(document, metadata=known.metadata, names=known.names, title=title)
        self._counts.failed.append(Failure(document.uri, reason))
        self._tell(Change("failed", document.uri, reason))
        return DocumentRow.of(document, kept, error=reason)

    def _fail_unread(self, unread: Unread) -> None:
        """Record a path that cannot be added; only existing paths become documents."""
        if not unread.exists:
            self._counts.failed.append(Failure(unread.uri, unread.reason))
            return
        name = PurePath(unread.uri).stem
        content_hash = "unreadable" if unread.opened else ""
        document_id = self._named.get(unread.uri) or document_id_of(unread.uri)
        document = Document(document_id, unread.uri, content_hash, "", name, {}, 0)
        self._rows.append(self._fail(document, unread.reason))

    @cached_property
    def _named(self) -> Mapping[str, str]:
        """The ids of the documents by their names, among which links may be broken now."""
        known = self._writer.known.version().names()
        return {name: row.document_id for row in known for name in (row.uri, *row.names)}

    def _remove_old_failures(self, plan: Plan) -> None:
        """Remove failures of earlier runs that did not fail again in this run."""
        failing = {failure.uri for failure in self._counts.failed}
        self._writer.remove(
            [
                row.document_id
                for row in self._writer.known.version().names("error IS NOT NULL AND chunks = 0")
                if row.uri not in failing
                and plan.covers(row.uri)
                and not plan.is_unreadable(row.uri)
            ]
        )

    def _prune(self, plan: Plan) -> int:
        present = {item.document_id for item in plan.items}
        gone = [
            row
            for row in self._writer.known.version().names("error IS NULL OR chunks > 0")
            if row.document_id not in present and _is_gone(row, plan)
        ]
        self._writer.remove([row.document_id for row in gone])
        for row in gone:
            self._tell(Change("removed", row.uri))
        return len(gone)


def _is_gone(row: Named, plan: Plan) -> bool:
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
            likeness=draft.likeness,
            links=linked[ordinal],
            head=draft.head,
            own_text=draft.own_text,
        )
        for ordinal, (draft, vectors) in enumerate(
            zip(pending.drafts, pending.vectors, strict=True)
        )
    ]
