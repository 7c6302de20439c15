"""Properties of passages for any text and tokenizer."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from trawl.chunking import split_text

_CHARACTERS = st.one_of(
    st.sampled_from(list("ab AZ. \n\n.!?。」' \t\f\u2029\u200d\u0301👩🏽🔬漢字\x00")),
    st.characters(),
)


@st.composite
def texts_and_spans(draw: st.DrawFn) -> tuple[str, np.ndarray]:
    """Return a text and token spans with gaps, shared characters and white-space tokens."""
    text = draw(st.text(_CHARACTERS, max_size=120))
    tokens: list[tuple[int, int]] = []
    at = 0
    while at < len(text):
        gap, length = draw(st.sampled_from([0, 0, 0, 1, 3])), draw(st.integers(1, 6))
        begin, end = at + gap, min(len(text), at + gap + length)
        if begin < end:
            tokens += [(begin, end)] * draw(st.sampled_from([1, 1, 1, 2, 4]))
        at = begin + length
    return text, np.array(tokens, dtype=np.int64).reshape(-1, 2)


@settings(deadline=None, max_examples=300)
@given(texts_and_spans(), st.integers(1, 12), st.data())
def test_passages_cover_the_text_in_order_and_within_the_limit(
    made: tuple[str, np.ndarray], max_tokens: int, data: st.DataObject
) -> None:
    text, spans = made
    overlap = data.draw(st.integers(0, max_tokens - 1))
    found = split_text(text, spans, max_tokens=max_tokens, overlap=overlap)

    covered: set[int] = set()
    for start, end in found:
        assert 0 <= start < end <= len(text)
        assert not text[start].isspace()
        assert not text[end - 1].isspace()
        covered |= set(range(start, end))
    assert {at for at, c in enumerate(text) if not c.isspace()} <= covered

    for (start, end), (next_start, next_end) in itertools.pairwise(found):
        assert start < next_start
        assert end < next_end

    for start, end in found:
        inside = [tuple(span) for span in spans if start <= span[0] < end and span[1] <= end]
        # Only tokens that share one stretch of characters may break the limit.
        assert len(inside) <= max_tokens or len(set(inside)) == 1
