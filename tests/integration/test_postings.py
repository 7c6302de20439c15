"""Words held in memory have the engine's scores, bit for bit, and its order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from trawl.locations import location_of
from trawl.store import Snapshot, Store, Words, postings, write_lock
from trawl.types import Chunk, Document, Ranking, Space, Span

SOURCES = {"toy.text": Space("toy", 4, "f")}
VECTOR = np.array([1, 0, 0, 0], np.float32)
DOCUMENTS, LIMIT = 2_000, 100
_SYLLABLES = [f"{first}{second}ut" for first in "bdfgkmn" for second in "aeio"]
_VOCABULARY = [f"{syllable}{number}" for number in range(40) for syllable in _SYLLABLES]
_SHARES = 1 / (np.arange(len(_VOCABULARY)) + 2.0)


def words_of(draw: np.random.Generator, count: int) -> str:
    return " ".join(draw.choice(_VOCABULARY, count, p=_SHARES / _SHARES.sum()))


def documents(numbers: Sequence[int], seed: int = 0) -> list[tuple[Document, list[Chunk]]]:
    draw = np.random.default_rng([seed, *numbers[:1]])
    found = []
    for number in numbers:
        name = f"{number:024x}"
        text = words_of(draw, int(draw.integers(1, 60)))
        about = Document(name, f"/d/{number}", f"h{seed}", "text/plain", "", {"number": number}, 1)
        found.append((about, [Chunk(name, 0, "text", Span(), text, {"toy.text": VECTOR})]))
    return found


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    found = Store.create(location_of(tmp_path / "library"), SOURCES)
    yield found
    found.close()


@pytest.fixture
def held(store: Store, tmp_path: Path) -> Iterator[Store]:
    with write_lock(store.location) as lock:
        writer = store.writer(lock)
        for start in range(0, DOCUMENTS, 500):
            writer.commit(documents(range(start, start + 500)))
        writer.maintain()
    found = Store(store.location, SOURCES, freshness_s=0)
    found.hold(2**30, tmp_path)
    found.settle()
    yield found
    found.close()


def questions(count: int) -> Iterator[str]:
    draw = np.random.default_rng(7)
    for number in range(count):
        words = words_of(draw, 1 + number % 6).split()
        if number % 9 == 0:
            words += [words[0], "missing"]  # a word twice, and one that no chunk has
        yield " ".join(words)


def assert_same(mine: Ranking, engine: Ranking) -> None:
    """Compare two rankings. The engine chooses among chunks of the last score."""
    assert np.array_equal(mine.similarities, engine.similarities)
    sure = len(mine.rows)
    if sure == LIMIT:
        sure = int(np.sum(mine.similarities > mine.similarities[-1]))
    assert np.array_equal(mine.rows[:sure], engine.rows[:sure])


def compare(held: Store, count: int, where: str | None = None) -> None:
    held.refresh()
    held.settle()
    snapshot = held.snapshot()
    engine = Store(held.location, SOURCES).snapshot()
    assert snapshot.version == engine.version
    for question in questions(count):
        words = Words(question)
        assert snapshot.holds_words(words)
        assert_same(snapshot.words(words, LIMIT, where), engine.words(words, LIMIT, where))


def test_a_thousand_questions_have_the_scores_and_the_order_of_the_engine(held: Store) -> None:
    compare(held, 1_000)


def test_common_words_that_are_left_out_change_nothing(
    held: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postings, "_FEW", 0)
    monkeypatch.setattr(postings, "_COMMON", 50)
    compare(held, 300)
    monkeypatch.setattr(postings, "_SEARCHED", 0)
    compare(held, 300)


@pytest.mark.parametrize("where", ["m_number < 40", "m_number >= 300", "m_number < 0"])
def test_filters_are_those_of_the_engine(held: Store, where: str) -> None:
    compare(held, 60, where)


def test_changes_are_followed(held: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with write_lock(held.location) as lock:
        writer = held.writer(lock)
        writer.remove([f"{number:024x}" for number in range(0, 900, 3)])
        compare(held, 60)
        writer.commit(documents(range(100, 130), seed=1))  # others of the same names
        writer.maintain()
        compare(held, 60)
        for number in range(14):  # more fragments than are left alone, one of them gone at once
            writer.commit(documents([DOCUMENTS + number], seed=1))
            writer.maintain()
            compare(held, 5)
            if number == 2:
                writer.remove([f"{DOCUMENTS + number:024x}"])
                compare(held, 5)
        compare(held, 60)
        anew = Store(held.location, SOURCES)
        anew.hold(2**30, tmp_path)
        anew.settle()
        compare(anew, 60)
        anew.close()
    assert len(_blocks(held.snapshot())) == 1


def test_blocks_are_of_bounded_size(
    held: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(postings, "_BLOCK", 600)
    monkeypatch.setattr(postings, "_LARGE", 16)
    anew = Store(held.location, SOURCES)
    anew.hold(2**30, tmp_path)
    anew.settle()
    assert len(_blocks(anew.snapshot())) == 2
    compare(anew, 100)
    with write_lock(held.location) as lock:
        held.writer(lock).remove([f"{number:024x}" for number in range(3, 900)])
        for start in (DOCUMENTS, DOCUMENTS + 300):
            held.writer(lock).commit(documents(range(start, start + 300)))
            held.writer(lock).maintain()
            compare(anew, 30)
    anew.close()


def test_words_that_are_not_in_the_index_yet_are_left_to_the_engine(held: Store) -> None:
    with write_lock(held.location) as lock:
        held.writer(lock).commit(documents(range(DOCUMENTS, DOCUMENTS + 3)))
    held.refresh()
    held.settle()
    assert not held.snapshot().holds_words(Words("badut0"))


@pytest.mark.parametrize(
    "words",
    [
        Words(phrases=("badut0 baeut0",)),
        Words("badut0", fuzzy=(("badut1", 1),)),
        Words("the of"),
        Words("山"),
        Words("..."),
    ],
)
def test_other_questions_are_left_to_the_engine(held: Store, words: Words) -> None:
    assert not held.snapshot().holds_words(words)


def _blocks(snapshot: Snapshot) -> Sequence[object]:
    assert snapshot._resident is not None
    assert snapshot._resident.postings is not None
    return snapshot._resident.postings.blocks
