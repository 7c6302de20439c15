"""Required and excluded words and phrases against brute force, in many scripts."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from trawl import Library
from trawl.words import fold, indexed, phrase_terms, tokens

# Of no two of these words does one contain the other, with or without accents.
SPACED = (
    *("the", "of", "a", "not", "be", "bank", "England", "run", "running", "Straße", "résumé"),
    *("élève", "Łódź", "naïve", "İzmir", "Ελλάδα", "Οδυσσέας", "ёлка", "мой", "שָׁלוֹם", "ذَهَبَ"),
    *("किताब", "कीताब", "தமிழ்", "հայերեն", "ქართული", "5µm", "x" * 120, "3f9a0c" * 12, "🐟"),
)
UNSPACED = (
    "寿司",
    "北京",
    "ラーメン",
    "がっこう",
    "かっこう",
    "ต้มยำ",
    "ตมยา",
    "ข้าว",
    "비빔밥",
    "학교",
)
PUNCTUATION = (" ", " ", "  ", ", ", ". ", "\n", "-", "_", " — ", "’")
VARIANTS = ("NFC", "NFD", "NFKC", "upper", "hyphen")


@dataclass(frozen=True)
class Text:
    """Words between spaces, with runs of words of unspaced scripts."""

    runs: tuple[tuple[str, ...], ...]

    def holds(self, phrase: Text) -> bool:
        """Return whether the phrase's runs are in a row, the first and last in part."""
        runs, size = ["".join(run) for run in self.runs], len(phrase.runs)
        wanted = ["".join(run) for run in phrase.runs]
        return any(
            all(
                self._fits(runs[at + n], wanted[n], first=n == 0, last=n == size - 1)
                for n in range(size)
            )
            for at in range(len(runs) - size + 1)
        )

    @staticmethod
    def _fits(run: str, wanted: str, *, first: bool, last: bool) -> bool:
        if wanted in SPACED or run in SPACED:
            return run == wanted
        if first and last:
            return wanted in run
        if first:
            return run.endswith(wanted)
        return run.startswith(wanted) if last else run == wanted


def written(text: Text, random: np.random.Generator) -> str:
    """Write each word in some form, with some punctuation between the runs."""
    out = ""
    for run in text.runs:
        out += str(random.choice(PUNCTUATION)) if out else ""
        out += "".join(variant(word, str(random.choice(VARIANTS))) for word in run)
    return out


def variant(word: str, form: str) -> str:
    match form:
        case "upper":
            return word.upper()
        case "hyphen":
            return word[:2] + "\u00ad" + word[2:]
        case _:
            return unicodedata.normalize(form, word)  # type: ignore[arg-type]


def random_text(random: np.random.Generator, size: int) -> Text:
    runs: list[tuple[str, ...]] = []
    for _ in range(size):
        if random.random() < 0.5:
            runs.append((str(random.choice(SPACED)),))
        else:
            runs.append(tuple(map(str, random.choice(UNSPACED, random.integers(1, 4)))))
    return Text(tuple(runs))


@pytest.fixture(scope="module")
def texts() -> Sequence[Text]:
    random = np.random.default_rng(12)
    return [random_text(random, int(random.integers(2, 9))) for _ in range(60)]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, texts: Sequence[Text]) -> Iterator[Library]:
    folder, random = tmp_path_factory.mktemp("words"), np.random.default_rng(3)
    with Library(folder / "library", create=True, freshness_s=0) as library:
        for number, text in enumerate(texts):
            # No line break: it would join lines of Chinese.
            content = f"zebra {number} {written(text, random)}".replace("\n", " ")
            (folder / f"{number}.txt").write_text(content, "utf-8")
        library.add([*folder.glob("*.txt")])
        yield library


def found(library: Library, **options: Sequence[str]) -> set[int]:
    hits = library.search("zebra", limit=100, all=True, **options).hits  # type: ignore[arg-type]
    return {int(Path(hit.uri).stem) for hit in hits}


@given(
    which=st.integers(0, 59), start=st.integers(0, 8), size=st.integers(1, 3), seed=st.integers(0)
)
@settings(deadline=None, max_examples=80)
def test_a_phrase_is_in_the_results_that_hold_it_and_in_no_others(
    library: Library, texts: Sequence[Text], which: int, start: int, size: int, seed: int
) -> None:
    runs = texts[which].runs[start : start + size] or texts[which].runs[:1]
    phrase = Text(runs)
    line = written(phrase, np.random.default_rng(seed)).replace("\n", " ")
    holding = {number for number, text in enumerate(texts) if text.holds(phrase)}
    assert which in holding
    assert found(library, required=[line]) == holding
    assert found(library, excluded=[line]) == set(range(60)) - holding


@given(words=st.lists(st.sampled_from((*SPACED, *UNSPACED)), min_size=1, max_size=2))
@settings(deadline=None, max_examples=60)
def test_words_that_may_be_nowhere(
    library: Library, texts: Sequence[Text], words: list[str]
) -> None:
    holding = [
        {number for number, text in enumerate(texts) if text.holds(Text(((word,),)))}
        for word in words
    ]
    assert found(library, required=words) == set.intersection(*holding)
    assert found(library, excluded=words) == set(range(60)) - set.union(*holding)


MANY_SCRIPTS: Mapping[str, str] = {
    "mixed": "iPhone15を買った。Foo™ 5㎏ ½ x² ㍿",
    "half-width": "ｶﾞｲﾄﾞ",
    "jamo": unicodedata.normalize("NFD", "비빔밥을 먹었습니다"),
    "thai": "ต้มยำกุ้ง\u200bที่ร้าน",
    "arabic": "الطَّالِبُ ـــ ٢٠٢٠",
}


@given(st.text(max_size=80))
@example(MANY_SCRIPTS["mixed"])
@example(MANY_SCRIPTS["half-width"])
@example(MANY_SCRIPTS["jamo"])
@example(MANY_SCRIPTS["thai"])
@example(MANY_SCRIPTS["arabic"])
def test_analysis_of_any_text(text: str) -> None:
    places = [(token.start, token.end) for token in tokens(text)]
    assert places == sorted(places)
    assert all(0 <= start < end <= len(text) for start, end in places)
    assert not any(" " in token.text or not token.text for token in tokens(text))
    assert f" {phrase_terms(text)} " in indexed(["zebra", text, "zebra"])[0]
    assert fold(fold(text)) == fold(text)


@given(st.text(st.characters(max_codepoint=127), max_size=80))
@example("The muons_decay: 2 in 1950s, it's e.g. HTTP/2")
def test_ascii_text_is_analysed_like_other_text(text: str) -> None:
    columns, longer = indexed([text]), indexed([f"{text} é"])
    assert [column.split() for column in longer] == [[*each.split(), "e"] for each in columns]


@given(st.text(max_size=40))
def test_composed_and_decomposed_text_has_the_same_words(text: str) -> None:
    composed, decomposed = (unicodedata.normalize(form, text) for form in ("NFC", "NFD"))
    assert phrase_terms(composed) == phrase_terms(decomposed)
