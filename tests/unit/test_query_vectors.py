"""Text queries are embedded once, also when the library changes."""

from __future__ import annotations

import numpy as np
import pytest

from trawl.encoders import Model, load_model
from trawl.search.caches import QueryVectors, normalised
from trawl.telemetry import events
from trawl.types import Modality


class Counting:
    """Record the embedding events."""

    def __init__(self) -> None:
        self.hits: list[bool] = []

    def embedding(self, model: str, modality: Modality, *, hit: bool) -> None:
        assert (model, modality) == ("mini", "text")
        self.hits.append(hit)

    def __getattr__(self, name: str) -> object:
        return lambda *_, **__: None


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model("mini")


def test_a_repeated_query_is_embedded_once(model: Model) -> None:
    counting, vectors = Counting(), QueryVectors()
    with events.watched_by(counting):  # type: ignore[arg-type]
        first = vectors.of(model, "text", "the muon")
        again = vectors.of(model, "text", "  the \n muon ")
        other = vectors.of(model, "text", "the kaon")
    assert counting.hits == [False, True, False]
    assert again is first
    assert first @ first == pytest.approx(1, abs=1e-5)
    assert first @ other < 0.999
    assert np.allclose(first, model.encoders["text"].encode(["the muon"])[0], atol=1e-5)
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 0


def test_the_cache_is_bounded(model: Model) -> None:
    size = 400 + 4 * model.space.dimension
    vectors = QueryVectors(max_bytes=3 * size)
    for number in range(10):
        vectors.of(model, "text", f"muon {number}")
    assert len(vectors) == 3
    counting = Counting()
    with events.watched_by(counting):  # type: ignore[arg-type]
        vectors.of(model, "text", "muon 9")
        vectors.of(model, "text", "muon 0")
    assert counting.hits == [True, False]


@pytest.mark.parametrize(("text", "same"), [("a  b", "a b"), ("e\u0301", "\u00e9"), (" a\n", "a")])
def test_equivalent_texts_are_normalised_alike(text: str, same: str) -> None:
    assert normalised(text) == same
