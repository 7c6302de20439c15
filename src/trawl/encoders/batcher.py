"""One queue before each encoder: concurrent queries share a call, and go before documents.

A worker takes what waits: all queries at once, or, when there are none, one batch of
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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trawl.encoders.base import Encoder, TextEncoder
from trawl.errors import OverloadedError
from trawl.types import Modality, Space, Vectors

_JOIN_S = 0.002
_IDLE_S = 5.0
_QUERIES_AT_ONCE = 32
_MOST_WAITING = 256
# A query that comes while documents are embedded waits for one such part of them.
_DOCUMENTS_AT_ONCE = 16


@dataclass(slots=True)
class _Request:
    items: Sequence[Any]
    answer: Future[Vectors] = field(default_factory=Future)


class Batcher:
    """An encoder behind a bounded queue. Safe to call from any number of threads.

    `most_waiting` is how many queries may wait; one more is refused (`OverloadedError`).
    Documents are not refused: who adds them waits.
    """

    def __init__(self, encoder: Encoder, most_waiting: int = _MOST_WAITING) -> None:
        self.encoder = encoder
        self.calls = 0
        self._most_waiting = most_waiting
        self._queries: deque[_Request] = deque()
        self._documents: deque[_Request] = deque()
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

    def encode(self, items: Sequence[Any]) -> Vectors:
        """Give float32 [len(items), D] unit vectors of documents, after what queries wait."""
        parts = [
            self._submit(self._documents, items[start : start + _DOCUMENTS_AT_ONCE])
            for start in range(0, len(items), _DOCUMENTS_AT_ONCE)
        ]
        vectors = [part.result() for part in parts]
        return np.concatenate(vectors) if vectors else _nothing(self.space)

    def encode_queries(self, items: Sequence[Any]) -> Vectors:
        """Give float32 [len(items), D] unit vectors of queries. Raises `OverloadedError`."""
        if not items:
            return _nothing(self.space)
        return self._submit(self._queries, items).result()

    def _submit(self, queue: deque[_Request], items: Sequence[Any]) -> Future[Vectors]:
        request = _Request(items)
        with self._changed:
            if queue is self._queries and len(queue) >= self._most_waiting:
                raise OverloadedError(
                    f"{len(queue)} queries wait for the {self.modality} encoder of "
                    f"{self.space.name}; ask again in a second"
                )
            queue.append(request)
            if self._worker is None:
                self._worker = threading.Thread(
                    target=self._work, name=f"trawl-{self.space.name}-{self.modality}", daemon=True
                )
                self._worker.start()
            self._changed.notify()
        return request.answer

    def _work(self) -> None:
        while True:
            with self._changed:
                waiting = self._changed.wait_for(
                    lambda: bool(self._queries or self._documents), _IDLE_S
                )
                if not waiting:
                    self._worker = None
                    return
                requests, are_queries = self._take()
            self._answer(requests, are_queries)

    def _take(self) -> tuple[list[_Request], bool]:
        """Take what is to be encoded in one call; the lock is held."""
        if not self._queries:
            return [self._documents.popleft()], False
        expected = min(self._joined, _QUERIES_AT_ONCE)
        if len(self._queries) < expected:
            until = time.monotonic() + _JOIN_S
            while len(self._queries) < expected and (left := until - time.monotonic()) > 0:
                self._changed.wait(left)
        self._joined = len(self._queries)
        taken: list[_Request] = []
        while self._queries and len(taken) < _QUERIES_AT_ONCE:
            taken.append(self._queries.popleft())
        return taken, True

    def _answer(self, requests: Sequence[_Request], are_queries: bool) -> None:
        """Encode the requests in one call, or each in its own where that fails."""
        encode = _queries_of(self.encoder) if are_queries else self.encoder.encode
        try:
            self.calls += 1
            vectors = encode([item for request in requests for item in request.items])
        except BaseException as error:  # the worker must live, whatever an encoder raises
            if len(requests) == 1:
                requests[0].answer.set_exception(error)
                return
            for request in requests:
                self._answer([request], are_queries)
            return
        start = 0
        for request in requests:
            request.answer.set_result(vectors[start : start + len(request.items)])
            start += len(request.items)


class TextBatcher(Batcher):
    """A text encoder behind a bounded queue; cutting into tokens needs no queue."""

    def __init__(self, encoder: TextEncoder, most_waiting: int = _MOST_WAITING) -> None:
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


def _queries_of(encoder: Encoder) -> Callable[[Sequence[Any]], Vectors]:
    found: Callable[[Sequence[Any]], Vectors] = getattr(encoder, "encode_queries", encoder.encode)
    return found


def _nothing(space: Space) -> Vectors:
    return np.zeros((0, space.dimension), np.float32)
