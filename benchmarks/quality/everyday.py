"""Small and mixed libraries: what a new user sees first, measured offline.

    python benchmarks/quality/everyday.py [--held-out]

Libraries of 12 to 600 documents, a third each of photos, notes and sounds, drawn from the
development collection (``everyday_data.py``). Every list is ranked by raw cosine, RRF,
CombSUM ("weighted") and by calibration.
"""

from __future__ import annotations

import argparse
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from everyday_data import FAR_OFF, Collection, load_collection
from everyday_worlds import World, draw, tokens

from common import Vectors, area_under_curve, table
from trawl.ranking import Prior, answer_odds, fuse
from trawl.search.searcher import OTHER_MODALITY_ODDS, SAME_MODALITY_ODDS
from trawl.search.snippets import content_stems
from trawl.types import MODALITIES, Modality

SIZES = {12: 24, 30: 16, 45: 12, 150: 5, 600: 2}
"""Documents in a library: libraries drawn of that size."""


class Listed(NamedTuple):
    """A list, best first, with the confidence that it holds an answer."""

    rows: Sequence[int]
    scores: Sequence[float]
    confidence: float
    no_good_match: bool


class Query(NamedTuple):
    """A query by text or by vector to one library."""

    world: World
    vector: Vectors
    text: str = ""
    modality: Modality = "text"
    without: tuple[int, ...] = ()


Method = Callable[[Query], Listed]


def ask(world: World, text: str) -> Query:
    return Query(world, world.collection.vector_of(text), text)


def questions(world: World) -> Iterator[tuple[str, Modality, set[int]]]:
    """Yield (question, modality of the answers, right rows) for what the library holds."""
    seen = set()
    for item in world.items:
        for question in item.questions:
            if question not in seen:
                seen.add(question)
                right = {
                    row
                    for row, other in enumerate(world.items)
                    if other.modality == item.modality and other.kind == item.kind
                }
                yield question, item.modality, right


def first_right(rows: Sequence[int], right: set[int]) -> int:
    """Return the place of the first right row, from 1; 0 if there is none."""
    return next((place for place, row in enumerate(rows, 1) if row in right), 0)


def mean_mrr(collection: Collection, methods: dict[str, Method], size: int, seeds: int) -> Any:
    """Return {method: {modality: mean reciprocal rank}} over libraries of one size."""
    found: dict[str, dict[str, list[float]]] = {m: defaultdict(list) for m in methods}
    random = np.random.default_rng(size)
    for seed in range(seeds):
        world = draw(collection, size, seed)
        asked = list(questions(world))
        by_modality = {m: [a for a in asked if a[1] == m] for m in MODALITIES}
        for group in by_modality.values():
            for i in random.permutation(len(group))[:60]:
                question, modality, right = group[i]
                query = ask(world, question)
                for name, method in methods.items():
                    place = first_right(method(query).rows, right)
                    found[name][modality].append(1 / place if place else 0.0)
    return {
        name: {modality: float(np.mean(values)) for modality, values in groups.items()}
        for name, groups in found.items()
    }


def trios(collection: Collection, methods: dict[str, Method], size: int, seeds: int) -> Any:
    """Return {method: share of names whose photo, note and sound are the first three}."""
    found: dict[str, list[bool]] = {m: [] for m in methods}
    for seed in range(seeds):
        world = draw(collection, size, seed, named=True, trios=True)
        world.name_things()
        for thing in {item.thing for item in world.items if item.thing}:
            right = {row for row, item in enumerate(world.items) if item.thing == thing}
            query = ask(world, thing)
            for name, method in methods.items():
                found[name].append(right == set(method(query).rows[:3]))
    return {name: float(np.mean(values)) for name, values in found.items()}


def unique_words(world: World) -> list[tuple[str, int]]:
    """Return (word, row) for words of the notes that one document alone holds."""
    holders: dict[str, set[int]] = defaultdict(set)
    spelled: dict[str, str] = {}
    for row in range(len(world.items)):
        for word in re.findall(r"[^\W\d_]{4,}", world.words_of(row)):
            for token in tokens(word):
                holders[token].add(row)
                spelled[token] = word
    return [
        (spelled[word], next(iter(rows)))
        for word, rows in sorted(holders.items())
        if len(rows) == 1
        and world.items[next(iter(rows))].thing
        and world.items[next(iter(rows))].modality == "text"
    ]


def exact_words(collection: Collection, methods: dict[str, Method], size: int, seeds: int) -> Any:
    """Return {method: share of words of one note alone that find that note first}."""
    found: dict[str, list[bool]] = {m: [] for m in methods}
    random = np.random.default_rng(0)
    for seed in range(seeds):
        world = draw(collection, size, seed)
        words = unique_words(world)
        for i in random.permutation(len(words))[:40]:
            word, row = words[i]
            for name, method in methods.items():
                found[name].append(list(method(ask(world, word)).rows[:1]) == [row])
    return {name: float(np.mean(values)) for name, values in found.items()}


def more_like(collection: Collection, methods: dict[str, Method], size: int, seeds: int) -> Any:
    """Return, by method, for queries by a stored item: first hit's modality, kind, and copies."""
    found: dict[str, dict[str, list[float]]] = {m: defaultdict(list) for m in methods}
    random = np.random.default_rng(1)
    for seed in range(seeds):
        world = draw(collection, size, seed)
        for modality in MODALITIES:
            rows = random.permutation(world.rows(modality))[:12]
            for row in rows.tolist():
                item = world.items[row]
                query = Query(world, world.vectors[row], "", modality)
                alone = query._replace(without=(row,))
                kin = {
                    other
                    for other, one in enumerate(world.items)
                    if other != row and one.modality == modality and one.kind == item.kind
                }
                for name, method in methods.items():
                    listed, copy = method(alone), method(query)
                    first = world.items[listed.rows[0]]
                    found[name][f"{modality}: same modality first"].append(
                        first.modality == modality
                    )
                    if kin:
                        found[name][f"{modality}: same kind first"].append(listed.rows[0] in kin)
                    found[name][f"{modality}: copy first"].append(copy.rows[0] == row)
                    found[name][f"{modality}: copy's score"].append(copy.scores[0])
    return {
        name: {what: float(np.mean(values)) for what, values in groups.items()}
        for name, groups in found.items()
    }


def alone(collection: Collection, method: Method, modality: Modality, count: int) -> list[float]:
    """Return, for a library of one modality: false alarms, far-off flagged, and the AUC."""
    rows = [i for i, item in enumerate(collection.items) if item.modality == modality]
    chosen = np.random.default_rng(2).permutation(rows)[:count]
    world = World(collection, sorted(chosen.tolist()), named=False)
    asked = [q for q, _, _ in questions(world)]
    asked = [asked[i] for i in np.random.default_rng(3).permutation(len(asked))[:150]]
    there = [method(ask(world, q)) for q in asked]
    far = [method(ask(world, q)) for q in FAR_OFF]
    return [
        float(np.mean([one.no_good_match for one in there])),
        float(np.mean([one.no_good_match for one in far])),
        area_under_curve(
            np.array([one.confidence for one in there]), np.array([one.confidence for one in far])
        ),
    ]


def far_off(
    collection: Collection, method: Method, half: int, size: int, seeds: int
) -> list[float]:
    """Return, for mixed libraries: false alarms, far-off questions flagged, and the AUC."""
    there, far = list[Listed](), list[Listed]()
    random = np.random.default_rng(4)
    for seed in range(seeds):
        world = draw(collection, size, seed)
        asked = [q for q, _, _ in questions(world)]
        there += [method(ask(world, asked[i])) for i in random.permutation(len(asked))[:60]]
        far += [method(ask(world, q)) for q in FAR_OFF[half::2]]
    return [
        float(np.mean([one.no_good_match for one in there])),
        float(np.mean([one.no_good_match for one in far])),
        area_under_curve(
            np.array([one.confidence for one in there]), np.array([one.confidence for one in far])
        ),
    ]


def raw_cosine(query: Query) -> Listed:
    rows = query.world.cosine_order(query.vector, query.without)
    scores = query.world.vectors[rows] @ query.vector
    return Listed(rows.tolist(), scores.tolist(), float(scores[0]), False)


def fused_by(method: str) -> Method:
    """Return a method of the package, with what `trawl.search` gives to it."""

    def fused(query: Query) -> Listed:
        world, model = query.world, query.world.collection.model
        nulls = world.nulls(query.modality)
        reference = model.reference
        odds = dict.fromkeys(MODALITIES, OTHER_MODALITY_ODDS)
        odds[query.modality] = SAME_MODALITY_ODDS
        if query.text:
            odds = answer_odds(nulls, reference.answers, reference.intent_of(query.vector))
        priors = {
            model.source(chunk): Prior(*prior)
            for (asked, chunk), prior in model.card.priors.items()
            if asked == query.modality
        }
        found = fuse(
            world.rankings(query.vector, query.text, query.without),
            method,
            nulls={model.source(modality): null for modality, null in nulls.items()},
            priors=priors,
            odds=odds,
            query_words=max(1, len(content_stems(query.text))),
            alike=query.modality,
        )
        return Listed(
            found.rows.tolist(), found.scores.tolist(), found.confidence, found.no_good_match
        )

    return fused


METHODS: dict[str, Method] = {
    "raw cosine": raw_cosine,
    "RRF, k = 60": fused_by("rrf"),
    "CombSUM, min-max": fused_by("weighted"),
    "**calibrated**": fused_by("calibrated"),
}


def report(collection: Collection, half: int, methods: dict[str, Method], ours: list[str]) -> None:
    lines: dict[str, list[float]] = defaultdict(list)
    detail: dict[str, list[float]] = defaultdict(list)
    for size, seeds in SIZES.items():
        for name, groups in mean_mrr(collection, methods, size, seeds).items():
            lines[name].append(float(np.mean(list(groups.values()))))
            detail[name] += [groups[m] for m in MODALITIES]
    table("Mean over modalities of MRR", [str(s) for s in SIZES], lines.items())
    table(
        "MRR: text, image, audio",
        [f"{s} {m[0]}" for s in SIZES for m in MODALITIES],
        detail.items(),
    )
    sizes = {30: 16, 60: 6, 150: 4, 600: 2}
    columns = defaultdict(list)
    for size, seeds in sizes.items():
        for name, value in trios(collection, methods, size, seeds).items():
            columns[name].append(value)
    for size in (12, 30, 150):
        for name, value in exact_words(collection, methods, size, 12).items():
            columns[name].append(value)
    table(
        "Photo, note and sound of a name in the first three; a word of one note alone: that first",
        [f"trio {s}" for s in sizes] + [f"word {s}" for s in (12, 30, 150)],
        columns.items(),
    )
    for size, seeds in ((30, 6), (150, 3), (600, 2)):
        found = more_like(collection, methods, size, seeds)
        table(
            f"More like this, {size} documents",
            list(methods),
            [(what, [found[m][what] for m in methods]) for what in next(iter(found.values()))],
        )
    for name in ours:
        table(
            f"Nothing good: {name}",
            ["false alarms", "far-off flagged", "AUC"],
            [
                *(
                    (f"{count} {m} alone", alone(collection, methods[name], m, count))
                    for m in ("image", "audio", "text")
                    for count in (30, 1000)
                ),
                *(
                    (f"mixed {size}", far_off(collection, methods[name], half, size, seeds))
                    for size, seeds in SIZES.items()
                    if size > 12
                ),
            ],
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--held-out", action="store_true", help="the half to look at once")
    half = int(parser.parse_args().held_out)
    report(load_collection(half), half, METHODS, ["**calibrated**"])


if __name__ == "__main__":
    main()
