"""What runs in a worker: a `LocalEngine`, whose documents go back when they are complete."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

from trawl.encoders import Model, encoders_of, limit_threads, load_model, model_names
from trawl.errors import EngineError
from trawl.ingest.embedding import Pending
from trawl.ingest.engine import LocalEngine
from trawl.ingest.reading import IngestOptions, Job, Pages, measure, noting_failure
from trawl.readers import OCR_TYPES
from trawl.readers.process import ReaderPool

_PACKAGE = "trawl-multimodal"
# A message for each file would cost more than small files do.
_SEND_S = 0.25
# Documents that wait for a full batch are embedded anyway after this time.
_WAIT_S = 5.0


@dataclass(frozen=True, slots=True)
class Setup:
    """What a worker needs besides the files.

    `models` are pairs of a name, or the folder of a model, and the fingerprint of its space.
    """

    models: tuple[tuple[str, str], ...]
    model_dir: Path | None
    reader_timeout_s: float
    reader_memory_mb: int
    version: str = field(default_factory=lambda: version(_PACKAGE))

    @classmethod
    def of(
        cls,
        models: Sequence[Model],
        model_dir: Path | None,
        reader_timeout_s: float,
        reader_memory_mb: int,
    ) -> Setup:
        """Return the setup for models that are loaded in this process."""
        named = tuple((_address(model), model.space.fingerprint) for model in models)
        folder = model_dir.absolute() if model_dir is not None else None
        return cls(named, folder, reader_timeout_s, reader_memory_mb)


def _address(model: Model) -> str:
    if model.card.name in model_names():
        return model.card.name
    return str(next(iter(model.card.towers.values())).directory.absolute())


@dataclass(slots=True)
class Measured:
    """A file's size, time and content hashes, or why they are not known."""

    number: int
    size_bytes: int
    modified_ns: int | None
    content_hash: str
    content: str
    error: str | None


@dataclass(slots=True)
class Finished:
    """A file that has been read: its document, or None with an error.

    `content_hash` is "" if it could not be opened after all.
    """

    number: int
    pending: Pending | None
    error: str | None
    content_hash: str


@dataclass(slots=True)
class Parcel:
    """What a worker sends: files that are finished, and the pages of others by their number."""

    finished: list[Finished] = field(default_factory=list)
    pages: dict[int, Pages] = field(default_factory=dict)


class Worker:
    """A worker. Its methods are called in several threads."""

    def __init__(self, setup: Setup, options: IngestOptions, threads: int) -> None:
        limit_threads(threads)
        self._setup = setup
        self._options = replace(options, workers=threads)
        self._pool = ReaderPool(setup.reader_timeout_s, setup.reader_memory_mb)

    @cached_property
    def _models(self) -> list[Model]:
        return [load_model(name, self._setup.model_dir) for name, _ in self._setup.models]

    def check(self, ocr_recipe: dict[str, object]) -> str:
        """Return the address of the worker's machine.

        Raises `TrawlError` if it would make other chunks or vectors than the driver.
        """
        import ray

        if self._setup.version != version(_PACKAGE):
            raise EngineError(
                f"it has Trawl {version(_PACKAGE)}, not {self._setup.version}; install the same"
            )
        for model, (name, fingerprint) in zip(self._models, self._setup.models, strict=True):
            if model.space.fingerprint != fingerprint:
                raise EngineError(f"it has other files of the model {name}; install the same ones")
        if recipe_with_ocr(self._options) != ocr_recipe:
            raise EngineError(
                "it recognises text in pictures otherwise (the setting ocr); install the same "
                "engine everywhere, or set ocr to off"
            )
        return str(ray.util.get_node_ip_address())

    def measure(self, jobs: Sequence[Job]) -> list[Measured]:
        """Measure files, as `trawl.ingest.reading.measure` does."""
        for job in jobs:
            with noting_failure(job):
                measure(job, self._options)
        return [
            Measured(
                number=job.number,
                size_bytes=job.size_bytes,
                modified_ns=job.modified_ns,
                content_hash=job.content_hash,
                content=job.content,
                error=job.error,
            )
            for job in jobs
        ]

    def read(self, jobs: Sequence[Job]) -> Iterator[Parcel]:
        """Read and embed files that have been measured, and yield what is complete."""
        with LocalEngine(encoders_of(self._models), self._models[0].text, self._pool) as engine:
            parcel, waiting = Parcel(), list[Finished]()
            sent_at = started_at = time.monotonic()
            for step in engine.read(jobs, self._options, _open, _SEND_S):
                match step:
                    case (job, Pages() as pages):
                        parcel.pages[job.number] = pages
                    case (job, pending):
                        waiting.append(Finished(job.number, pending, job.error, job.content_hash))
                now = time.monotonic()
                if waiting and now - started_at > _WAIT_S:
                    engine.start()
                    started_at = now
                if now - sent_at > _SEND_S:
                    waiting = _move_complete(waiting, parcel)
                    if parcel.finished or parcel.pages:
                        yield parcel
                        parcel = Parcel()
                    sent_at = now
            engine.flush()
            _move_complete(waiting, parcel)
            yield parcel


def _open(job: Job) -> None:
    """Raise `OSError` if this machine cannot open a file, which another one has measured."""
    if job.item.source is not None:
        return  # an object, which is downloaded
    with job.item.path.open("rb"):
        pass


def _move_complete(waiting: list[Finished], parcel: Parcel) -> list[Finished]:
    """Move the files whose chunks are all embedded to a parcel, and return the others."""
    left: list[Finished] = []
    for one in waiting:
        is_complete = one.pending is None or one.pending.unembedded == 0
        (parcel.finished if is_complete else left).append(one)
    return left


def recipe_with_ocr(options: IngestOptions) -> dict[str, object]:
    """Return what determines the chunks of files in which text is recognised."""
    return dict(options.recipe_of(min(OCR_TYPES)))
