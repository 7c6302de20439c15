"""Run an evaluation: search each question once, fuse in every way, measure and compare."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias, get_args

import numpy as np

from trawl.encoders import load_reranker
from trawl.errors import UsageError
from trawl.evaluation.candidates import AnswerResolver, Candidates, Judged, search
from trawl.evaluation.figures import ALL, DEFAULT, RERANKED, Evaluation, Figure
from trawl.evaluation.measures import LEVEL, RESAMPLES, Values, intervals, measure, measure_names
from trawl.evaluation.questions import Question
from trawl.evaluation.tuning import check_enough, tune
from trawl.library import Library
from trawl.ranking import Method
from trawl.search import MAX_RESULTS
from trawl.types import MODALITIES

Progress: TypeAlias = Callable[[int, int], None]
"""Called after each question with the number done and the total."""

Lists: TypeAlias = dict[str, list[list[str]]]
"""By fusion: the keys found for each question."""

_METHODS: tuple[Method, ...] = get_args(Method)


def evaluate(
    library: Library,
    questions: Sequence[Question],
    *,
    k: int = 10,
    weights: Mapping[str, float] | None = None,
    rerank: str | None = None,
    tune_weights: bool = False,
    seed: int = 0,
    base: str | Path = ".",
    progress: Progress | None = None,
) -> Evaluation:
    """Measure each fusion and each single source on questions with known answers.

    A document counts once, at the rank of its best chunk. `weights` apply to the fusions.
    `rerank` names a cross-encoder to measure on the default fusion's list. `tune_weights` fits
    weights on half of the questions. Relative paths of answers start at `base`. Raises
    `UsageError` if there is nothing to measure or ir-measures is not installed.
    """
    if not 1 <= k <= MAX_RESULTS:
        raise UsageError(f"k {k} is out of range: 1 to {MAX_RESULTS:,}")
    resolver = AnswerResolver(library, Path(base))
    judged = [resolver.judged(question) for question in questions]
    _check(questions, judged, resolver)
    if tune_weights:
        check_enough(len(questions))
    # Fails before the searches, which take a while, if ir-measures is missing.
    measure([], [], k)
    weights = dict(weights or {})
    reranker = load_reranker(rerank, library.settings.model_dir) if rerank is not None else None
    lists: Lists = {}
    tuned_on: list[Candidates] = []
    for number, (question, answers) in enumerate(zip(questions, judged, strict=True)):
        candidates = search(library, question, answers, k, weights)
        _append(lists, number, candidates, weights)
        if reranker is not None:
            lists.setdefault(RERANKED, []).append(candidates.reranked(reranker, weights))
        if tune_weights:
            tuned_on.append(candidates)
        if progress is not None:
            progress(number + 1, len(questions))
    groups = _groups(judged)
    return Evaluation(
        questions=len(questions),
        k=k,
        seed=seed,
        level=LEVEL,
        resamples=RESAMPLES,
        weights=weights,
        groups={group: len(members) for group, members in groups.items()},
        fusions=tuple(lists),
        measures=measure_names(k),
        figures=tuple(
            figure
            for group, members in groups.items()
            for figure in _figures(group, members, lists, judged, k, seed)
        ),
        tuning=tune(tuned_on, judged, k, seed) if tune_weights else None,
        notices=_notices(resolver.missing),
    )


def _check(
    questions: Sequence[Question], judged: Sequence[Judged], resolver: AnswerResolver
) -> None:
    if not questions:
        raise UsageError("there are no questions")
    empty = next((q for q, j in zip(questions, judged, strict=True) if not j.grades), None)
    if empty is not None:
        raise UsageError(f"question {empty.question_id} has no answer with a grade above 0")
    if not any(each.modalities for each in judged):
        raise UsageError(
            f"none of the answers is in the library, for example {resolver.missing[0]!r}; answers "
            "are ids, or paths relative to the folder of the judgement file"
        )


def _append(
    lists: Lists, number: int, candidates: Candidates, weights: Mapping[str, float]
) -> None:
    """Append the results of each fusion and source for question `number`."""
    for method in _METHODS:
        lists.setdefault(method, []).append(candidates.by_fusion(method, weights))
    for source in candidates.sources:
        alone = lists.setdefault(source, [])
        alone += [[] for _ in range(number - len(alone))]
        alone.append(candidates.by_source(source))
    for name, results in lists.items():
        if name != RERANKED:
            results += [[] for _ in range(number + 1 - len(results))]


def _groups(judged: Sequence[Judged]) -> dict[str, list[int]]:
    """Return the questions of each group: all, and those with an answer of a modality."""
    groups: dict[str, list[int]] = {ALL: list(range(len(judged)))}
    by_modality: dict[str, list[int]] = {
        modality: members
        for modality in MODALITIES
        if (members := [i for i, j in enumerate(judged) if modality in j.modalities.values()])
    }
    # If all answers have one modality, its group would repeat the same figures.
    return groups | by_modality if len(by_modality) > 1 else groups


def _figures(
    group: str,
    members: Sequence[int],
    lists: Lists,
    judged: Sequence[Judged],
    k: int,
    seed: int,
) -> Iterator[Figure]:
    """Yield the figures of one group."""
    values: dict[str, Values] = {}
    expected = [_answers_of(judged[i], group) for i in members]
    for fusion, results in lists.items():
        # Answers of another modality are not errors: they are left out.
        relevant = [
            [key for key in results[i] if key in answers or key not in judged[i].grades]
            for i, answers in zip(members, expected, strict=True)
        ]
        values[fusion] = measure(relevant, expected, k)
    names = measure_names(k)
    joint = np.concatenate([*values.values(), *(v - values[DEFAULT] for v in values.values())], 1)
    means = intervals(joint, seed)
    half = len(values) * len(names)
    for place, fusion in enumerate(values):
        for column, name in enumerate(names):
            at = place * len(names) + column
            difference = means[half + at] if fusion != DEFAULT else None
            yield Figure(fusion, group, name, means[at], difference)


def _answers_of(judged: Judged, group: str) -> dict[str, int]:
    return {
        key: grade
        for key, grade in judged.grades.items()
        if group == ALL or judged.modalities.get(key) == group
    }


def _notices(missing: Sequence[str]) -> tuple[str, ...]:
    if not missing:
        return ()
    examples = ", ".join(dict.fromkeys(missing[:3]))
    more = ", ..." if len(missing) > 3 else ""
    count = "1 answer is" if len(missing) == 1 else f"{len(missing):,} answers are"
    return (f"{count} not in the library and counted as not found: {examples}{more}",)
