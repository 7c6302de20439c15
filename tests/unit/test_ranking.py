"""Calibration, fusion and balance on numbers whose right answer is known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from trawl.ranking import (
    GOOD_MATCH,
    Null,
    Prior,
    answer_odds,
    calibrate,
    excerpts,
    facet_of,
    fuse,
    measure_null,
)
from trawl.types import MODALITIES, Modality, Ranking


def ranking(
    source: str, similarities: list[float], searched: int = 1000, first: int = 0
) -> Ranking:
    """A ranking of rows first, first + 1, ... by descending similarity."""
    values = np.array(similarities, np.float32)
    assert (np.diff(values) <= 0).all()
    return Ranking(source, np.arange(first, first + len(values)), values, searched)


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


# --- calibration -----------------------------------------------------------------------


def test_an_empty_ranking_has_no_surprises() -> None:
    found = calibrate(ranking("a.text", []), prior=Prior(0, 1))
    assert found.shape == (0,)
    assert found.dtype == np.float32


def test_the_best_by_chance_has_surprise_zero_and_spread_one() -> None:
    random = np.random.default_rng(1)
    tops = []
    for _ in range(300):
        chunks = np.sort(random.normal(0.3, 0.05, 2000))[::-1][:100].tolist()
        tops.append(calibrate(ranking("a.text", chunks, 2000), prior=Prior(0.3, 0.05))[0])
    assert abs(np.mean(tops)) < 0.25
    assert 0.75 < np.std(tops) < 1.25


def test_the_same_similarity_surprises_less_in_a_larger_source() -> None:
    small, large = (
        calibrate(ranking("a.text", [0.45], searched), prior=Prior(0.2, 0.05))[0]
        for searched in (100, 100_000)
    )
    assert small > large + 1


def test_a_null_is_extrapolated_to_the_size_of_the_source() -> None:
    null = Null(best=0.3, std=0.1, growth=0.05, size=1000)
    found = calibrate(ranking("a.text", [0.5], searched=100_000), null)
    assert found[0] == pytest.approx((0.5 - 0.3 - 0.05 * math.log(100)) / 0.1, rel=1e-5)


def test_a_null_of_little_trust_gives_way_to_the_prior() -> None:
    asked, prior = ranking("a.text", [0.5], searched=20), Prior(0.1, 0.05)
    found = {
        trust: calibrate(asked, Null(0.5, 0.1, 0, 20, trust), prior=prior)[0] for trust in (0.1, 1)
    }
    assert found[1] == pytest.approx(0, abs=1e-5)
    assert 1 < found[0.1] < calibrate(asked, prior=prior)[0]
    # Without a prior there is nothing else to trust.
    assert calibrate(asked, Null(0.5, 0.1, 0, 20, 0.1))[0] == pytest.approx(0, abs=1e-5)


def test_nulls_are_blended_by_trust() -> None:
    bank, own = Null(0.2, 0.1, 0.0, 30), Null(0.4, 0.3, 0.2, 29, trust=0.25)
    assert bank.blended(own) == Null(0.25, pytest.approx(0.15), 0.05, 30)


def test_a_null_without_spread_gives_finite_surprises() -> None:
    found = calibrate(ranking("a.text", [0.6, 0.5]), Null(0.5, 0.0, 0.0, 50))
    assert np.isfinite(found).all()


def test_a_copy_is_far_more_surprising_than_the_next() -> None:
    null, asked = Null(0.6, 0.1, 0.0, 50), ranking("a.image", [1.0, 0.9, 0.7], 50)
    usual, copies = calibrate(asked, null), calibrate(asked, null, copies=True)
    assert copies[0] > usual[0] + 10
    assert copies[1:].tolist() == usual[1:].tolist()


def test_odds_raise_every_surprise_of_a_vector_source() -> None:
    asked, null = ranking("a.image", [0.7, 0.6]), Null(0.6, 0.1, 0.0, 1000)
    raised = calibrate(asked, null, odds=0.5) - calibrate(asked, null)
    assert raised.tolist() == pytest.approx([0.5, 0.5], abs=1e-6)


def test_where_answers_stand_out_less_the_same_surprise_counts_more() -> None:
    nulls: dict[Modality, Null] = {
        "text": Null(0.1, 0.1, 0, 50),
        "image": Null(0.1, 0.1, 0, 50),
    }
    odds = answer_odds(nulls, {"text": 0.5, "image": 0.2, "audio": 0.5}, {})
    assert odds == {"text": pytest.approx(-0.3), "image": pytest.approx(0.3)}


def test_the_intent_of_a_query_counts_within_limits() -> None:
    null = Null(0.1, 0.1, 0, 50)
    nulls: dict[Modality, Null] = dict.fromkeys(MODALITIES, null)
    meant: dict[Modality, float] = {"text": -9.0, "image": 0.4, "audio": 5.0}
    assert answer_odds(nulls, {}, meant) == {"text": -2.0, "image": 0.4, "audio": 1.0}
    told: dict[Modality, float] = {"text": 0.9, "image": -1.0, "audio": -1.5}
    assert answer_odds({"text": null, "image": null}, {}, told) == {"text": 0.0, "image": -1.0}
    assert answer_odds(nulls, {}, {}) == dict.fromkeys(MODALITIES, 0.0)


# --- words -----------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("searched", [10, 1000])
def test_few_matches_of_a_rare_word_are_surprising(size: int, searched: int) -> None:
    scores = np.linspace(1.0, 0.9, size) * math.log(searched / size)
    found = calibrate(ranking("bm25", scores.tolist(), searched), query_words=1)
    assert found[0] > 2


def test_one_of_many_words_is_not_surprising() -> None:
    found = [
        calibrate(ranking("bm25", [math.log(20)], 30), query_words=words)[0] for words in (1, 2, 6)
    ]
    assert found[0] > found[1] > found[2]
    assert found[0] > 5
    assert found[2] < 1


def test_a_word_of_most_of_a_few_chunks_counts_like_none():
    # Its weight, and so the score, is negative.
    found = calibrate(ranking("bm25", [0.4, 0.0, -0.2], 3), query_words=1)
    assert np.isfinite(found).all()
    assert found[0] > found[1] >= found[2]


def test_equal_scores_are_equally_surprising() -> None:
    found = calibrate(ranking("bm25", [3.0] * 80, 1000), query_words=2)
    assert np.isfinite(found).all()
    assert np.ptp(found) == 0


def test_a_score_that_stands_out_is_surprising_and_the_best_of_a_tail_is_not() -> None:
    tail = np.sort(np.random.default_rng(3).exponential(1.0, 5000))[::-1][:100] + 5
    ordinary = calibrate(ranking("bm25", tail.tolist(), 5000))[0]
    outstanding = calibrate(ranking("bm25", [tail[0] + 6, *tail.tolist()], 5000))[0]
    assert abs(ordinary) < 2
    assert outstanding > ordinary + 3


def test_one_outstanding_score_among_equals_is_surprising() -> None:
    found = calibrate(ranking("bm25", [9.0] + [3.0] * 80, 1000))
    assert found[0] > 4
    assert found[1] < 0


# --- confidence ------------------------------------------------------------------------


def test_a_best_that_is_alone_is_surer_than_one_of_many() -> None:
    priors = {"a.text": Prior(0.3, 0.05)}
    alone = fuse([ranking("a.text", [0.6] + [0.4] * 20)], priors=priors)
    crowd = fuse([ranking("a.text", [0.6] * 21)], priors=priors)
    assert alone.confidence > crowd.confidence > 0.3


def test_a_source_that_finds_nothing_lowers_the_confidence_of_its_facet() -> None:
    priors = {name: Prior(0.4, 0.05) for name in ("a.text", "b.text", "a.image")}

    def confidence(*rankings: Ranking) -> float:
        return fuse(rankings, priors=priors).confidence

    clear, dull = ranking("a.text", [0.7] + [0.5] * 20), [0.3] * 21
    alone = confidence(clear)
    # One more facet has one more chance to be high.
    assert 0.8 * alone < confidence(clear, ranking("a.image", dull, first=100)) < alone
    assert confidence(clear, ranking("b.text", dull)) < alone
    assert 0 < confidence(ranking("a.text", dull)) < GOOD_MATCH < 0.7 < alone < 1


def test_weights_count_in_the_confidence() -> None:
    priors = {name: Prior(0.4, 0.05) for name in ("a.text", "b.text")}
    rankings = [ranking("a.text", [0.7] + [0.5] * 20), ranking("b.text", [0.3] * 21)]

    def confidence(**weights: float) -> float:
        by_source = {f"{name}.text": weight for name, weight in weights.items()}
        return fuse(rankings, priors=priors, weights=by_source).confidence

    assert confidence(b=0) == fuse(rankings[:1], priors=priors).confidence
    assert confidence(b=0) > confidence() > confidence(a=0)
    assert confidence(a=2, b=2) > confidence()
    assert confidence(a=0, b=0) == 0


# --- measuring a null ------------------------------------------------------------------


def test_a_measured_null_predicts_queries_without_an_answer() -> None:
    random = np.random.default_rng(5)
    centres = unit(random.normal(size=(40, 32)))

    def draw(count: int) -> np.ndarray:
        near = centres[random.integers(0, 40, count)]
        return unit(near + 0.15 * random.normal(size=(count, 32)))

    chunks, queries = draw(800), draw(200)
    null = measure_null(chunks[:256], chunks)
    assert null is not None
    tops = []
    for query in queries:
        similarities = chunks @ query
        best = Ranking("a.text", np.array([0]), similarities.max(keepdims=True), len(chunks))
        tops.append(calibrate(best, null)[0])
    # The normal law would be far off: the vectors lie in clusters.
    assert abs(np.mean(tops)) < 0.4
    by_law = Prior(float(similarities.mean()), float(similarities.std()))
    assert calibrate(best, prior=by_law)[0] > 1


def test_the_question_bank_measures_a_library_of_one() -> None:
    random = np.random.default_rng(9)
    questions, one = unit(random.normal(size=(64, 32))), unit(random.normal(size=(1, 32)))
    null = measure_null(questions, one)
    assert null is not None
    assert null.size == 1
    assert null.trust == 1
    assert abs(null.best) < 0.1
    assert 0.1 < null.std < 0.3


def test_chunks_of_one_document_do_not_answer_one_another() -> None:
    random = np.random.default_rng(6)
    documents = np.repeat(np.arange(40), 4)
    vectors = unit(random.normal(size=(40, 16)))[documents]
    vectors = unit(vectors + 0.05 * random.normal(size=vectors.shape))
    apart = measure_null(vectors, vectors, query_groups=documents, sample_groups=documents)
    together = measure_null(vectors, vectors)
    assert apart is not None
    assert together is not None
    assert together.best > apart.best + 0.1


def test_a_single_answer_hardly_moves_a_null() -> None:
    random = np.random.default_rng(8)
    chunks = unit(random.normal(size=(500, 16)))
    clean = measure_null(unit(random.normal(size=(64, 16))), chunks)
    answered = measure_null(unit(chunks[:64] + 0.02 * random.normal(size=(64, 16))), chunks)
    assert clean is not None
    assert answered is not None
    # The answers themselves, at 0.99, are six of these further up.
    assert abs(answered.best - clean.best) < 2.5 * clean.std


def test_too_little_to_measure_a_null_on() -> None:
    vectors = unit(np.random.default_rng(7).normal(size=(7, 16)))
    assert measure_null(vectors, vectors) is None
    assert measure_null(vectors[:0], vectors) is None
    one = np.zeros(7, np.int64)
    assert measure_null(vectors, vectors, query_groups=one, sample_groups=one) is None


def test_excerpts_are_consecutive_words_and_repeatable() -> None:
    text = " ".join(f"w{i}" for i in range(40))
    cut = excerpts([text, "two words", "", text], words=5)
    assert [len(e.split()) for e in cut] == [5, 2, 0, 5]
    assert all(e in given for e, given in zip(cut, [text, "two words", "", text], strict=True))
    assert cut == excerpts([text, "two words", "", text], words=5)
    assert cut[0] != cut[3]


# --- fusion ----------------------------------------------------------------------------


def test_nothing_to_fuse() -> None:
    for rankings in ([], [ranking("bm25", []), ranking("a.text", [])]):
        fused = fuse(rankings)
        assert len(fused) == 0
        assert list(fused) == []
        assert fused.no_good_match


def test_a_picture_that_stands_out_comes_before_texts_that_all_lie_nearer() -> None:
    texts = np.sort(np.random.default_rng(0).normal(0.7, 0.05, 500))[::-1][:100]
    pictures = np.sort(np.random.default_rng(1).normal(0.2, 0.03, 500))[::-1][:100]
    pictures[0] = 0.36
    rankings = [
        ranking("clip.text", texts.tolist(), 500),
        ranking("clip.image", pictures.tolist(), 500, first=1000),
    ]
    priors = {
        "clip.text": Prior(0.7, 0.05),
        "clip.image": Prior(0.2, 0.03),
    }
    fused = fuse(rankings, priors=priors)
    assert fused[0].row == 1000
    assert not fused.no_good_match
    # The rest of the pictures is no better than the rest of the texts.
    assert {row >= 1000 for row in fused.rows[1:21].tolist()} == {True, False}


def test_nothing_surprising_is_no_good_match_and_is_listed_all_the_same() -> None:
    dull = np.sort(np.random.default_rng(0).normal(0.7, 0.05, 200))[::-1][:100] - 0.05
    fused = fuse(
        [ranking("a.text", dull.tolist(), 200)],
        priors={"a.text": Prior(0.7, 0.05)},
    )
    assert fused.no_good_match
    assert len(fused) == 100
    assert fused.confidence < GOOD_MATCH


def test_one_rare_word_wins_over_a_source_with_nothing_surprising() -> None:
    dull = np.sort(np.random.default_rng(0).normal(0.7, 0.05, 1000))[::-1][:100] - 0.03
    rankings = [ranking("a.text", dull.tolist(), 1000), ranking("bm25", [7.5], 1000, first=70)]
    fused = fuse(rankings, priors={"a.text": Prior(0.7, 0.05)}, query_words=1)
    assert fused[0].row == 70
    assert not fused.no_good_match


def test_evidence_names_every_source_that_found_the_row() -> None:
    rankings = [ranking("a.text", [0.9, 0.5]), ranking("bm25", [4.0, 3.0], first=1)]
    fused = fuse(rankings, priors={"a.text": Prior(0.4, 0.1)})
    by_row = {item.row: item.evidence for item in fused}
    assert [(e.source, e.rank) for e in by_row[1]] == [("a.text", 2), ("bm25", 1)]
    assert by_row[1][1].similarity == 4.0
    assert [e.source for e in by_row[0]] == ["a.text"]
    assert by_row[0][0].calibrated > by_row[1][0].calibrated


def test_scores_are_probabilities_even_for_the_most_surprising() -> None:
    fused = fuse(
        [ranking("a.text", [500.0, 0.9, -500.0])],
        priors={"a.text": Prior(0.4, 0.1)},
    )
    assert fused.scores.tolist() == sorted(fused.scores.tolist(), reverse=True)
    assert 0 <= fused.scores.min() <= fused.scores.max() <= 1
    assert np.isfinite(fused.scores).all()


def test_a_chunk_with_two_clear_signals_beats_one_with_either() -> None:
    rankings = [
        ranking("a.image", [0.9, 0.9, 0.4]),
        Ranking("a.text", np.array([1, 5, 6]), np.array([0.9, 0.9, 0.4], np.float32), 1000),
    ]
    priors = {name: Prior(0.4, 0.1) for name in ("a.image", "a.text")}
    fused = fuse(rankings, priors=priors)
    assert fused[0].row == 1
    assert fused.scores[0] > fused.scores[1]
    assert fused.scores[1] == pytest.approx(fused.scores[2])


def test_texts_that_words_and_vectors_agree_on_outdo_a_picture_and_either_alone_does_not() -> None:
    background = Prior(0.4, 0.05)
    points = calibrate(ranking("a.text", [0.6, 0.5]), prior=background)
    per_surprise = 0.1 / float(points[0] - points[1])

    def at(*surprises: float) -> list[float]:
        """The similarities that are so surprising."""
        return [0.6 + (surprise - float(points[0])) * per_surprise for surprise in surprises]

    def first(one: Ranking, other: Ranking) -> int:
        picture = ranking("a.image", at(2.0), first=100)
        names = ("a.text", "b.text", "a.image")
        fused = fuse([one, other, picture], priors=dict.fromkeys(names, background))
        return int(fused.rows[0])

    clear = ranking("a.text", at(2.2, 0.0))
    assert first(clear, ranking("b.text", at(2.2, 0.0))) == 0
    assert first(clear, ranking("b.text", at(2.2, 0.0), first=50)) == 100
    assert first(clear, ranking("b.text", [])) == 100
    # Two that see what chance brings agree on nothing that outdoes it.
    dull = ranking("a.text", at(0.0, -1.0))
    assert first(dull, ranking("b.text", at(0.0, -1.0))) == 100


def test_a_facet_weighted_as_a_whole_is_moved_as_a_source_alone_is() -> None:
    rankings = [ranking("a.text", [0.62, 0.6]), ranking("b.text", [0.62, 0.6])]
    priors = {name: Prior(0.4, 0.05) for name in ("a.text", "b.text")}

    def odds(*sources: Ranking, weight: float) -> float:
        weights = {source.source: weight for source in sources}
        score = float(fuse(sources, priors=priors, weights=weights).scores[0])
        return math.log(score / (1 - score))

    moved = [odds(*some, weight=3) - odds(*some, weight=1) for some in (rankings[:1], rankings)]
    assert moved[0] == pytest.approx(moved[1])
    assert moved[0] > 0.3


def test_many_that_stand_high_in_one_facet_do_not_crowd_out_the_other() -> None:
    """Ten texts are a little more surprising than the one picture, and all before it by right."""
    texts = ranking("a.text", np.linspace(0.62, 0.61, 10).tolist())
    picture = ranking("a.image", [0.60, 0.30], first=100)
    priors = {name: Prior(0.4, 0.05) for name in ("a.text", "a.image")}
    rows = fuse([texts, picture], priors=priors).rows.tolist()
    assert rows[0] == 0
    assert 0 < rows.index(100) < 6
    assert [row for row in rows if row < 100] == list(range(10))


def test_equals_stay_equal_however_many_stand_above_them() -> None:
    rankings = [ranking("a.text", [0.7, 0.6, 0.6, 0.6, 0.5]), ranking("a.image", [0.6], first=9)]
    priors = {name: Prior(0.4, 0.05) for name in ("a.text", "a.image")}
    fused = fuse(rankings, priors=priors)
    scores = dict(zip(fused.rows.tolist(), fused.scores.tolist(), strict=True))
    assert scores[0] > scores[1] == scores[2] == scores[3] > scores[4]
    assert scores[9] > scores[1]


def test_reciprocal_ranks_add_up() -> None:
    rankings = [ranking("a.text", [0.9, 0.8]), ranking("bm25", [2.0, 1.0], first=1)]
    fused = fuse(rankings, "rrf", rrf_k=10, weights={"bm25": 2.0})
    scores = dict(zip(fused.rows.tolist(), fused.scores.tolist(), strict=True))
    assert scores == pytest.approx({0: 1 / 11, 1: 1 / 12 + 2 / 11, 2: 2 / 12})


def test_weighted_similarities_add_up() -> None:
    rankings = [ranking("a.text", [0.9, 0.7, 0.5]), ranking("bm25", [2.0], first=1)]
    fused = fuse(rankings, "weighted", weights={"a.text": 0.5})
    scores = dict(zip(fused.rows.tolist(), fused.scores.tolist(), strict=True))
    assert scores == pytest.approx({0: 0.5, 1: 0.25 + 1, 2: 0.0})


def test_a_source_of_no_weight_gives_evidence_and_no_score() -> None:
    rankings = [ranking("a.text", [0.9]), ranking("a.image", [0.9], first=1)]
    priors = {name: Prior(0.4, 0.1) for name in ("a.image", "a.text")}
    fused = fuse(rankings, priors=priors, weights={"a.image": 0.0})
    assert fused.rows.tolist() == [0, 1]
    assert fused.scores[1] == 0
    assert fused[1].evidence[0].source == "a.image"


def test_a_greater_weight_moves_a_source_up() -> None:
    rankings = [ranking("a.text", [0.8]), ranking("a.image", [0.8], first=1)]
    priors = {name: Prior(0.4, 0.1) for name in ("a.image", "a.text")}
    assert fuse(rankings, priors=priors, weights={"a.image": 3.0})[0].row == 1
    assert fuse(rankings, priors=priors, weights={"a.text": 3.0})[0].row == 0


def test_slices_and_negative_places() -> None:
    fused = fuse([ranking("bm25", [3.0, 2.0, 1.0])])
    assert [item.row for item in fused[1:]] == [1, 2]
    assert fused[-1].row == 2
    with pytest.raises(IndexError):
        fused[3]


def test_what_sources_look_at() -> None:
    assert [facet_of(s) for s in ("mini.image", "org/model.v2.text", "bm25")] == [
        "image",
        "text",
        "text",
    ]


def test_a_row_that_can_have_no_vector_is_judged_by_its_words() -> None:
    """A photo without a caption has a file name, but no vector of text."""
    vectors = ranking("a.text", [0.62, 0.5, 0.45], 3)
    words = Ranking("bm25", np.array([0, 7]), np.array([1.0, 4.0], np.float32), 30)

    def score(complete: bool) -> float:
        fused = fuse(
            [replace(vectors, complete=complete), words],
            priors={"a.text": Prior(0.4, 0.05)},
            query_words=1,
        )
        return dict(zip(fused.rows.tolist(), fused.scores.tolist(), strict=True))[7]

    assert score(complete=True) > score(complete=False)


def test_a_facet_that_speaks_clearly_against_a_row_lowers_its_score() -> None:
    sound = ranking("a.audio", [0.6, 0.5])

    def score(caption: float) -> float:
        priors = {name: Prior(0.4, 0.05) for name in ("a.text", "a.audio")}
        fused = fuse([sound, ranking("a.text", [caption])], priors=priors)
        return dict(zip(fused.rows.tolist(), fused.scores.tolist(), strict=True))[0]

    assert score(0.1) < score(0.5) < score(0.65)
    alone = float(fuse([sound], priors={"a.audio": Prior(0.4, 0.05)}).scores[0])
    assert score(0.1) < alone - 0.1
