"""Logging, and events for metrics.

Encoders and searches report to `events`, which forwards each event to its observers. The
server's observer counts them for Prometheus. Without observers an event costs one call.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias
from weakref import ref

if TYPE_CHECKING:
    from trawl.types import Modality

logger = logging.getLogger("trawl")
logger.addHandler(logging.NullHandler())

Kind: TypeAlias = Literal["query", "document"]
"""What is embedded. Queries take priority over documents."""


class Observer(Protocol):
    """Receives the events of this process.

    Methods must be fast and thread-safe, and must not raise. `model` is the name of a
    space. Seconds are wall-clock time.
    """

    def encoded(
        self, model: str, modality: Modality, kind: Kind, *, items: int, seconds: float
    ) -> None:
        """Record one call of an encoder with `items` items."""
        ...

    def encoder_queue(self, model: str, modality: Modality, kind: Kind, *, waiting: int) -> None:
        """Record the length of an encoder's queue after a change."""
        ...

    def encoder_refused(self, model: str, modality: Modality) -> None:
        """Record a query that was refused because the encoder's queue was full."""
        ...

    def model_loaded(self, model: str, modality: Modality, *, seconds: float) -> None:
        """Record that a tower's weights were loaded."""
        ...

    def embedding(self, model: str, modality: Modality, *, hit: bool) -> None:
        """Record a look-up in the cache of query vectors."""
        ...

    def source_searched(self, source: str, *, seconds: float) -> None:
        """Record one search of a source."""
        ...


class Events:
    """Forwards every event to the registered observers, through weak references."""

    def __init__(self) -> None:
        # Replaced, never mutated: readers do not take the lock.
        self._observers: tuple[ref[Observer], ...] = ()
        self._lock = Lock()

    def watch(self, observer: Observer) -> None:
        """Send all further events to `observer` until it is garbage-collected."""
        with self._lock:
            self._observers = (*self._alive(), ref(observer))

    @contextmanager
    def watched_by(self, observer: Observer) -> Iterator[None]:
        """Send events to `observer` inside a `with` block."""
        self.watch(observer)
        try:
            yield
        finally:
            with self._lock:
                self._observers = tuple(one for one in self._alive() if one() is not observer)

    def encoded(
        self, model: str, modality: Modality, kind: Kind, *, items: int, seconds: float
    ) -> None:
        """Record one call of an encoder with `items` items."""
        for one in self._watching():
            one.encoded(model, modality, kind, items=items, seconds=seconds)

    def encoder_queue(self, model: str, modality: Modality, kind: Kind, *, waiting: int) -> None:
        """Record the length of an encoder's queue after a change."""
        for one in self._watching():
            one.encoder_queue(model, modality, kind, waiting=waiting)

    def encoder_refused(self, model: str, modality: Modality) -> None:
        """Record a query that was refused because the encoder's queue was full."""
        for one in self._watching():
            one.encoder_refused(model, modality)

    def model_loaded(self, model: str, modality: Modality, *, seconds: float) -> None:
        """Record that a tower's weights were loaded."""
        for one in self._watching():
            one.model_loaded(model, modality, seconds=seconds)

    def embedding(self, model: str, modality: Modality, *, hit: bool) -> None:
        """Record a look-up in the cache of query vectors."""
        for one in self._watching():
            one.embedding(model, modality, hit=hit)

    def source_searched(self, source: str, *, seconds: float) -> None:
        """Record one search of a source."""
        for one in self._watching():
            one.source_searched(source, seconds=seconds)

    def _watching(self) -> list[Observer]:
        return [one for observer in self._observers if (one := observer()) is not None]

    def _alive(self) -> tuple[ref[Observer], ...]:
        return tuple(one for one in self._observers if one() is not None)


events = Events()
"""The events of this process."""
