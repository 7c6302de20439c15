"""One queue before each encoder: concurrent queries share a call, and go before documents.

Media are prepared before they are queued, a query's by the thread that asks and documents'
on threads of their own, so that only arrays wait, and the network never waits for them. A
worker takes what waits: all queries at once, or, when there are none, one batch of
documents. When the last call joined several queries, the worker waits up to 2 ms for as
many again, so that many clients at once are answered together, and a single one at once.
A call that fails is repeated request by request, so that only the request that is at fault
fails. The worker outlives every exception, and leaves when it has had nothing to do for a
while; the next request starts another.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from trawl.encoders.base import StagedEncoder, TextEncoder
from trawl.encoders.preparing import prepare_soon
from trawl.errors import OverloadedError
from trawl.telemetry import Kind, events
from trawl.types import Modality, Space, Vectors

_JOIN_S = 0.002
_IDLE_S = 5.0
_QUERIES_AT_ONCE = 32
_MOST_WAITING = 256
# A query that comes while documents are embedded waits for one such part of them.
_DOCUMENTS_AT_ONCE = 16
# One such part is encoded while the next is prepared: more would only fill the memory.
_PARTS_AHEAD = 2


@dataclass(slots=True)
class _Request:
    prepared: Sequence[Any]
    answer: Future[Vectors] = field(default_factory=Future)


class Batcher:
    """An encoder behind a bounded queue. Safe to call from any number of threads.

    `most_waiting` is how many queries may wait; one more is refused (`OverloadedError`).
    Documents are not refused: who adds them waits. Calls, queues and refusals are told
    to `trawl.telemetry.events`.
    """

    def __init__(self, encoder: StagedEncoder, most_waiting: int = _MOST_WAITING) -> None:
        self.encoder = encoder
        self._most_waiting = most_waiting
        self._waiting: dict[Kind, deque[_Request]] = {"query": deque(), "document": deque()}
        self._changed = threading.Condition()
        self._worker: threading.Thread | None = None
        self._joined = 1

    @property
    def modality(self) -> Modality:
        """What it takes."""
        return self.encoder.modality

    @property
    def space(self) -> Space:
        """Where its vectors live."""
        return self.encoder.space

    def waiting(self, kind: Kind) -> int:
        """Tell how many requests wait: of queries, or of documents."""
        return len(self._waiting[kind])

    def prepare(self, item: Any, *, query: bool = False) -> Any:
        """Give what `run` takes for one item; it needs no queue."""
        return self.encoder.prepare(item, query=query)

    def run(self, prepared: Sequence[Any]) -> Vectors:
        """Give float32 [len(prepared), D] unit vectors of documents, after what queries wait."""
        parts = [
            self._submit("document", prepared[start : start + _DOCUMENTS_AT_ONCE])
            for start in range(0, len(prepared), _DOCUMENTS_AT_ONCE)
        ]
        return self._joined_parts(parts)

    def encode(self, items: Sequence[Any]) -> Vectors:
        """Give float32 [len(items), D] unit vectors of documents, after what queries wait."""
        parts: list[Future[Vectors]] = []
        for start in range(0, len(items), _DOCUMENTS_AT_ONCE):
            part = items[start : start + _DOCUMENTS_AT_ONCE]
            preparing = [prepare_soon(self.encoder, item) for item in part]
            prepared = [task.result() for task in preparing]
            if len(parts) >= _PARTS_AHEAD:
                parts[-_PARTS_AHEAD].result()
            parts.append(self._submit("document", prepared))
        return self._joined_parts(parts)

    def encode_queries(self, items: Sequence[Any]) -> Vectors:
        """Give float32 [len(items), D] unit vectors of queries. Raises `OverloadedError`."""
        if not items:
            return self._joined_parts([])
        prepared = [self.encoder.prepare(item, query=True) for item in items]
        return self._submit("query", prepared).result()

    def _joined_parts(self, parts: Sequence[Future[Vectors]]) -> Vectors:
        nothing = np.zeros((0, self.space.dimension), np.float32)
        return np.concatenate([nothing, *(part.result() for part in parts)])

    def _submit(self, kind: Kind, prepared: Sequence[Any]) -> Future[Vectors]:
        request, queue = _Request(prepared), self._waiting[kind]
        with self._changed:
            full = kind == "query" and len(queue) >= self._most_waiting
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
                f"{waiting} queries wait for the {self.modality} encoder of "
                f"{self.space.name}; ask again in a second"
            )
        events.encoder_queue(self.space.name, self.modality, kind, waiting=waiting)
        return request.answer

    def _work(self) -> None:
        while True:
            with self._changed:
                there = self._changed.wait_for(lambda: any(self._waiting.values()), _IDLE_S)
                if not there:
                    self._worker = None
                    return
                kind, requests = self._take()
                waiting = self.waiting(kind)
            events.encoder_queue(self.space.name, self.modality, kind, waiting=waiting)
            self._answer(kind, requests)

    def _take(self) -> tuple[Kind, list[_Request]]:
        """Take what is to be encoded in one call; the lock is held."""
        queries = self._waiting["query"]
        if not queries:
            return "document", [self._waiting["document"].popleft()]
        expected = min(self._joined, _QUERIES_AT_ONCE)
        if len(queries) < expected:
            until = time.monotonic() + _JOIN_S
            while len(queries) < expected and (left := until - time.monotonic()) > 0:
                self._changed.wait(left)
        self._joined = len(queries)
        return "query", [queries.popleft() for _ in range(min(len(queries), _QUERIES_AT_ONCE))]

    def _answer(self, kind: Kind, requests: Sequence[_Request]) -> None:
        """Encode the requests in one call, or each in its own where that fails."""
        prepared = [item for request in requests for item in request.prepared]
        began = time.perf_counter()
        try:
            vectors = self.encoder.run(prepared)
        except BaseException as error:  # the worker must live, whatever an encoder raises
            if len(requests) == 1:
                requests[0].answer.set_exception(error)
                return
            for request in requests:
                self._answer(kind, [request])
            return
        seconds = time.perf_counter() - began
        start = 0
        for request in requests:
            request.answer.set_result(vectors[start : start + len(request.prepared)])
            start += len(request.prepared)
        events.encoded(self.space.name, self.modality, kind, items=len(prepared), seconds=seconds)


@runtime_checkable
class StagedTextEncoder(StagedEncoder, TextEncoder, Protocol):
    """An encoder of text in two steps."""


class TextBatcher(Batcher):
    """A text encoder behind a bounded queue; cutting into tokens needs no queue."""

    def __init__(self, encoder: StagedTextEncoder, most_waiting: int = _MOST_WAITING) -> None:
        super().__init__(encoder, most_waiting)
        self._text = encoder

    @property
    def max_tokens(self) -> int | None:
        """How many tokens of one text it sees; None where there is no limit."""
        return self._text.max_tokens

    def token_spans(self, text: str) -> NDArray[np.int64]:
        """Give int64 [T, 2], each token's first character and the one after its last."""
        return self._text.token_spans(text)

    def tokens_cut(self, text: str) -> int:
        """Tell how many tokens at the end of a query are not seen."""
        cut: Callable[[str], int] | None = getattr(self._text, "tokens_cut", None)
        return cut(text) if cut is not None else 0


def queued(encoder: StagedEncoder) -> Batcher:
    """Put a queue before an encoder."""
    if isinstance(encoder, StagedTextEncoder):
        return TextBatcher(encoder)
    return Batcher(encoder)
