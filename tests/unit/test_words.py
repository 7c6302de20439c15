"""The analysis of text: folding, words of many scripts, columns and query terms."""

from __future__ import annotations

import unicodedata

import pytest

from trawl.words import indexed, phrase_terms, ranking_terms, tokens


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The bank of England", "the bank of england"),
        ("his résumé", "his resume"),
        (unicodedata.normalize("NFD", "Orléans naïve"), "orleans naive"),
        ("Straße in Zürich, Łódź, Øre, Æsir", "strasse in zurich lodz ore aesir"),
        ("İstanbul DIŞ diş dış", "istanbul dis dis dis"),
        ("micro\u00adscope zero\u200bwidth \ufeffmark", "microscope zerowidth mark"),
        ("5\u00b5m 5\u03bcm", "5μm 5μm"),
        ("Ａｂｃ ﬁne x² ½", "abc fine x2 1 2"),
        ("ёжик Αθήνα", "ежик αθηνα"),
        ("ذَهَبَ الطَّالِبُ الـــطالب", "ذهب الطالب الطالب"),
        ("שָׁלוֹם עוֹלָם", "שלום עולם"),
        ("हिन्दी की", "हिन्दी की"),
        ("٢٠٢٠ २०२०", "2020 2020"),
        ("don't my_photo.jpg C++ vitamin-A", "don t my photo jpg c vitamin a"),
        ("Foo™ 5㎏ 25℃ №7", "foo tm 5 kg 25 c no 7"),
        ("a 🐟, 2️⃣ ❤️ © °", "a 🐟 2 ❤"),
        ("x" * 5000, "x" * 5000),
        ("吃了寿司。拉面", "吃 了 寿 司 | 拉 面"),
        ("機械学\n習", "機 械 学 習"),
        ("비빔밥을 먹\n었", "비 빔 밥 을 | 먹 | 었"),
        (unicodedata.normalize("NFD", "비빔밥"), "비 빔 밥"),
        ("ｶﾞｲﾄﾞ がか ー", "ガ イ ド | が か | ー"),
        ("ต้มยำ ตม", "ต้ ม ยํ า | ต ม"),
        ("iPhone15を ㍿", "iphone15 を 株 式 会 社"),
        ("don\u02bct don\u2019t ŉ", "don t don t n"),
        ("... --- ~", ""),
    ],
)
def test_exact_words(text: str, words: str) -> None:
    assert phrase_terms(text) == words


def test_fields_are_apart() -> None:
    assert indexed(["Old bank", "of england"]) == (" old bank || of england ", "old bank england")


def test_bm25_counts_stems_and_pairs_of_characters_without_stop_words() -> None:
    _, terms = indexed(["The muons were decaying in 北京市"])
    assert terms == "muon decay 北京 京市"


def test_terms_of_queries() -> None:
    assert ranking_terms("the decaying muons") == (["decay", "muon"], [])
    assert ranking_terms("寿司 魚") == (["寿司", "魚"], ["魚"])
    assert ranking_terms("to be or not to be") == (["not"], [])
    assert ranking_terms("Of the") == ([], ["of", "the"])


def test_places_of_words() -> None:
    text = unicodedata.normalize("NFD", "Un élève, 寿司")
    assert [text[token.start : token.end] for token in tokens(text)] == [
        "Un",
        unicodedata.normalize("NFD", "élève"),
        "寿",
        "司",
    ]
