"""The contract of every encoder, and of the queue in front of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from trawl import Library
from trawl.encoders import (
    RERANKING,
    Encoder,
    Model,
    TextEncoder,
    load_model,
    model_names,
    own_models,
    tokens_cut,
)
from trawl.encoders import listings as all_listings
from trawl.encoders.batcher import Batcher, TextBatcher
from trawl.errors import ModelError, OverloadedError
from trawl.telemetry import events
from trawl.types import Modality, Sound, Space, Vectors

HERE = [listing.name for listing in all_listings() if listing.is_here]


def _items(modality: Modality) -> list[Any]:
    rng = np.random.default_rng(3)
    if modality == "text":
        return ["a muon decays", "zwei Hunde im Schnee", "", "word " * 900, "一只狗 🐕"]
    if modality == "image":
        sizes = [(40, 30), (224, 224), (900, 3), (1, 1), (17, 500)]
        return [Image.fromarray(rng.integers(0, 256, (h, w, 3), np.uint8), "RGB") for w, h in sizes]
    rates_hz = [8_000, 16_000, 44_100, 48_000, 16_000]
    return [
        Sound(rng.normal(0, 0.1, int(rate_hz * s)).astype(np.float32), rate_hz)
        for rate_hz, s in zip(rates_hz, [0.1, 3, 1, 0.5, 21], strict=True)
    ]


class Bare:
    """The least that an encoder of the caller's has, around a tower of mini."""

    def __init__(self, tower: Encoder) -> None:
        self.modality = tower.modality
        self.space = Space("bare", tower.space.dimension, "1")
        self._tower = tower

    def encode(self, items: Sequence[Any]) -> Any:
        return 3 * self._tower.encode(items)


@pytest.fixture(params=[*HERE, "own"])
def model(request: pytest.FixtureRequest) -> Model:
    if request.param != "own":
        return load_model(request.param)
    return own_models([Bare(tower) for tower in load_model("mini").encoders.values()])["bare"]


def test_every_card_is_complete() -> None:
    found = all_listings()
    assert [listing.name for listing in found] == model_names()
    for listing in found:
        assert listing.licence
        assert listing.modalities
        assert (listing.dimension > 0) is (listing.family != RERANKING)
        if listing.source is not None:
            assert listing.source.size_mb > 1
            assert "/" in listing.source.repository


def test_a_missing_model_names_the_pull_command(tmp_path: Any) -> None:
    with pytest.raises(ModelError, match="trawl models pull clap"):
        load_model("clap", tmp_path)
    with pytest.raises(ModelError, match="did you mean 'clap'"):
        load_model("clapp", tmp_path)


def test_vectors_are_unit_and_do_not_depend_on_the_batch(model: Model) -> None:
    for modality, encoder in model.encoders.items():
        items = _items(modality)
        together = encoder.encode(items)
        assert together.dtype == np.float32
        assert together.shape == (len(items), model.space.dimension)
        assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-4)
        alone = np.concatenate([encoder.encode([item]) for item in items])
        assert np.allclose(alone, together, atol=2e-4)
        assert encoder.encode([]).shape == (0, model.space.dimension)


def test_encoders_are_safe_to_call_from_threads(model: Model) -> None:
    for modality, encoder in model.encoders.items():
        items = _items(modality)
        alone = encoder.encode(items)
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda item, e=encoder: e.encode([item])[0], items * 3))
        assert np.allclose(np.stack(found), np.tile(alone, (3, 1)), atol=2e-4)


def test_token_spans_are_inside_the_text(model: Model) -> None:
    text = "Muon decay:  τ = 2.2 µs,\n两只狗 🐕."
    spans = model.text.token_spans(text)
    assert len(spans) > 3
    assert np.all(spans[:, 0] < spans[:, 1])
    assert spans[-1, 1] <= len(text)
    assert np.all(np.diff(spans[:, 0]) >= 0)


# --- the queue -----------------------------------------------------------------------

SPACE = Space("counted", 2, "0")


class Slow:
    """A slow encoder that maps numbers to angles and raises for negative numbers."""

    modality: Modality = "text"
    space = SPACE
    max_tokens: int | None = None

    def __init__(self, takes_s: float = 0.01) -> None:
        self.takes_s = takes_s
        self.batches: list[list[float]] = []
        self.prepared: list[float] = []
        self.begun = threading.Event()
        self.gate = threading.Event()
        self.gate.set()

    def prepare(self, item: float, *, query: bool = False) -> float:
        if item != item:
            raise ValueError("not a number")
        self.prepared.append(item)
        return item

    def run(self, prepared: Sequence[float]) -> Vectors:
        self.begun.set()
        self.gate.wait(60)
        self.batches.append(list(prepared))
        time.sleep(self.takes_s)
        if any(item < 0 for item in prepared):
            raise ValueError("negative")
        if any(item > 1_000 for item in prepared):
            raise SystemExit("an encoder that wants to end the process")
        return np.array([[np.cos(item), np.sin(item)] for item in prepared], np.float32)

    def encode(self, items: Sequence[float]) -> Vectors:
        return self.run([self.prepare(item) for item in items])


def _angle(vectors: Vectors) -> float:
    return float(np.arctan2(vectors[0, 1], vectors[0, 0]))


def test_a_batcher_is_an_encoder() -> None:
    class Text(Slow):
        def token_spans(self, text: str) -> Any:
            return np.zeros((0, 2), np.int64)

    queue = TextBatcher(Text())
    assert isinstance(queue, Encoder)
    assert isinstance(queue, TextEncoder)
    assert tokens_cut(queue, "any") == 0
    assert queue.encode([]).shape == (0, 2)
    assert queue.encode_queries([]).shape == (0, 2)
    many = queue.encode([n / 100 for n in range(70)])
    assert many.shape == (70, 2)
    assert _angle(many[69:]) == pytest.approx(0.69, abs=1e-5)


def test_documents_are_prepared_while_the_network_runs() -> None:
    slow = Slow(takes_s=0)
    slow.gate.clear()
    queue = Batcher(slow)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(queue.encode, [n / 100 for n in range(100)])
        # The network has not given anything yet; the batches after it are ready, and no more.
        _until(lambda: len(slow.prepared) == 48)
        time.sleep(0.05)
        assert len(slow.prepared) == 48
        assert slow.batches == []
        slow.gate.set()
        vectors = asked.result(10)
    assert [_angle(vectors[n : n + 1]) for n in (0, 40, 99)] == pytest.approx([0, 0.4, 0.99])


def test_an_item_that_cannot_be_prepared_is_not_queued() -> None:
    slow = Slow(takes_s=0)
    queue = Batcher(slow)
    for encode in (queue.encode, queue.encode_queries):
        with pytest.raises(ValueError, match="not a number"):
            encode([0.1, float("nan")])
    assert slow.batches == []
    assert _angle(queue.encode_queries([0.5])) == pytest.approx(0.5, abs=1e-5)


class Watcher:
    """Records the events of encoders."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, str, int]] = []
        self.waiting: list[tuple[str, int]] = []
        self.refused = 0
        self.loaded: list[tuple[str, str]] = []

    def encoded(
        self, model: str, modality: Modality, kind: str, *, items: int, seconds: float
    ) -> None:
        assert seconds >= 0
        self.calls.append((model, modality, kind, items))

    def encoder_queue(self, model: str, modality: Modality, kind: str, *, waiting: int) -> None:
        self.waiting.append((kind, waiting))

    def encoder_refused(self, model: str, modality: Modality) -> None:
        self.refused += 1

    def model_loaded(self, model: str, modality: Modality, *, seconds: float) -> None:
        assert seconds > 0
        self.loaded.append((model, modality))

    def embedding(self, *_: Any, **__: Any) -> None: ...

    def source_searched(self, *_: Any, **__: Any) -> None: ...


def test_observers_receive_calls_queue_lengths_and_refusals() -> None:
    slow = Slow(takes_s=0)
    slow.gate.clear()
    queue, watcher = Batcher(slow, max_waiting=1), Watcher()
    with events.watched_by(watcher), ThreadPoolExecutor(4) as pool:
        running = pool.submit(queue.encode, [0.0] * 20)
        # A query that arrives before the worker takes the first batch would be taken first.
        assert slow.begun.wait(30)
        _until(lambda: queue.waiting("document") == 1)
        waiting = pool.submit(queue.encode_queries, [0.1])
        _until(lambda: queue.waiting("query") == 1)
        with pytest.raises(OverloadedError):
            queue.encode_queries([0.2])
        slow.gate.set()
        assert running.result(10).shape == (20, 2)
        assert waiting.result(10).shape == (1, 2)
        _until(lambda: len(watcher.calls) == 3)
    assert watcher.calls == [
        ("counted", "text", "document", 16),
        ("counted", "text", "query", 1),
        ("counted", "text", "document", 4),
    ]
    assert watcher.refused == 1
    assert ("query", 1) in watcher.waiting
    assert watcher.waiting[-1] == ("document", 0)


def test_adding_loads_only_what_the_files_need(tmp_path: Path) -> None:
    with Library(tmp_path / "library", create=True, freshness_s=0) as library:
        for name, towers in (("red.png", ["image"]), ("note.txt", ["text"]), ("blue.png", [])):
            path = tmp_path / name
            if name.endswith("png"):
                Image.new("RGB", (40, 30), path.stem).save(path)
            else:
                path.write_text("A note on muons.", "utf-8")
            watcher = Watcher()
            with events.watched_by(watcher):
                assert library.add(path).added == 1
            assert watcher.loaded == [("mini", tower) for tower in towers]
            assert {call[2] for call in watcher.calls} == {"document"}
            assert sum(call[3] for call in watcher.calls) == 1


def test_concurrent_queries_share_calls() -> None:
    slow = Slow()
    queue = Batcher(slow)
    asked = [n / 1000 for n in range(320)]
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda angle: _angle(queue.encode_queries([angle])), asked))
    assert found == pytest.approx(asked, abs=1e-5)
    assert len(slow.batches) < len(asked) / 4, "16 clients at once share calls"
    assert max(map(len, slow.batches)) <= 32


def test_a_single_client_is_not_delayed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trawl.encoders.batcher._JOIN_S", 600)
    queue = Batcher(Slow(takes_s=0))
    with ThreadPoolExecutor(1) as pool:
        for _ in range(50):
            pool.submit(queue.encode_queries, [0.1]).result(30)


def test_queries_go_before_documents() -> None:
    slow = Slow()
    slow.gate.clear()
    queue = Batcher(slow)
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(queue.encode, [0.0])
        assert slow.begun.wait(30)
        documents = pool.submit(queue.encode, [0.1] * 48)
        _until(lambda: queue.waiting("document") == 2)
        query = pool.submit(queue.encode_queries, [0.9])
        _until(lambda: queue.waiting("query") == 1)
        slow.gate.set()
        for future in (first, documents, query):
            future.result(10)
    assert [batch[0] for batch in slow.batches] == [0.0, 0.9, 0.1, 0.1, 0.1]


def test_only_the_faulty_request_fails() -> None:
    slow = Slow()
    slow.gate.clear()
    queue = Batcher(slow)
    with ThreadPoolExecutor(6) as pool:
        before = pool.submit(queue.encode_queries, [0.0])
        assert slow.begun.wait(30)
        queue._joined = 4
        asked = [0.1, -1.0, 0.3, 0.4]
        futures = [pool.submit(queue.encode_queries, [angle]) for angle in asked]
        _until(lambda: queue.waiting("query") == 4)
        slow.gate.set()
        before.result(10)
        for angle, future in zip(asked, futures, strict=True):
            if angle < 0:
                with pytest.raises(ValueError, match="negative"):
                    future.result(10)
            else:
                assert _angle(future.result(10)) == pytest.approx(angle, abs=1e-5)


def test_the_worker_survives_every_exception() -> None:
    queue = Batcher(Slow(takes_s=0))
    with pytest.raises(SystemExit):
        queue.encode_queries([2_000.0])
    with pytest.raises(ValueError, match="negative"):
        queue.encode([-1.0])
    assert _angle(queue.encode_queries([0.5])) == pytest.approx(0.5, abs=1e-5)


def test_a_full_queue_refuses_queries_and_blocks_documents() -> None:
    slow = Slow(takes_s=0)
    slow.gate.clear()
    queue = Batcher(slow, max_waiting=2)
    with ThreadPoolExecutor(5) as pool:
        running = pool.submit(queue.encode_queries, [0.0])
        assert slow.begun.wait(30)
        waiting = [pool.submit(queue.encode_queries, [0.1]) for _ in range(2)]
        _until(lambda: queue.waiting("query") == 2)
        documents = pool.submit(queue.encode, [0.2])
        with pytest.raises(OverloadedError, match="retry in a second") as refused:
            queue.encode_queries([0.3])
        assert refused.value.http_status == 503
        slow.gate.set()
        for future in (running, *waiting, documents):
            assert future.result(10).shape == (1, 2)


def _until(condition: Any, limit_s: float = 30.0) -> None:
    until = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.001)
