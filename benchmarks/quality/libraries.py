"""Quality and time of a search of several libraries, against one library with all documents.

    python benchmarks/quality/libraries.py SCIFACT CRANFIELD

Each collection is indexed as one library, as three random thirds, and in parts of one, two and
seven tenths. Together, the collections make one library, and one for each subject. Prints nDCG@10,
how often the first hit is that of the one library, the share of the first ten that is, and the
median milliseconds of a search.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from trawl import Library
from trawl.evaluation.collections import Collection, add_collection, read_collection
from trawl.evaluation.measures import measure
from trawl.evaluation.questions import Question
from trawl.libraries import Libraries
from trawl.types import Answer

K = 10
Parts = Sequence[set[str]]


def main(folders: Sequence[str]) -> None:
    found = {Path(folder).name: read_collection(folder) for folder in folders}
    print("| collection | libraries | nDCG@10 | same first hit | common | ms |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as place:
        for name, one in found.items():
            thirds, tenths = split(one, [1 / 3] * 3), split(one, [0.1, 0.2, 0.7])
            compare(Path(place), name, one, {"thirds": thirds, "1, 2 and 7 tenths": tenths})
        if len(found) > 1:
            parts = [{f"{name} {key}" for key in one.documents} for name, one in found.items()]
            compare(Path(place), " and ".join(found), joined(found), {"one for each": parts})


def split(collection: Collection, sizes: Sequence[float]) -> Parts:
    names = np.array(sorted(collection.documents))
    order = np.random.default_rng(0).permutation(len(names))
    ends = np.round(np.cumsum(sizes) * len(names)).astype(int)[:-1]
    return [set(names[part].tolist()) for part in np.split(order, ends)]


def joined(found: Mapping[str, Collection]) -> Collection:
    documents = {
        f"{name} {key}": text for name, one in found.items() for key, text in one.documents.items()
    }
    questions = tuple(
        Question(
            f"{name} {question.question_id}",
            {f"{name} {key}": grade for key, grade in question.answers.items()},
            text=question.text,
        )
        for name, one in found.items()
        for question in one.questions
    )
    return Collection(documents, questions)


def compare(place: Path, name: str, collection: Collection, splits: Mapping[str, Parts]) -> None:
    folder = place / name
    questions = index(folder / "one", collection, set(collection.documents))
    with Library(folder / "one" / "library") as library:
        one, ms = search_all(library.search, questions)
    show(name, "one", questions, one, one, ms)
    for kind, parts in splits.items():
        places = [folder / kind / f"part-{number}" for number in range(len(parts))]
        for path, part in zip(places, parts, strict=True):
            index(path, collection, part)
        with Libraries([path / "library" for path in places], library_timeout_s=60) as libraries:
            lists, ms = search_all(libraries.search, questions)
        show(name, kind, questions, lists, one, ms)


def index(path: Path, collection: Collection, part: set[str]) -> list[Question]:
    path.mkdir(parents=True)
    some = Collection({key: collection.documents[key] for key in part}, collection.questions)
    with Library(path / "library", create=True) as library:
        questions, _ = add_collection(library, some, path / "texts")
    return questions


def search_all(
    search: Callable[..., Answer], questions: Sequence[Question]
) -> tuple[list[list[str]], float]:
    search(questions[0].text, limit=K)  # opens the library, and loads the model
    lists, times = [], []
    for question in questions:
        began = time.perf_counter()
        answer = search(question.text, limit=K, all=True, per_document=1)
        times.append(time.perf_counter() - began)
        lists.append([Path(hit.uri).name for hit in answer.hits])
    return lists, 1000 * float(np.median(times))


def show(
    name: str,
    kind: str,
    questions: Sequence[Question],
    lists: Sequence[Sequence[str]],
    one: Sequence[Sequence[str]],
    ms: float,
) -> None:
    answers = [{Path(key).name: g for key, g in q.answers.items()} for q in questions]
    ndcg = measure(lists, answers, K)[:, 0].mean()
    pairs = list(zip(lists, one, strict=True))
    same = np.mean([found[:1] == known[:1] for found, known in pairs])
    common = np.mean([len({*found} & {*known}) / len(known) for found, known in pairs if known])
    print(f"| {name} | {kind} | {ndcg:.3f} | {same:.2f} | {common:.2f} | {ms:.1f} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
