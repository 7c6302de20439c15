"""What a hit shows of its text."""

from __future__ import annotations

import html
import re
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trawl.search.snippets import snippet
from trawl.words import fold, stem


def test_words_are_marked_whatever_their_form() -> None:
    shown = snippet("The muons decayed. A Muon decays.", "muon decay")
    assert shown.count("<mark>") == 4
    assert "<mark>muons</mark> <mark>decayed</mark>" in shown


def test_accents_do_not_matter() -> None:
    assert snippet("Une mesure précise", "precise") == "Une mesure <mark>précise</mark>"
    assert fold("CAFÉ") == "cafe"


def test_a_long_text_is_shown_around_its_matches() -> None:
    text = "Filler sentence about nothing. " * 50 + "The tau lepton decays here. " + "More. " * 50
    shown = snippet(text, "tau lepton")
    assert shown.startswith("… ")
    assert shown.endswith(" …")
    assert "<mark>tau</mark> <mark>lepton</mark>" in shown
    assert len(re.sub("</?mark>", "", shown)) <= 210


def test_the_best_sentence_is_the_one_with_the_most_different_words() -> None:
    text = (
        "The muon, the muon, and the muon again stand here, muon after muon. "
        + "Nothing is said in this one, which is about the weather of the year before. " * 3
        + "The muon decays in the detector. It leaves a track behind. "
        + "Then comes the rest of the page, on which there is nothing to be found. " * 4
    )
    shown = snippet(text, "how does the muon decay in the detector")
    assert shown.startswith(
        "… The <mark>muon</mark> <mark>decays</mark> in the <mark>detector</mark>. It leaves"
    )


def test_words_like_the_are_marked_only_where_nothing_else_is_asked_for() -> None:
    assert snippet("The cat is in.", "is the cat in?") == "The <mark>cat</mark> is in."
    assert snippet("The cat is in.", "the") == "<mark>The</mark> cat is in."


def test_a_word_far_into_a_long_sentence_is_shown() -> None:
    shown = snippet("it goes on and on, " * 40 + "until a heron comes, " + "and on, " * 60, "heron")
    assert "<mark>heron</mark>" in shown
    assert shown.startswith("… ")


def test_without_a_match_the_beginning_is_shown() -> None:
    assert snippet("Short text.", "other words") == "Short text."
    assert snippet("word " * 100, "").startswith("word word")


def test_markup_in_a_text_is_harmless() -> None:
    shown = snippet("<script>alert('muon')</script> & more", "muon")
    assert "<script>" not in shown
    assert "<mark>muon</mark>" in shown


@pytest.mark.parametrize("text", ["", "   ", "\n\n", "x" * 5000, "粒子" * 400, "🐟 " * 300])
def test_odd_texts(text: str) -> None:
    assert len(snippet(text, "x 粒子")) <= 2_000


@given(st.text(max_size=600), st.text(max_size=60))
def test_a_snippet_is_part_of_its_text(text: str, query: str) -> None:
    shown = re.sub("</?mark>", "", snippet(text, query))
    plain = html.unescape(shown).removeprefix("… ").removesuffix(" …")
    joined = " ".join(text.split())
    assert "mark" in joined or plain in html.unescape(joined) or plain in joined


def test_threads_stem_at_the_same_time_and_do_not_mix_their_words() -> None:
    words = [f"{start}{end}" for start in ("muon", "decay", "paint", "relat") for end in ENDINGS]
    alone = {word: stem.__wrapped__(word) for word in words}
    wrong: list[object] = []

    def run() -> None:
        for _ in range(40):
            for word, expected in alone.items():
                try:
                    found = stem.__wrapped__(word)
                except IndexError as error:
                    found = error
                if found != expected:
                    wrong.append((word, found))

    switching = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=run) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(switching)
    assert not wrong


ENDINGS = ("s", "ing", "ed", "edly", "ation", "ational", "iveness", "ously")


def test_words_near_a_fuzzy_word_are_marked() -> None:
    text = "The Neutrino and neutrons, a nuetrino, the néutrino."
    assert snippet(text, "neutrno", [("neutrno", 1)]) == (
        "The <mark>Neutrino</mark> and neutrons, a nuetrino, the <mark>néutrino</mark>."
    )
    assert "<mark>nuetrino</mark>" in snippet(text, "", [("neutrino", 2)])


@given(st.text("abé", max_size=6), st.text("abé", max_size=6), st.integers(1, 2))
def test_nearness_is_the_edit_distance(text: str, word: str, most: int) -> None:
    def distance(a: str, b: str) -> int:
        if not a or not b:
            return len(a) + len(b)
        changed = distance(a[1:], b[1:]) + (a[0] != b[0])
        return min(changed, distance(a[1:], b) + 1, distance(a, b[1:]) + 1)

    shown = snippet(text, "", [(word, most)])
    near = bool(text and word) and distance(fold(text), fold(word)) <= most
    assert ("<mark>" in shown) == near
