"""What must hold of fusion whatever the sources say."""

from __future__ import annotations

from typing import get_args

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from trawl.ranking import Fusion, Method, Prior, balance, fuse
from trawl.types import MODALITIES, Modality, Ranking

SOURCES = ("a.text", "b.text", "a.image", "a.audio", "bm25")
WITH_PRIOR = SOURCES[:4]
METHODS: tuple[Method, ...] = get_args(Method)

# Apart enough to stay in order through float32 and an affine change.
similarity = st.integers(-200, 200).map(lambda tenths: tenths / 10)
candidates = st.dictionaries(st.integers(0, 30), similarity, max_size=20)
some_sources = st.dictionaries(st.sampled_from(SOURCES), candidates, min_size=1)
methods = st.sampled_from(METHODS)
some_weights = st.dictionaries(st.sampled_from(SOURCES), st.sampled_from([0.25, 0.8, 3.0]))


def ranking(source: str, found: dict[int, float], searched: int = 500) -> Ranking:
    rows = sorted(found, key=lambda row: (-found[row], row))
    return Ranking(
        source,
        np.array(rows, np.int64),
        np.array([found[row] for row in rows], np.float32),
        searched,
    )


def priors(changed: str = "", scale: float = 1.0, shift: float = 0.0) -> dict[str, Prior]:
    found = {name: Prior(0.1 * i, 3.0) for i, name in enumerate(WITH_PRIOR)}
    if changed in found:
        prior = found[changed]
        found[changed] = Prior(scale * prior.mean + shift, scale * prior.std)
    return found


PRIORS = priors()


def all_of(sources: dict[str, dict[int, float]]) -> list[Ranking]:
    return [ranking(name, found) for name, found in sources.items()]


def score_of(fused: Fusion, row: int) -> float:
    return float(fused.scores[fused.rows.tolist().index(row)])


@given(some_sources, methods, st.randoms())
@settings(deadline=None)
def test_the_order_of_the_sources_does_not_matter(sources, method, random):
    rankings = all_of(sources)
    fused = fuse(rankings, method, priors=PRIORS)
    random.shuffle(rankings)
    again = fuse(rankings, method, priors=PRIORS)
    first, second = ([(i.row, i.score, i.evidence) for i in one] for one in (fused, again))
    assert first == second
    assert fused.confidence == again.confidence


@given(some_sources, methods)
@settings(deadline=None)
def test_every_row_stands_once_and_best_first_with_equals_by_row(sources, method):
    fused = fuse(all_of(sources), method, priors=PRIORS)
    assert sorted(fused.rows.tolist()) == sorted({r for found in sources.values() for r in found})
    assert (np.diff(fused.scores) <= 0).all()
    if method == "calibrated":
        assert ((fused.scores >= 0) & (fused.scores <= 1)).all()
    for item in fused:
        assert {e.source for e in item.evidence} == {s for s, f in sources.items() if item.row in f}


@given(st.sampled_from(SOURCES), candidates, methods)
@settings(deadline=None)
def test_one_source_alone_keeps_its_order(source, found, method):
    alone = ranking(source, found)
    assert fuse([alone], method, priors=PRIORS).rows.tolist() == alone.rows.tolist()


@given(some_sources, st.sampled_from(SOURCES))
@settings(deadline=None)
def test_rrf_sees_ranks_alone(sources, changed):
    rankings = all_of(sources)
    stretched = [
        Ranking(r.source, r.rows, np.exp(r.similarities / 10), r.searched)
        if r.source == changed
        else r
        for r in rankings
    ]
    before, after = fuse(rankings, "rrf"), fuse(stretched, "rrf")
    assert before.rows.tolist() == after.rows.tolist()
    assert before.scores.tolist() == after.scores.tolist()


@given(
    some_sources,
    st.sampled_from(SOURCES),
    st.sampled_from([0.03, 0.5, 2.0, 40.0]),
    st.floats(-5, 5),
)
@settings(deadline=None)
def test_calibration_sees_through_affine_changes(sources, changed, scale, shift):
    rankings = all_of(sources)
    changed_rankings = [
        Ranking(r.source, r.rows, (scale * r.similarities + shift).astype(np.float32), r.searched)
        if r.source == changed
        else r
        for r in rankings
    ]
    before = fuse(rankings, priors=PRIORS)
    after = fuse(changed_rankings, priors=priors(changed, scale, shift))
    for row in before.rows.tolist():
        # float32 similarities: scores agree to rounding, and so does the order.
        assert abs(score_of(before, row) - score_of(after, row)) < 5e-3
    assert 0 <= before.confidence <= 1
    assert abs(before.confidence - after.confidence) < 5e-3


@given(
    some_sources,
    st.sampled_from(WITH_PRIOR),
    st.integers(0, 30),
    st.integers(80, 200).map(lambda tenths: tenths / 10),
    some_weights,
)
@settings(deadline=None)
def test_agreement_never_lowers_a_score(sources, agreeing, row, at, weights):
    """A source that did not return a row returns it now, and does not speak against it."""
    sources.setdefault(agreeing, {}).pop(row, None)
    before = fuse(all_of(sources), priors=PRIORS, weights=weights)
    sources[agreeing][row] = at
    after = fuse(all_of(sources), priors=PRIORS, weights=weights)
    if row in before.rows:
        assert score_of(after, row) >= score_of(before, row) - 1e-12


@given(
    some_sources,
    st.sampled_from(WITH_PRIOR),
    st.integers(0, 30),
    st.floats(0, 9),
    some_weights,
)
@settings(deadline=None)
def test_a_higher_similarity_never_lowers_a_score(sources, source, row, more, weights):
    found = sources.setdefault(source, {})
    found.setdefault(row, 0.0)
    before = fuse(all_of(sources), priors=PRIORS, weights=weights)
    found[row] += more
    after = fuse(all_of(sources), priors=PRIORS, weights=weights)
    assert score_of(after, row) >= score_of(before, row) - 1e-12


@given(some_sources, st.lists(st.sampled_from(MODALITIES), min_size=31, max_size=31))
@settings(deadline=None, max_examples=60)
def test_balance_gives_equal_shares_and_leaves_no_place_empty(sources, modalities):
    fused = fuse(all_of(sources), priors=PRIORS)
    modality_of: dict[int, Modality] = dict(enumerate(modalities))
    for limit in (1, 3, 7, 100):
        chosen = balance(fused, modality_of, limit)
        assert len(chosen) == min(limit, len(fused))
        places = [fused.rows.tolist().index(item.row) for item in chosen]
        assert places == sorted(places)
        for modality in set(modalities):
            taken = sum(modality_of[item.row] == modality for item in chosen)
            there = sum(modality_of[row] == modality for row in fused.rows.tolist())
            others = max(
                (
                    sum(modality_of[item.row] == other for item in chosen)
                    for other in set(modalities) - {modality}
                ),
                default=0,
            )
            # One that has more to give is behind no other by more than a place.
            assert taken == there or taken >= others - 1
