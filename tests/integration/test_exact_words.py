"""Required, excluded and fuzzy words and phrases, and highlights, in real libraries."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from trawl import Library
from trawl.errors import LibraryError, QueryError

Names = Callable[[str], list[str]]
MAC_NAME = unicodedata.normalize("NFD", "Müllersee")

TEXTS: Mapping[str, str] = {
    "of": "He worked at the bank of england for years.",
    "in": "He worked at the bank in england for years.",
    "notrun": "Please do not run.",
    "runs": "She runs daily.",
    "vitA": "vitamin A deficiency is bad",
    "vitB": "vitamin B deficiency is bad",
    "vit": "vitamin deficiency is bad",
    "who": "The Who played loud.",
    "cliche": "his résumé was a cliché exposé",
    "plain": "his resume was a cliche expose",
    "str": "Straße in Zürich",
    "zh": "我们昨天晚上在北京吃了非常好吃的寿司和拉面。",
    "ja": "私たちは東京で機械学習の本を読んでいます。",
    "th": "เมื่อวานนี้เราไปกินข้าวผัดและต้มยำกุ้งที่ร้าน",
    "ko": "서울에서 비빔밥을 먹었습니다.",
    "nfd": unicodedata.normalize("NFD", "Orléans élève naïve"),
    "nfc": "Orléans elsewhere",
    "shy": "micro\u00adscope im\u00adportant",
    "mu": "a film of 5\u00b5m",
    "ru": "ёжик и ёлка",
    "el": "Αθήνα Οδυσσέας",
    "ar": "ذَهَبَ الطَّالِبُ",
    "he": "שָׁלוֹם עוֹלָם",
    "tr": "İstanbul güzel",
    MAC_NAME: "file named by a Mac",
    "hash": "commit " + "9f86d081884c7d659a2feaa0c55ad015" * 2,
    "compound": "Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetz",
    "slips": "communication happiness organization photography running separately definitely "
    "measurement decaying telescope",
}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    folder = tmp_path_factory.mktemp("exact")
    files = folder / "files"
    files.mkdir()
    for name, text in TEXTS.items():
        (files / f"{name}.txt").write_text(text, "utf-8")
    library = Library(folder / "library", create=True, freshness_s=0)
    library.add(files)
    return library


def names(library: Library, line: str) -> list[str]:
    return sorted(Path(hit.uri).stem for hit in library.query(line, limit=100, all=True).hits)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('+"bank of england"', ["of"]),
        ('+"to be or not to be"', []),
        ('+"vitamin A deficiency"', ["vitA"]),
        ('+"the who"', ["who"]),
        ("+runs", ["runs"]),
        ("+run", ["notrun"]),
        ("+resume", ["cliche", "plain"]),
        ("+cliché", ["cliche", "plain"]),
        ("+strasse", ["str"]),
        ("+ZÜRICH", ["str"]),
        ("+寿司", ["zh"]),
        ("+晚", ["zh"]),
        ("+機械学習", ["ja"]),
        ("+ต้มยำกุ้ง", ["th"]),
        ("+비빔밥", ["ko"]),
        ("+Orléans", ["nfc", "nfd"]),
        ("+microscope", ["shy"]),
        ("+5\u03bcm", ["mu"]),
        ("+ежик", ["ru"]),
        ("+Αθηνα", ["el"]),
        ("+الطالب", ["ar"]),
        ("+שלום", ["he"]),
        ("+istanbul", ["tr"]),
        ("+Müllersee", [MAC_NAME]),
        (f"+{MAC_NAME}", [MAC_NAME]),
        ("+" + "9f86d081884c7d659a2feaa0c55ad015" * 2, ["hash"]),
        ("+rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetz", ["compound"]),
    ],
)
def test_required(library: Library, line: str, expected: Sequence[str]) -> None:
    assert names(library, line) == sorted(expected)


@pytest.mark.parametrize(
    ("excluded", "gone"),
    [
        ('-"vitamin A"', ["vitA"]),
        ("-of", ["mu", "of"]),
        ("-Orléans", ["nfc", "nfd"]),
        ("-寿司", ["zh"]),
        ("-runs", ["runs"]),
        ("-microscope", ["shy"]),
        ("-zeppelin", []),
    ],
)
def test_excluded(library: Library, excluded: str, gone: Sequence[str]) -> None:
    assert names(library, f"anything {excluded}") == sorted(set(TEXTS) - set(gone))


def matched(library: Library, line: str) -> set[str]:
    """Return the documents that the full-text index found."""
    return {
        Path(hit.uri).stem
        for hit in library.query(line, limit=100, all=True).hits
        if any(evidence.source == "bm25" for evidence in hit.evidence)
    }


@pytest.mark.parametrize(
    "slip",
    [
        *("comunication", "happines", "organizaton", "photografy", "runing", "seperately"),
        *("definately", "mesurement", "decayng", "telescpe"),
    ],
)
def test_fuzzy_words_are_compared_with_words_not_stems(library: Library, slip: str) -> None:
    assert "slips" in matched(library, f"{slip}~")


def test_fuzzy_words_of_unspaced_scripts_are_exact(library: Library) -> None:
    assert matched(library, "寿司~") == {"zh"}


def test_bm25_matches_stems_characters_and_stop_words(library: Library) -> None:
    assert {"notrun", "runs", "slips"} <= matched(library, "runs")
    assert matched(library, "北京") == {"zh"}
    assert matched(library, "晚") == {"zh"}
    assert {"of", "mu"} <= matched(library, "of")


@pytest.mark.parametrize(
    ("line", "marked"),
    [
        ("寿司", "<mark>寿司</mark>"),
        ("机器 司", "<mark>司</mark>"),
        ("élève", f"<mark>{unicodedata.normalize('NFD', 'élève')}</mark>"),
        ("microscope", "<mark>micro\u00adscope</mark>"),
        ("비빔밥", "<mark>비빔밥</mark>을"),
        ("الطالب", "<mark>الطَّالِبُ</mark>"),
    ],
)
def test_highlights_are_of_the_same_words(library: Library, line: str, marked: str) -> None:
    assert any(marked in hit.snippet for hit in library.query(line, limit=100, all=True).hits)


@pytest.mark.parametrize("line", ['+"?!"', 'x -"..."'])
def test_a_phrase_of_signs_is_an_error(library: Library, line: str) -> None:
    with pytest.raises(QueryError, match="no letters or digits"):
        library.query(line)


def test_a_long_list_of_rows_is_a_condition_on_the_words(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = ('+"bank of england"', "+the", "anything -of", "+寿司")
    short = [names(library, line) for line in lines]
    monkeypatch.setattr("trawl.store.snapshot._MAX_LISTED", 0)
    assert [names(library, line) for line in lines] == short


def test_a_library_of_the_earlier_format_is_refused(tmp_path: Path) -> None:
    Library(tmp_path / "library", create=True).close()
    file = tmp_path / "library" / "library.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"format": 1}))
    with pytest.raises(LibraryError, match="Create a new library and add the files to it"):
        Library(tmp_path / "library")
