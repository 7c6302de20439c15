"""Engines of `add`: what reads the files of a plan, splits them and embeds their chunks.

An engine yields documents that are ready, or about to be; `trawl.ingest.pipeline` commits them.
`LocalEngine` uses the threads and reader processes of this machine. `trawl.ingest.on_ray` runs a
`LocalEngine` in each worker of a Ray cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Protocol, Self, TypeAlias

from trawl.encoders import Encoder, TextEncoder
from trawl.ingest.drafts import Draft
from trawl.ingest.embedding import Embedder, Pending
from trawl.ingest.items import Item
from trawl.ingest.moves import Origins
from trawl.ingest.reading import IngestOptions, Job, Pages, ReadAhead, measure
from trawl.readers.process import ReaderPool
from trawl.types import Document, Modality

Step: TypeAlias = "tuple[Job, Pages | Pending | None]"
"""The progress of a file, or its document once it has been read.

None instead of a document: the file is unchanged or renamed, or cannot be read (`Job.error`).
"""


class Engine(Protocol):
    """Reads and embeds the files of one run while it is open."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def steps(
        self, items: Sequence[Item], options: IngestOptions, origins: Origins, idle_s: float
    ) -> Generator[Step | None, None, None]:
        """Yield the steps of all files in any order, and None now and then.

        None comes at least every `idle_s` if there are no steps. A document may still wait for
        its vectors (`Pending.unembedded`).
        """
        ...

    def start(self) -> None:
        """Begin to embed what waits for a full batch."""
        ...

    def flush(self) -> None:
        """Embed what has been read so far, also after `steps` was interrupted."""
        ...


class LocalEngine:
    """Reads on threads and in reader processes, and embeds in batches across documents.

    `encoders` maps a modality to its (source name, encoder) pairs. The tokens of `text_encoder`
    bound the passages.
    """

    def __init__(
        self,
        encoders: Mapping[Modality, Sequence[tuple[str, Encoder]]],
        text_encoder: TextEncoder,
        pool: ReaderPool,
    ) -> None:
        self._text_encoder = text_encoder
        self._pool = pool
        self._embedder = Embedder(encoders)
        self._pending: dict[int, Pending] = {}

    def __enter__(self) -> Self:
        self._embedder.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._embedder.__exit__(kind, error, trace)

    def steps(
        self, items: Sequence[Item], options: IngestOptions, origins: Origins, idle_s: float
    ) -> Generator[Step | None, None, None]:
        """Yield the steps of all files. See `Engine`."""

        def identify(job: Job) -> None:
            measure(job, options)
            job.origin = origins.of(job.item, job.content_hash)

        jobs = [Job(item, number) for number, item in enumerate(items)]
        return self.read(jobs, options, identify, idle_s)

    def read(
        self,
        jobs: Sequence[Job],
        options: IngestOptions,
        identify: Callable[[Job], None],
        idle_s: float,
    ) -> Generator[Step | None, None, None]:
        """Yield the steps of files that `identify` measures and finds the origin of."""
        with ReadAhead(jobs, options, self._text_encoder, identify, self._pool) as ahead:
            for step in ahead.steps(idle_s):
                match step:
                    case (job, Draft() as draft):
                        self._embedder.add(self._pending_of(job), draft)
                        yield None
                    case (job, Pages() as pages):
                        yield job, pages
                    case (job, _):
                        yield job, self._finished(job)
                    case None:
                        yield None

    def start(self) -> None:
        """Begin to embed what waits for a full batch."""
        self._embedder.start()

    def flush(self) -> None:
        """Embed what has been read so far."""
        self._embedder.flush()

    def _pending_of(self, job: Job) -> Pending:
        if job.number not in self._pending:
            self._pending[job.number] = Pending(document_of(job))
        return self._pending[job.number]

    def _finished(self, job: Job) -> Pending | None:
        if job.reading is None:
            return None
        pending = self._pending_of(job)
        pending.error = job.error or pending.error
        if job.reading.late_notices:
            notices = (*pending.document.notices, *job.reading.late_notices)
            pending.document = replace(pending.document, notices=notices)
        return self._pending.pop(job.number)


def document_of(job: Job) -> Document:
    """Return the document of a file that has been read, or has failed."""
    item, reading = job.item, job.reading
    metadata = dict(reading.metadata) if reading else {}
    return Document(
        document_id=item.document_id,
        uri=item.uri,
        content_hash=job.content_hash,
        media_type=item.media_type,
        title=item.title or (reading.title if reading else item.path.stem),
        metadata={**metadata, **item.metadata, **job.origin.given},
        size_bytes=job.size_bytes,
        modified_ns=job.modified_ns,
        notices=(*item.notices, *(reading.notices if reading else ())),
        names=item.names,
        given=job.origin.given,
        edits=job.origin.edits,
        content=job.content,
    )
