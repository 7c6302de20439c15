"""What Trawl tells of itself: log lines, and events for whoever counts them.

The parts below the server know nothing of Prometheus. They report to `events`, which
passes each event on to the observers that are watching; where nobody is, an event costs
a call and nothing more.
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
"""What is embedded: questions go before what is being added."""


class Observer(Protocol):
    """Told what happens in this process. Every method is quick, thread-safe, and never raises.

    `model` is the name of a space. Seconds are wall-clock.
    """

    def encoded(
        self, model: str, modality: Modality, kind: Kind, *, items: int, seconds: float
    ) -> None:
        """An encoder was called once, for `items` items."""
        ...

    def encoder_queue(self, model: str, modality: Modality, kind: Kind, *, waiting: int) -> None:
        """The queue before an encoder changed: so many requests wait now."""
        ...

    def encoder_refused(self, model: str, modality: Modality) -> None:
        """A query was refused, since too many wait for the encoder."""
        ...

    def model_loaded(self, model: str, modality: Modality, *, seconds: float) -> None:
        """A tower's weights were read."""
        ...

    def embedding(self, model: str, modality: Modality, *, hit: bool) -> None:
        """A query's vector was looked for among those that are kept."""
        ...

    def source_asked(self, source: str, *, seconds: float) -> None:
        """A source gave its ranking."""
        ...


class Events:
    """An `Observer` that passes everything on to those who watch. It holds none of them alive."""

    def __init__(self) -> None:
        # Replaced, never changed: it is read without the lock.
        self._observers: tuple[ref[Observer], ...] = ()
        self._lock = Lock()

    def watch(self, observer: Observer) -> None:
        """Tell `observer` of everything from now on, for as long as somebody holds it."""
        with self._lock:
            self._observers = (*self._alive(), ref(observer))

    @contextmanager
    def watched_by(self, observer: Observer) -> Iterator[None]:
        """Tell `observer` of what happens inside a `with`."""
        self.watch(observer)
        try:
            yield
        finally:
            with self._lock:
                self._observers = tuple(one for one in self._alive() if one() is not observer)

    def encoded(
        self, model: str, modality: Modality, kind: Kind, *, items: int, seconds: float
    ) -> None:
        """An encoder was called once, for `items` items."""
        for one in self._watching():
            one.encoded(model, modality, kind, items=items, seconds=seconds)

    def encoder_queue(self, model: str, modality: Modality, kind: Kind, *, waiting: int) -> None:
        """The queue before an encoder changed: so many requests wait now."""
        for one in self._watching():
            one.encoder_queue(model, modality, kind, waiting=waiting)

    def encoder_refused(self, model: str, modality: Modality) -> None:
        """A query was refused, since too many wait for the encoder."""
        for one in self._watching():
            one.encoder_refused(model, modality)

    def model_loaded(self, model: str, modality: Modality, *, seconds: float) -> None:
        """A tower's weights were read."""
        for one in self._watching():
            one.model_loaded(model, modality, seconds=seconds)

    def embedding(self, model: str, modality: Modality, *, hit: bool) -> None:
        """A query's vector was looked for among those that are kept."""
        for one in self._watching():
            one.embedding(model, modality, hit=hit)

    def source_asked(self, source: str, *, seconds: float) -> None:
        """A source gave its ranking."""
        for one in self._watching():
            one.source_asked(source, seconds=seconds)

    def _watching(self) -> list[Observer]:
        return [one for held in self._observers if (one := held()) is not None]

    def _alive(self) -> tuple[ref[Observer], ...]:
        return tuple(held for held in self._observers if held() is not None)


events = Events()
"""Where the parts report what they do."""
