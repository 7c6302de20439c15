"""Read files and split them into drafts, on threads that run ahead of the encoders.

The threads put their drafts into one queue, whose bound limits the memory. A file that takes long
occupies one thread; the files after it go on with the others.
"""

from __future__ import annotations

import queue
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from threading import Event, Lock, Thread
from types import TracebackType
from typing import TypeAlias

from trawl.encoders import TextEncoder
from trawl.errors import ReadError, TrawlError
from trawl.ingest.drafts import ChunkingOptions, Draft, draft_chunks
from trawl.ingest.items import Item, fingerprint, fingerprints
from trawl.ingest.moves import Origin
from trawl.objects import StoredObject
from trawl.readers import IN_PROCESS, OCR_TYPES, READERS, Limits, read
from trawl.readers.child import Request
from trawl.readers.ocr import load_engine
from trawl.readers.process import READER_FAILED, ReaderPool
from trawl.store import DocumentRow, edited_caption, edited_title
from trawl.types import Reading

# Drafts that wait for the encoders. A picture takes up to 3 MB, a window of sound up to 2 MB.
_DRAFTS_AHEAD = 16


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """How files are read. `recipe` holds what else determines the chunks: spaces, versions.

    `recipe_of` returns it for a media type, since not all depend on the same settings.
    `workers` files are read at the same time. With `retry_failed`, files that ended the process
    of their reader are read again although they have not changed.
    """

    chunking: ChunkingOptions
    recipe: Mapping[str, object]
    limits: Limits
    workers: int
    retry_failed: bool = False
    skip_duplicates: bool = False

    def recipe_of(self, media_type: str) -> Mapping[str, object]:
        """Return what determines the chunks of a file beside its content."""
        recipe = dict(self.recipe)
        if media_type in OCR_TYPES:
            engine = load_engine(self.limits.ocr, self.limits.ocr_languages)
            if engine is not None:
                recipe["ocr"] = engine.name
        if self.limits.speech_model and media_type.startswith(("audio/", "video/")):
            recipe["speech"] = self.limits.speech_model
        return recipe


@dataclass(slots=True)
class Job:
    """A file that is being read. It is unchanged, renamed, failed, or has a reading.

    `number` is its place in the plan.
    """

    item: Item
    number: int
    content_hash: str = ""
    content: str = ""
    size_bytes: int = 0
    modified_ns: int | None = None
    origin: Origin = field(default_factory=Origin)
    reading: Reading | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Pages:
    """The number of pages of a file that have been read, and the total if it is known."""

    done: int
    total: int | None


ReadStep: TypeAlias = "tuple[Job, Draft | Pages | None]"
"""A draft of a file, its progress, or None once the file has been read or has failed."""

CANNOT_BE_OPENED = "cannot be opened: "
"""The beginning of the message if the system cannot open a file."""


@contextmanager
def noting_failure(job: Job) -> Iterator[None]:
    """Store an exception in `Job.error`, so that it fails one file only."""
    try:
        yield
    except OSError as error:
        job.error = f"{CANNOT_BE_OPENED}{error.strerror or error}"
    except TrawlError as error:
        job.error = str(error)
    except Exception as error:  # a bug in a reader
        job.error = f"cannot be read: {type(error).__name__}: {error}"


def measure(job: Job, options: IngestOptions) -> None:
    """Determine the size, the time and the content hashes of a file. Raises `OSError`."""
    item, recipe = job.item, options.recipe_of(job.item.media_type)
    if item.source is None:
        stat = item.path.stat()
        job.size_bytes, job.modified_ns = stat.st_size, stat.st_mtime_ns
        job.content_hash, job.content = fingerprints(item, recipe)
    else:
        job.size_bytes, job.modified_ns = item.source.size_bytes, item.source.modified_ns
        job.content_hash = fingerprint(item, recipe)


class ReadAhead:
    """Reads files in threads while it is open, and yields what they read.

    `identify` is called in the threads. It measures a file and determines its origin, unless
    that is known.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        options: IngestOptions,
        encoder: TextEncoder,
        identify: Callable[[Job], None],
        pool: ReaderPool,
    ) -> None:
        self._options = options
        self._encoder = encoder
        self._identify = identify
        self._pool = pool
        self._jobs = iter(jobs)
        self._jobs_lock = Lock()
        self._steps: queue.Queue[ReadStep] = queue.Queue(_DRAFTS_AHEAD)
        self._stopped = Event()
        workers = min(options.workers, len(jobs))
        self._threads = [
            Thread(target=self._work, name="trawl-read", daemon=True) for _ in range(workers)
        ]

    def __enter__(self) -> ReadAhead:
        self._pool.resume()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped.set()
        if kind is not None:
            self._pool.stop()
        for thread in self._threads:
            while thread.is_alive():
                self._take(0.01)  # a thread may wait for room in the queue

    def steps(self, idle_s: float) -> Iterator[ReadStep | None]:
        """Yield the steps of all files, and None whenever there was none for `idle_s`."""
        while True:
            alive = any(thread.is_alive() for thread in self._threads)
            step = self._take(idle_s if alive else 0)
            if step is None and not alive:
                return
            yield step

    def _take(self, within_s: float) -> ReadStep | None:
        try:
            return self._steps.get(within_s > 0, within_s or None)
        except queue.Empty:
            return None

    # --- in the threads ----------------------------------------------------------------

    def _work(self) -> None:
        while not self._stopped.is_set():
            with self._jobs_lock:
                job = next(self._jobs, None)
            if job is None:
                return
            with noting_failure(job):
                self._read(job)
            self._steps.put((job, None))

    def _read(self, job: Job) -> None:
        item = job.item
        self._identify(job)
        if job.origin.state != "changed":
            return
        row = job.origin.row
        if row is not None and _harmed_reader(row, job) and not self._options.retry_failed:
            job.error = row.error
            return
        if item.source is None:
            self._draft(job)
            return
        with self._downloaded(job, item.source):
            recipe = self._options.recipe_of(item.media_type)
            _, job.content = fingerprints(item, recipe)
            self._draft(job)

    @contextmanager
    def _downloaded(self, job: Job, source: StoredObject) -> Iterator[None]:
        """Have an object in its file. If it cannot be read, its document keeps its chunks."""
        content_hash, job.content_hash = job.content_hash, ""
        try:
            found = source.download(job.item.path)
            if found.tag != source.tag:
                raise ReadError("the object changed while it was added; add it again")
            job.content_hash = content_hash
            yield
        finally:
            shutil.rmtree(job.item.path.parent, ignore_errors=True)

    def _draft(self, job: Job) -> None:
        item = job.item
        with self._opened(job) as reading:
            job.reading = reading
            drafts = draft_chunks(
                reading,
                title=edited_title(item.title or reading.title, job.origin.edits),
                caption=item.caption,
                edited_caption=edited_caption(job.origin.edits),
                encoder=self._encoder,
                options=self._options.chunking,
            )
            count = 0
            for count, draft in enumerate(drafts, start=1):  # noqa: B007
                self._steps.put((job, draft))
                if self._stopped.is_set():
                    return
            # A Markdown file of images only has no parts, and does not fail.
            if reading.parts != () and not count:
                job.error = "contains nothing to index"

    @contextmanager
    def _opened(self, job: Job) -> Iterator[Reading]:
        def progress(done: int, total: int | None = None) -> None:
            if not self._stopped.is_set():
                self._steps.put((job, Pages(done, total)))

        item, options = job.item, self._options
        if item.media_type in IN_PROCESS:
            yield read(
                item.path, item.media_type, max_pixels=options.limits.max_pixels, progress=progress
            )
            return
        request = Request(
            READERS[item.media_type],
            item.path,
            item.media_type,
            replace(options.limits, progress=progress),
            options.chunking.window_s,
            options.chunking.hop_s,
        )
        with self._pool.reading(request) as reading:
            yield reading


def _harmed_reader(row: DocumentRow, job: Job) -> bool:
    """Return whether the file, as it is now, ended the process of its reader."""
    known = (row.document_id, row.content_hash, row.uri)
    return known == (job.item.document_id, job.content_hash, job.item.uri) and (
        row.error is not None and row.error.startswith(READER_FAILED)
    )
