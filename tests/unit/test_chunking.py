"""Boundaries of passages."""

from __future__ import annotations

import itertools
import re
import time
from hashlib import sha256
from random import Random

import numpy as np
import pytest
from numpy.typing import NDArray

from trawl.chunking import split_text

Spans = NDArray[np.int64]


def spans(text: str, pattern: str = r"\w+|[^\w\s]") -> Spans:
    found = [match.span() for match in re.finditer(pattern, text)]
    return np.array(found, dtype=np.int64).reshape(-1, 2)


def passages(text: str, token_spans: Spans | None = None, **options: int) -> list[str]:
    token_spans = spans(text) if token_spans is None else token_spans
    return [text[start:end] for start, end in split_text(text, token_spans, **options)]


def test_short_text_is_one_passage_without_the_space_around_it() -> None:
    assert split_text("  A muon.\n", spans("  A muon.\n")) == [(2, 9)]


@pytest.mark.parametrize("text", ["", " \n\t\u3000\u2029"])
def test_white_space_has_no_passages(text: str) -> None:
    assert split_text(text, spans(text)) == []


def test_characters_without_tokens_are_still_covered() -> None:
    assert split_text(" \u200b ", np.empty((0, 2), dtype=np.int64)) == [(1, 2)]
    text = "\u200bone two\u200b three\u200b"
    assert passages(text, spans(text, r"[a-z]+"), max_tokens=2, overlap=0) == [
        "\u200bone two\u200b",
        "three\u200b",
    ]


def test_a_paragraph_end_near_the_limit_wins_over_a_later_sentence_end() -> None:
    first = "word " * 15 + "last.\n\n"
    text = first + "Next one. And more " + "word " * 30
    assert passages(text, max_tokens=20, overlap=0)[0] == first.strip()


def test_a_sentence_end_near_the_limit_wins_over_a_later_word_end() -> None:
    text = "word " * 15 + "end. Then " + "word " * 30
    assert passages(text, max_tokens=20, overlap=0)[0].endswith("end.")


def test_a_sentence_end_long_before_the_limit_is_left_alone() -> None:
    text = "Short one. " + "word " * 40
    assert len(spans(passages(text, max_tokens=20, overlap=0)[0])) == 20


@pytest.mark.parametrize(
    "inside", ["as in Fig. 3 there", "by J. Smith there", "so e.g. this there"]
)
def test_abbreviations_do_not_end_a_sentence(inside: str) -> None:
    text = "word " * 12 + inside + " word" * 30
    assert not passages(text, max_tokens=20, overlap=0)[0].endswith(".")


def test_the_next_passage_begins_at_a_sentence_near_the_overlap() -> None:
    sentence = "One two three four five six seven. "
    parts = passages(sentence * 20, max_tokens=40, overlap=10)
    assert len(parts) > 3
    for part in parts:
        assert part.startswith("One")
        assert part.endswith("seven.")


def test_neighbours_overlap_by_about_the_overlap() -> None:
    text = "word " * 1000
    found = split_text(text, spans(text), max_tokens=200, overlap=40)
    shared = [(a[1] - b[0] + 1) // 5 for a, b in itertools.pairwise(found)]
    assert shared == [40] * len(shared)
    assert len(shared) == 5


def test_chinese_is_split_after_a_full_stop() -> None:
    text = "缪子在云室中留下轨迹。" * 12
    found = passages(text, spans(text, r"\S"), max_tokens=40, overlap=5)
    assert len(found) > 3
    assert all(part.endswith("。") and len(part) <= 40 for part in found)


def test_an_emoji_of_several_characters_is_never_split() -> None:
    family = "👩\u200d🔬👍🏽"
    text = family * 40
    found = passages(text, spans(text, r"."), max_tokens=11, overlap=3)
    whole = [re.fullmatch("(👩\u200d🔬|👍🏽)+", part) for part in found]
    assert len(found) > 10
    assert all(whole)


def test_tokens_that_share_a_character_stay_together() -> None:
    """Byte-level tokenizers make several tokens of one emoji, all with the same span."""
    text = "🦑" * 30
    shared = np.repeat(spans(text, "."), 4, axis=0)
    found = split_text(text, shared, max_tokens=10, overlap=0)
    assert found == [(at, at + 2) for at in range(0, 30, 2)]


def test_a_character_of_more_tokens_than_the_limit_is_one_passage() -> None:
    shared = np.repeat(spans("🦑🐙", "."), 4, axis=0)
    assert split_text("🦑🐙", shared, max_tokens=2, overlap=1) == [(0, 1), (1, 2)]


def test_tokens_that_start_with_a_space() -> None:
    """SentencePiece spans include the space before a word."""
    text = "one two three four five"
    assert passages(text, spans(text, r"\s*\w+"), max_tokens=2, overlap=0) == [
        "one two",
        "three four",
        "five",
    ]


def test_one_very_long_token() -> None:
    text = "start " + "x" * 100_000 + " end"
    assert passages(text, max_tokens=1, overlap=0) == ["start", "x" * 100_000, "end"]


@pytest.mark.parametrize(("max_tokens", "overlap"), [(0, 0), (5, 5), (5, -1)])
def test_invalid_sizes_are_rejected(max_tokens: int, overlap: int) -> None:
    with pytest.raises(ValueError, match="overlap"):
        split_text("a", spans("a"), max_tokens=max_tokens, overlap=overlap)


def test_time_is_linear_in_the_length() -> None:
    text = "The muon decays into an electron and two neutrinos. " * 20_000
    token_spans = spans(text)
    began_s = time.process_time()
    found = split_text(text, token_spans)
    assert time.process_time() - began_s < 2  # about 0.1 s; a quadratic way takes minutes
    assert len(found) > 1_000


def test_passages_of_random_texts_are_as_recorded() -> None:
    """A change of the passages would embed every library again."""
    characters = (
        "abcdefghabcdefghAB 12  .  .  .\n!?…‽؟۔।。！？｡．\"'’”»)]}」』）】》([「\t\f\r\x1c\x85\xa0"
        "\u1680\u2003\u2028\u2029\u3000\u200b\u200d\u0301\u064b\ufe0f漢字👩🏽🔬é"
    )
    random = Random(17)
    digest = sha256()
    for _ in range(2_000):
        text = "".join(random.choices(characters, k=random.randint(1, 400)))
        token_spans = spans(text, random.choice([r"\w+|[^\w\s]", r"\s*\w+", r"\S", "."]))
        token_spans = np.repeat(token_spans, random.choice([1, 1, 3]), axis=0)
        max_tokens = random.randint(1, 60)
        overlap = random.randrange(max_tokens)
        found = split_text(text, token_spans, max_tokens=max_tokens, overlap=overlap)
        digest.update(repr(found).encode())
    assert digest.hexdigest() == "384bf9d577c547bdc642068d66c843dcef61faeb916f4c6166639e7c216dfc7d"
