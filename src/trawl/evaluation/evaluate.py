"""One run: ask every question once, fuse in every way, measure, and compare."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias, get_args

import numpy as np

from trawl.encoders import load_reranker
from trawl.errors import UsageError
from trawl.evaluation.candidates import Answers, Candidates, Judged, ask
from trawl.evaluation.figures import ALL, DEFAULT, RERANKED, Evaluation, Figure
from trawl.evaluation.measures import LEVEL, RESAMPLES, Values, intervals, measure, measure_names
from trawl.evaluation.questions import Question
from trawl.evaluation.tuning import check_enough, tune
from trawl.library import Library
from trawl.ranking import Method
from trawl.search import MAX_RESULTS
from trawl.types import MODALITIES

Progress: TypeAlias = Callable[[int, int], None]
"""Told how many questions are asked, and how many there are."""

Lists: TypeAlias = dict[str, list[list[str]]]
"""By fusion: a list of keys for each question."""

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
    """Measure each fusion, and each source alone, on questions with known answers.

    A document counts once, at its best chunk's place. `weights` are given to the fusions;
    `rerank` names a cross-encoder that is measured too, on the default fusion's list;
    `tune_weights` fits weights on half of the questions. `base` is the folder that the
    answers' relative paths begin at. Raises `UsageError` where there is nothing to measure
    or ir-measures is missing.
    """
    if not 1 <= k <= MAX_RESULTS:
        raise UsageError(f"k {k}: it is from 1 to {MAX_RESULTS:,}")
    answers = Answers(library, Path(base))
    judged = [answers.judged(question) for question in questions]
    _check(questions, judged, answers)
    if tune_weights:
        check_enough(len(questions))
    # Before the questions are asked, which takes a while: is there what measures them?
    measure([], [], k)
    given = dict(weights or {})
    reranker = load_reranker(rerank, library.settings.model_dir) if rerank is not None else None
    lists: Lists = {}
    kept: list[Candidates] = []
    for number, (question, known) in enumerate(zip(questions, judged, strict=True)):
        candidates = ask(library, question, known, k, given)
        _list(lists, number, candidates, given)
        if reranker is not None:
            lists.setdefault(RERANKED, []).append(candidates.reranked(reranker, given))
        if tune_weights:
            kept.append(candidates)
        if progress is not None:
            progress(number + 1, len(questions))
    groups = _groups(judged)
    return Evaluation(
        questions=len(questions),
        k=k,
        seed=seed,
        level=LEVEL,
        resamples=RESAMPLES,
        weights=given,
        groups={group: len(members) for group, members in groups.items()},
        fusions=tuple(lists),
        measures=measure_names(k),
        figures=tuple(
            figure
            for group, members in groups.items()
            for figure in _figures(group, members, lists, judged, k, seed)
        ),
        tuning=tune(kept, judged, k, seed) if tune_weights else None,
        notices=_notices(answers.missing),
    )


def _check(questions: Sequence[Question], judged: Sequence[Judged], answers: Answers) -> None:
    if not questions:
        raise UsageError("there is no question to measure by")
    empty = next((q for q, j in zip(questions, judged, strict=True) if not j.grades), None)
    if empty is not None:
        raise UsageError(f"question {empty.question_id} has no answer with a grade above 0")
    if not any(each.modalities for each in judged):
        raise UsageError(
            f"no judged answer is in the library, {answers.missing[0]!r} for one; answers are "
            "ids, or paths from the judgement file's folder"
        )


def _list(lists: Lists, number: int, candidates: Candidates, weights: Mapping[str, float]) -> None:
    """Put what each fusion and each source makes of a question at its number."""
    for method in _METHODS:
        lists.setdefault(method, []).append(candidates.by_fusion(method, weights))
    for source in candidates.sources:
        alone = lists.setdefault(source, [])
        alone += [[] for _ in range(number - len(alone))]
        alone.append(candidates.by_source(source))
    for name, found in lists.items():
        if name != RERANKED:
            found += [[] for _ in range(number + 1 - len(found))]


def _groups(judged: Sequence[Judged]) -> dict[str, list[int]]:
    """Give the questions of each group: all, and those with an answer of a modality."""
    groups: dict[str, list[int]] = {ALL: list(range(len(judged)))}
    by_modality: dict[str, list[int]] = {
        modality: members
        for modality in MODALITIES
        if (members := [i for i, j in enumerate(judged) if modality in j.modalities.values()])
    }
    # Where every answer is of one modality, its group would say the same again.
    return groups | by_modality if len(by_modality) > 1 else groups


def _figures(
    group: str,
    members: Sequence[int],
    lists: Lists,
    judged: Sequence[Judged],
    k: int,
    seed: int,
) -> Iterator[Figure]:
    """Give the figures of one group, the default fusion's first."""
    values: dict[str, Values] = {}
    wanted = [_answers_of(judged[i], group) for i in members]
    for fusion, found in lists.items():
        # Answers of another modality are no mistakes: they are passed over.
        shown = [
            [key for key in found[i] if key in answers or key not in judged[i].grades]
            for i, answers in zip(members, wanted, strict=True)
        ]
        values[fusion] = measure(shown, wanted, k)
    names = measure_names(k)
    joint = np.concatenate([*values.values(), *(v - values[DEFAULT] for v in values.values())], 1)
    found_intervals = intervals(joint, seed)
    half = len(values) * len(names)
    for place, fusion in enumerate(values):
        for column, name in enumerate(names):
            at = place * len(names) + column
            difference = found_intervals[half + at] if fusion != DEFAULT else None
            yield Figure(fusion, group, name, found_intervals[at], difference)


def _answers_of(judged: Judged, group: str) -> dict[str, int]:
    return {
        key: grade
        for key, grade in judged.grades.items()
        if group == ALL or judged.modalities.get(key) == group
    }


def _notices(missing: Sequence[str]) -> tuple[str, ...]:
    if not missing:
        return ()
    shown = ", ".join(dict.fromkeys(missing[:3]))
    more = ", ..." if len(missing) > 3 else ""
    plural = "" if len(missing) == 1 else "s"
    return (
        f"{len(missing):,} judged answer{plural} not in the library, and counted as not found: "
        f"{shown}{more}",
    )
