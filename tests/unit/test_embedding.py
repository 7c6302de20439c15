"""Embedding during `add`: parallel stages, and failures of single documents."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from trawl.encoders import StagedEncoder
from trawl.ingest.drafts import Draft
from trawl.ingest.embedding import Embedder, Pending
from trawl.types import Document, Modality, Space, Span, Vectors

SPACE = Space("angles", 2, "0")


class Whole:
    """An encoder that maps numbers in texts to angles and raises for negative ones."""

    modality: Modality = "text"
    space = SPACE
    batch = 0

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.batches: list[int] = []

    def encode(self, items: Sequence[Any]) -> Vectors:
        self.gate.wait(10)
        self.batches.append(len(items))
        angles = [float(item) for item in items]
        if min(angles) < 0:
            raise ValueError("negative")
        # What is above 100 has no direction.
        return np.array(
            [[np.cos(a), np.sin(a)] if a <= 100 else [0, 0] for a in angles], np.float32
        )


class Staged(Whole):
    """The same as a staged encoder."""

    def prepare(self, item: str, *, query: bool = False) -> float:
        return float(item)

    def run(self, prepared: Sequence[float]) -> Vectors:
        return Whole.encode(self, prepared)


def _pending(name: str) -> Pending:
    return Pending(Document(name, name, "", "text/plain", name, {}, 0), [])


def _draft(item: str) -> Draft:
    return Draft("text", Span(), item, media={"text": item})


@pytest.mark.parametrize("kind", [Whole, Staged])
def test_only_the_faulty_document_fails(kind: type[Whole]) -> None:
    encoder = kind()
    assert isinstance(encoder, StagedEncoder) is (kind is Staged)
    given = ["0.5", "-1", "no number", "200", "0.25"]
    documents = [_pending(item) for item in given]
    with Embedder({"text": [("first", encoder), ("second", kind())]}) as embedder:
        for document, item in zip(documents, given, strict=True):
            embedder.add(document, _draft(item))
        embedder.flush()
    errors = [document.error for document in documents]
    assert errors[0] is None
    assert errors[4] is None
    assert "negative" in (errors[1] or "")
    assert "could not convert" in (errors[2] or "")
    assert "no direction" in (errors[3] or "")
    for place in (0, 4):
        (vectors,) = documents[place].vectors
        assert set(vectors) == {"first", "second"}
        angle = float(given[place])
        assert vectors["first"] == pytest.approx([np.cos(angle), np.sin(angle)])


def test_drafts_are_accepted_while_the_encoder_runs_up_to_a_limit() -> None:
    encoder, document = Staged(), _pending("long")
    encoder.gate.clear()
    with Embedder({"text": [("angles", encoder)]}) as embedder:

        def take_all() -> None:
            for number in range(1_000):
                embedder.add(document, _draft(str(number / 1_000)))
            embedder.flush()

        taking = threading.Thread(target=take_all)
        taking.start()
        _until(lambda: len(document.drafts) == 192)
        time.sleep(0.05)
        assert len(document.drafts) == 192, "one batch runs, one waits, one is whole"
        encoder.gate.set()
        taking.join(20)
    assert sum(encoder.batches) == 1_000
    assert max(encoder.batches) == 64
    assert document.error is None
    for number in (0, 500, 999):
        angle = number / 1_000
        found = document.vectors[number]["angles"]
        assert found == pytest.approx([np.cos(angle), np.sin(angle)], abs=1e-5)


def _until(condition: Any, limit_s: float = 10.0) -> None:
    until = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.001)


def test_a_batch_is_as_large_as_the_encoder_asks_for() -> None:
    encoder = Staged()
    encoder.batch = 100
    with Embedder({"text": [("angles", encoder)]}) as embedder:
        document = _pending("many")
        for _ in range(150):
            embedder.add(document, _draft("0.5"))
        embedder.flush()
    assert encoder.batches == [100, 50]
