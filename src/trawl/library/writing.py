"""The writing half of `Library`: add, remove and edit documents."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from trawl.encoders import Model, encoders_of
from trawl.errors import NotFoundError, TrawlError, UsageError
from trawl.ingest import (
    Engine,
    Ingester,
    IngestOptions,
    LocalEngine,
    OnChange,
    PagesRead,
    Plan,
    Progress,
    make_plan,
    text_embedding,
)
from trawl.library import identity, inputs
from trawl.library.copies import Copies
from trawl.library.edits import EditRequest, metadata_edits
from trawl.library.records import Record, RecordKeys, batches, json_lines, numbered
from trawl.library.skipped import record_skipped
from trawl.locations import Location
from trawl.objects import Objects
from trawl.readers.process import ReaderPool
from trawl.settings import Settings
from trawl.store import DocumentRow, Store, Writer, write_lock
from trawl.types import Report

if TYPE_CHECKING:
    from trawl.ingest.on_ray import RayCluster

# Records are added without end, perhaps. Each time, indexes are merged and rows rewritten.
_MAINTAINED_CHUNKS = 20_000


class Writing:
    """The methods of `Library` that change it. Each holds the lock of the one writer.

    `Library` sets the attributes.
    """

    location: Location
    settings: Settings
    _copies: Copies
    _models: Sequence[Model]
    _objects: Objects
    _store: Store
    _readers: ReaderPool

    def add(
        self,
        paths: str | Path | Iterable[str | Path],
        *,
        metadata: Mapping[str, Any] | None = None,
        prune: bool = False,
        retry_failed: bool = False,
        skip_duplicates: bool = False,
        copy: bool = False,
        engine: Literal["local", "ray"] | RayCluster = "local",
        progress: Progress | None = None,
        pages: PagesRead | None = None,
    ) -> Report:
        """Add files, directories, and objects of a store by address: ``s3://bucket/papers``.

        Skips unchanged files and replaces changed ones.
        A document whose file has moved goes along with its metadata. `metadata` applies to every
        file and overrides what is found beside it. It is kept when the file is added again
        without it; a value of None takes a key back. `prune` removes documents below the given
        directories whose files are gone. `retry_failed` adds only the files that failed before.
        `skip_duplicates` leaves out new files that nearly repeat another document. `copy` stores
        a copy of each local file beside the library, from which its original is served when the
        file is gone or on another machine; it is replaced and removed with the document.
        `engine` is what reads and embeds the files: this process, or workers of a Ray cluster,
        which a `RayCluster` describes (the extra ``ray``); this process commits. The results are
        the same.
        `progress` is called with (done, total, address) after each file, and `pages` with
        (address, pages done, total or None) while one is read. Unreadable files are reported and
        skipped. Raises `LibraryLockedError` while another process writes, and `EngineError` if
        the cluster cannot be used.
        """
        if retry_failed and prune:
            raise UsageError("retry_failed adds only some files, so prune cannot be used with it")
        given = metadata_edits(inputs.as_mapping(metadata, "metadata"))
        options = replace(
            identity.ingest_options(self.settings, self._models), skip_duplicates=skip_duplicates
        )
        with self._writer() as writer:
            plan = make_plan(
                inputs.paths_of(paths), given, writer.known.version(), objects=self._objects
            )
            if retry_failed:
                failed = set(writer.known.version().ids("error IS NOT NULL"))
                plan.items = [item for item in plan.items if item.document_id in failed]
                plan.skipped.clear()
                options = replace(options, retry_failed=True)
            before = writer.known.version()
            ingester = self._ingester(writer, options, engine)
            with closing(plan):
                report = ingester.run(plan, prune=prune, progress=progress, pages=pages)
                uncopied = self._copies.update(
                    before, writer.known, plan.items, ingester.earlier, copy=copy
                )
            report = replace(report, failed=(*report.failed, *uncopied))
            record_skipped(self.location, plan)
        self._store.refresh()
        return report

    def sync(
        self,
        paths: Iterable[str | Path],
        *,
        metadata: Mapping[str, Any] | None = None,
        progress: Progress | None = None,
        on_change: OnChange | None = None,
    ) -> tuple[Report, Plan]:
        """Make the library equal to some files and directories, which may be gone.

        Unlike `add`, it removes the documents of paths that do not exist, and skips single files
        of types that are not read. `on_change` is called for each file that is not unchanged,
        possibly in another thread. Returns the report, and the plan that was carried out.
        """
        given = metadata_edits(inputs.as_mapping(metadata, "metadata"))
        options = identity.ingest_options(self.settings, self._models)
        with self._writer() as writer:
            before = writer.known.version()
            plan = make_plan(paths, given, before, objects=self._objects, asked_for=False)
            ingester = self._ingester(writer, options)
            with closing(plan):
                report = ingester.run(plan, prune=True, progress=progress, on_change=on_change)
                uncopied = self._copies.update(
                    before, writer.known, plan.items, ingester.earlier, copy=False
                )
            report = replace(report, failed=(*report.failed, *uncopied))
        self._store.refresh()
        return report, plan

    def add_records(
        self,
        records: Iterable[Record] | Record,
        *,
        metadata: Mapping[str, Any] | None = None,
        uri_key: str = "uri",
        text_key: str = "text",
        progress: Progress | None = None,
        pages: PagesRead | None = None,
    ) -> Report:
        """Add documents that are not files: texts, bytes, pictures, sounds and rows of data.

        ::

            library.add_records([
                {"uri": "note:1", "text": "A muon decays.", "metadata": {"year": 2019}},
                {"uri": "plot:7", "data": image, "caption": "Decay curve"},
                {"uri": "run:3", "data": (samples, 48_000), "title": "Hum of the magnet"},
            ])

        A record is a mapping with a ``uri``, which is any unique text but the path of a file.
        Its content is one of ``text``, ``path`` (of a file), ``base64``, or ``data``: bytes, a
        PIL image, an array (a picture), a `Sound`, or a pair of samples and sample rate in Hz.
        Without any of these, the text is the record's fields as lines of ``key: value``.
        ``title``, ``caption`` and ``media_type`` are optional. All other keys are metadata,
        and so are those of ``metadata``; nested objects become dotted keys.

        `records` may be any iterable, such as a generator; it is read in batches, in flat memory,
        while the library is locked. `uri_key` and `text_key` are other names of ``uri`` and
        ``text``. `metadata` applies to every record, overrides its own, and is kept when the
        record is added again.
        A record whose uri is in the library replaces the earlier one, and is skipped if nothing
        changed. `remove` and `show` take the uri. The content is not kept, so a record
        has no original file. Records that cannot be added are reported and skipped.

        Raises `UsageError` if `records` are not records, and `LibraryLockedError` while another
        process writes.
        """
        return self._add_records(
            numbered(records), metadata, RecordKeys(uri_key, text_key), progress, pages
        )

    def add_json_lines(
        self,
        stream: BinaryIO,
        *,
        metadata: Mapping[str, Any] | None = None,
        uri_key: str = "uri",
        text_key: str = "text",
        progress: Progress | None = None,
        pages: PagesRead | None = None,
    ) -> Report:
        """Add records from a binary stream with a JSON object per line. See `add_records`."""
        return self._add_records(
            json_lines(stream), metadata, RecordKeys(uri_key, text_key), progress, pages
        )

    def _add_records(
        self,
        records: Iterator[tuple[str, Record | TrawlError]],
        metadata: Mapping[str, Any] | None,
        keys: RecordKeys,
        progress: Progress | None,
        pages: PagesRead | None,
    ) -> Report:
        options = identity.ingest_options(self.settings, self._models)
        given = metadata_edits(inputs.as_mapping(metadata, "metadata"))
        total = Report(0, 0, 0, 0, (), 0, 0.0)
        maintained = 0
        with self._writer() as writer:
            for batch in batches(records, given, keys, self.settings.max_pixels):
                done = total.added + total.unchanged + total.replaced + len(total.failed)
                report = self._ingester(writer, options).run(
                    Plan(batch.items),
                    prune=False,
                    progress=_after(done, progress),
                    pages=pages,
                    maintain=False,
                )
                total = total.with_more(replace(report, failed=(*batch.failed, *report.failed)))
                if total.chunks - maintained >= _MAINTAINED_CHUNKS:
                    writer.maintain()
                    maintained = total.chunks
            writer.maintain()
        self._store.refresh()
        return total

    def _ingester(
        self, writer: Writer, options: IngestOptions, engine: str | RayCluster = "local"
    ) -> Ingester:
        return Ingester(writer, options, self._engine(engine))

    def _engine(self, engine: str | RayCluster) -> Engine:
        if engine == "local":
            return LocalEngine(encoders_of(self._models), self._models[0].text, self._readers)
        if own := [model.card.name for model in self._models if model.given]:
            raise UsageError(
                f"{', '.join(own)} is an encoder of this process, and the workers of a cluster "
                "load models by name; use the engine local"
            )
        from trawl.ingest.on_ray import RayCluster, RayEngine, Setup

        if engine == "ray":
            engine = RayCluster()
        if not isinstance(engine, RayCluster):
            raise UsageError(f"no engine {engine!r}; there are: local, ray, or a RayCluster")
        settings = self.settings
        setup = Setup.of(
            self._models,
            settings.model_dir,
            settings.reader_timeout_s,
            settings.reader_memory_mb,
        )
        return RayEngine(engine, setup)

    def remove(self, targets: str | Path | Iterable[str | Path]) -> int:
        """Remove documents by id or path; a directory stands for every document below it.

        Returns the number of documents removed. Raises `NotFoundError` if a target matches
        nothing, before anything is removed.
        """
        with self._writer() as writer:
            before = writer.known.version()
            ids = inputs.matching_ids(inputs.names_of(targets), before.names())
            rows = before.of(ids)
            writer.remove(ids)
            writer.maintain()
            self._copies.remove(rows.values(), writer.known)
        self._store.refresh()
        return len(ids)

    def set_metadata(
        self,
        target: str | Path,
        changes: Mapping[str, Any] | None = None,
        *,
        add: Mapping[str, Any] | None = None,
        remove: Mapping[str, Any] | None = None,
        check: Callable[[DocumentRow], None] | None = None,
    ) -> DocumentRow:
        """Edit a document by id or path: its metadata, title and caption.

        ::

            library.set_metadata("photo.jpg", {"caption": "The harbour, 1931", "year": 1931})
            library.set_metadata("photo.jpg", add={"tags": ["ship"]}, remove={"tags": ["boat"]})

        `changes` is a JSON merge patch (RFC 7396): None removes a key. The keys `title` and
        `caption` replace the file's title and the caption of a picture or a sound, for
        search too; None restores the file's, and a caption of "" hides it. `add` and `remove`
        change the items of lists. Edits survive re-adding the file, and are deleted with the
        document. `check` is called under the lock with the document as it is, and may raise to
        prevent the change.

        Returns the changed document. Raises `NotFoundError`; `UsageError` if a key is reserved;
        and `MetadataError` if a value has no type of the library, and for the caption of a text.
        """
        request = EditRequest(changes, add, remove)
        with self._writer() as writer:
            known = map(writer.known.get, inputs.candidate_ids(inputs.name_of(target)))
            row = next(filter(None, known), None)
            if row is None:
                raise NotFoundError(
                    f"no document {str(target)!r} in {self.location}; use an id from a search, "
                    "or the path of a file that was added"
                )
            if check is not None:
                check(row)
            edits = request.on(row)
            if edits:
                row = writer.edit(row.document_id, edits)
                writer.maintain()
        self._store.refresh()
        return row

    @contextmanager
    def _writer(self) -> Iterator[Writer]:
        """Hold the lock of the one writer, and yield it."""
        with write_lock(self.location, self.settings.lock_wait_s) as lock:
            yield self._store.writer(lock, text_embedding(encoders_of(self._models)))


def _after(done: int, progress: Progress | None) -> Progress | None:
    """Return a progress that counts from `done`. The total is that of the batches so far."""
    if progress is None:
        return None
    return lambda more, total, uri: progress(done + more, done + total, uri)
