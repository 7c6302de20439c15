"""Wrappers that schedule and report an encoder's calls: `Direct`, and `Batcher` with a queue.

`Batcher` joins concurrent queries into one call and encodes queries before documents.
Media are prepared before they are queued: a query by the calling thread, documents by a
shared thread pool. So only arrays wait, and the network never waits for media. A worker
thread takes all waiting queries at once or, if there are none, one batch of documents. If
the previous call joined several queries, the worker waits up to 2 ms for as many again:
concurrent clients share calls, and a single client is not delayed. A failed call is
repeated request by request, so that only the faulty request fails. The worker survives
every exception and exits when idle; the next request starts another.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from trawl.encoders.base import Encoder, Lazy, StagedEncoder, TextEncoder, threads, tokens_cut
from trawl.errors import OverloadedError
from trawl.telemetry import Kind, events
from trawl.types import Modality, Space, Vectors

_JOIN_S = 0.002
_IDLE_S = 5.0
_MAX_QUERIES_PER_CALL = 32
_MAX_WAITING = 256
# A query that arrives while documents are encoded waits for one such batch.
_DOCUMENTS_PER_CALL = 16
# One batch is encoded while the next is prepared; more would only use memory.
_BATCHES_AHEAD = 2

_pool = Lazy(lambda: ThreadPoolExecutor(threads(), "trawl-prepare"))


def prepare_soon(encoder: StagedEncoder, item: Any) -> Future[Any]:
    """Prepare a document's item on the thread pool that all encoders share.

    Each pending item stays in memory until it is prepared; callers bound their number.
    """
    return _pool().submit(encoder.prepare, item)


_EncoderT_co = TypeVar("_EncoderT_co", bound=Encoder, covariant=True)
_TextEncoderT_co = TypeVar("_TextEncoderT_co", bound=TextEncoder, covariant=True)


class _Wrapper(Generic[_EncoderT_co]):
    """Delegates the properties of an encoder."""

    def __init__(self, encoder: _EncoderT_co) -> None:
        self.encoder = encoder

    @property
    def modality(self) -> Modality:
        return self.encoder.modality

    @property
    def space(self) -> Space:
        return self.encoder.space


class _TextWrapper(_Wrapper[_TextEncoderT_co]):
    """Delegates tokenization too, which needs no queue and is not reported."""

    @property
    def max_tokens(self) -> int | None:
        return self.encoder.max_tokens

    def token_spans(self, text: str) -> NDArray[np.int64]:
        return self.encoder.token_spans(text)

    def tokens_cut(self, text: str) -> int:
        return tokens_cut(self.encoder, text)


class Direct(_Wrapper[_EncoderT_co]):
    """An encoder that runs in the calling thread. Calls are reported to `events`."""

    def encode(self, items: Sequence[Any]) -> Vectors:
        """Return float32 [len(items), D] unit vectors of documents."""
        return self._reported("document", self.encoder.encode, items)

    def encode_queries(self, items: Sequence[Any]) -> Vectors:
        """Return float32 [len(items), D] unit vectors of queries."""
        encode = getattr(self.encoder, "encode_queries", self.encoder.encode)
        return self._reported("query", encode, items)

    def _reported(
        self, kind: Kind, encode: Callable[[Sequence[Any]], Vectors], items: Sequence[Any]
    ) -> Vectors:
        began = time.perf_counter()
        vectors = encode(items)
        seconds = time.perf_counter() - began
        events.encoded(self.space.name, self.modality, kind, items=len(items), seconds=seconds)
        return vectors


class DirectText(_TextWrapper[TextEncoder], Direct[TextEncoder]):
    """A text encoder that runs in the calling thread."""


class DirectStaged(Direct[StagedEncoder]):
    """A staged encoder that runs in the calling thread; `run` is reported."""

    def prepare(self, item: Any, *, query: bool = False) -> Any:
        """Return the input of `run` for one item."""
        return self.encoder.prepare(item, query=query)

    def run(self, prepared: Sequence[Any]) -> Vectors:
        """Return float32 [len(prepared), D] unit vectors."""
        return self._reported("document", self.encoder.run, prepared)


def direct(encoder: Encoder) -> Encoder:
    """Wrap an encoder so that its calls are reported."""
    if isinstance(encoder, TextEncoder):
        return DirectText(encoder)
    if isinstance(encoder, StagedEncoder):
        return DirectStaged(encoder)
    return Direct(encoder)


@dataclass(slots=True)
class _Request:
    prepared: Sequence[Any]
    vectors: Future[Vectors] = field(default_factory=Future)


@runtime_checkable
class StagedTextEncoder(StagedEncoder, TextEncoder, Protocol):
    """A text encoder in two stages."""


_StagedT_co = TypeVar("_StagedT_co", bound=StagedEncoder, covariant=True)


class Batcher(_Wrapper[_StagedT_co]):
    """An encoder behind a bounded queue. Thread-safe.

    A call encodes up to `batch` documents. At most `max_waiting` queries wait; a further one
    raises `OverloadedError`. Documents are never refused: their callers block. Calls, queue
    lengths and refusals are reported to `trawl.telemetry.events`.
    """

    def __init__(
        self,
        encoder: _StagedT_co,
        max_waiting: int = _MAX_WAITING,
        batch: int = _DOCUMENTS_PER_CALL,
    ) -> None:
        super().__init__(encoder)
        self.batch = batch
        self._max_waiting = max_waiting
        self._waiting: dict[Kind, deque[_Request]] = {"query": deque(), "document": deque()}
        self._changed = threading.Condition()
        self._worker: threading.Thread | None = None
        self._joined = 1

    def waiting(self, kind: Kind) -> int:
        """Return the number of waiting requests of a kind."""
        return len(self._waiting[kind])

    def prepare(self, item: Any, *, query: bool = False) -> Any:
        """Return the input of `run` for one item, without queueing."""
        return self.encoder.prepare(item, query=query)

    def run(self, prepared: Sequence[Any]) -> Vectors:
        """Return float32 [len(prepared), D] unit vectors of documents, after all queries."""
        batches = [
            self._submit("document", prepared[start : start + self.batch])
            for start in range(0, len(prepared), self.batch)
        ]
        return self._concatenated(batches)

    def encode(self, items: Sequence[Any]) -> Vectors:
        """Return float32 [len(items), D] unit vectors of documents, after all queries."""
        batches: list[Future[Vectors]] = []
        for start in range(0, len(items), self.batch):
            part = items[start : start + self.batch]
            preparing = [prepare_soon(self.encoder, item) for item in part]
            prepared = [task.result() for task in preparing]
            if len(batches) >= _BATCHES_AHEAD:
                batches[-_BATCHES_AHEAD].result()
            batches.append(self._submit("document", prepared))
        return self._concatenated(batches)

    def encode_queries(self, items: Sequence[Any]) -> Vectors:
        """Return float32 [len(items), D] unit vectors of queries. Raises `OverloadedError`."""
        if not items:
            return self._concatenated([])
        prepared = [self.encoder.prepare(item, query=True) for item in items]
        return self._submit("query", prepared).result()

    def _concatenated(self, batches: Sequence[Future[Vectors]]) -> Vectors:
        empty = np.zeros((0, self.space.dimension), np.float32)
        return np.concatenate([empty, *(batch.result() for batch in batches)])

    def _submit(self, kind: Kind, prepared: Sequence[Any]) -> Future[Vectors]:
        request, queue = _Request(prepared), self._waiting[kind]
        with self._changed:
            full = kind == "query" and len(queue) >= self._max_waiting
            if not full:
                queue.append(request)
                self._changed.notify()
            waiting = len(queue)
            if self._worker is None:
                self._worker = threading.Thread(
                    target=self._work, name=f"trawl-{self.space.name}-{self.modality}", daemon=True
                )
                self._worker.start()
        if full:
            events.encoder_refused(self.space.name, self.modality)
            raise OverloadedError(
                f"{waiting} queries are waiting for the {self.modality} encoder of "
                f"{self.space.name}; retry in a second"
            )
        events.encoder_queue(self.space.name, self.modality, kind, waiting=waiting)
        return request.vectors

    def _work(self) -> None:
        while True:
            with self._changed:
                if not self._changed.wait_for(lambda: any(self._waiting.values()), _IDLE_S):
                    self._worker = None
                    return
                kind, requests = self._next_requests()
                waiting = self.waiting(kind)
            events.encoder_queue(self.space.name, self.modality, kind, waiting=waiting)
            self._encode(kind, requests)

    def _next_requests(self) -> tuple[Kind, list[_Request]]:
        """Pop the requests of the next call. The caller holds the lock."""
        queries = self._waiting["query"]
        if not queries:
            return "document", [self._waiting["document"].popleft()]
        expected = min(self._joined, _MAX_QUERIES_PER_CALL)
        if len(queries) < expected:
            until = time.monotonic() + _JOIN_S
            while len(queries) < expected and (left := until - time.monotonic()) > 0:
                self._changed.wait(left)
        self._joined = len(queries)
        return "query", [queries.popleft() for _ in range(min(len(queries), _MAX_QUERIES_PER_CALL))]

    def _encode(self, kind: Kind, requests: Sequence[_Request]) -> None:
        """Encode the requests in one call, or one by one if that call fails."""
        prepared = [item for request in requests for item in request.prepared]
        began = time.perf_counter()
        try:
            vectors = self.encoder.run(prepared)
        except BaseException as error:  # the worker must survive whatever an encoder raises
            if len(requests) == 1:
                requests[0].vectors.set_exception(error)
                return
            for request in requests:
                self._encode(kind, [request])
            return
        seconds = time.perf_counter() - began
        start = 0
        for request in requests:
            request.vectors.set_result(vectors[start : start + len(request.prepared)])
            start += len(request.prepared)
        events.encoded(self.space.name, self.modality, kind, items=len(prepared), seconds=seconds)


class TextBatcher(_TextWrapper[StagedTextEncoder], Batcher[StagedTextEncoder]):
    """A text encoder behind a bounded queue."""


def queued(encoder: StagedEncoder, batch: int | None = None) -> Encoder:
    """Put an encoder behind a queue. A call encodes up to `batch` documents."""
    size = batch or _DOCUMENTS_PER_CALL
    if isinstance(encoder, StagedTextEncoder):
        return TextBatcher(encoder, batch=size)
    return Batcher(encoder, batch=size)
