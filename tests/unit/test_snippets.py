"""What a hit shows of its text."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trawl.search.snippets import snippet, stem


def test_words_are_marked_whatever_their_form() -> None:
    shown = snippet("The muons decayed. A Muon decays.", "muon decay")
    assert shown.count("<mark>") == 4
    assert "<mark>muons</mark> <mark>decayed</mark>" in shown


def test_accents_do_not_matter() -> None:
    assert snippet("Une mesure précise", "precise") == "Une mesure <mark>précise</mark>"
    assert stem("CAFÉ") == stem("cafe")


def test_a_long_text_is_shown_around_its_matches() -> None:
    text = "Filler sentence about nothing. " * 50 + "The tau lepton decays here. " + "More. " * 50
    shown = snippet(text, "tau lepton")
    assert shown.startswith("… ")
    assert shown.endswith(" …")
    assert "<mark>tau</mark> <mark>lepton</mark>" in shown
    assert len(re.sub("</?mark>", "", shown)) <= 210


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
