"""From the candidates of every source to an answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from trawl.search.arrange import Page, arrange, count_facets, hits_of
from trawl.search.copies import IsGone
from trawl.search.gathered import Gathered
from trawl.search.options import SearchOptions
from trawl.search.rerank import Reranker, rerank
from trawl.search.rows import Rows
from trawl.types import Answer


def answer_of(
    gathered: Gathered,
    options: SearchOptions,
    rows: Rows,
    reranker: Callable[[str], Reranker],
    is_gone: IsGone,
    timings: dict[str, float],
    among: NDArray[np.int64] | None = None,
) -> tuple[Answer, bool]:
    """Fuse candidates and return the answer, and whether more candidates would lengthen it.

    `rows` has the columns of the candidates; only those `among` some of them, if given, are
    listed.
    """
    with timed(timings, "fuse"):
        fused = gathered.fused(options.fusion, options.weights, options.rrf_k)
        if among is not None:
            fused = fused.among(among)
    notices: tuple[str, ...] = ()
    if options.rerank is not None:
        with timed(timings, "rerank"):
            fused, notices = rerank(reranker(options.rerank), gathered.words, rows, fused)
    with timed(timings, "hydrate"):
        listed = options.nearest or not fused.no_good_match
        page = arrange(options, rows, fused) if listed else Page([], {})
        hits = hits_of(gathered.words, options, rows, page, is_gone)
        counted = fused if options.all else fused.likely()
        facets = count_facets(options, rows, counted) if listed else ()
    answer = Answer(
        hits,
        timings,
        no_good_match=fused.no_good_match,
        confidence=fused.confidence,
        facets=facets,
        notices=notices,
        more=page.more,
    )
    return answer, page.short


@contextmanager
def timed(timings: dict[str, float], stage: str) -> Iterator[None]:
    """Add the milliseconds of a block to `timings`."""
    began = time.perf_counter()
    try:
        yield
    finally:
        timings[stage] = round((time.perf_counter() - began) * 1000, 3)
