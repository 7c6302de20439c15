"""Photos of half of Flickr8k's test split and captions of the other half in one pool.

Each query is a caption. Its answer is its photo if the photo is in the pool, else the photo's
other four captions. Vectors are from the built-in model, full-text search is Lance's BM25 over
the captions, as in a library. Nothing was fitted to this data.
"""

from __future__ import annotations

import csv
import sys
import tempfile
from collections.abc import Callable
from typing import NamedTuple

import lance
import numpy as np
from hybrid import WORDS, by_words, words_index
from PIL import Image

from common import (
    Background,
    Rows,
    Vectors,
    area_under_curve,
    best_of,
    data_folder,
    nearest,
    nulls_of,
    recall_at,
    table,
)
from trawl.encoders import load_model
from trawl.ranking import Null, fuse, measure_null
from trawl.types import Ranking

HALVES = 3
TEXT, PICTURE = "mini.text", "mini.image"
Scored = tuple[list[int], float]
Method = Callable[[list[Ranking], dict[str, Background]], Scored]


class Flickr(NamedTuple):
    """`photos` float32 [P, D]; `captions` float32 [P, 5, D]; `words` the captions [P][5]."""

    photos: Vectors
    captions: Vectors
    words: list[list[str]]


def load() -> Flickr:
    folder = data_folder("flickr8k")
    model = load_model("mini")
    if "image" not in model.encoders:
        sys.exit("skipped: the built-in model has no image tower here")
    captions: dict[str, list[str]] = {}
    with (folder / "captions.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["split"] == "test":
                captions.setdefault(row["image"], []).append(row["caption"])
    names = sorted(name for name, five in captions.items() if len(five) == 5)
    pictures = []
    for start in range(0, len(names), 50):
        batch = [
            Image.open(folder / "images" / n).convert("RGB") for n in names[start : start + 50]
        ]
        pictures.append(model.encoders["image"].encode(batch))
    words = [captions[name] for name in names]
    texts = model.encoders["text"].encode([caption for five in words for caption in five])
    return Flickr(np.concatenate(pictures), texts.reshape(len(names), 5, -1), words)


class Pool:
    """The photos of one half, and four captions of each photo of the other."""

    def __init__(self, data: Flickr, seed: int, folder: str) -> None:
        random = np.random.default_rng(seed)
        order = random.permutation(len(data.photos))
        self.data = data
        self.pictured, self.told = order[: len(order) // 2], order[len(order) // 2 :]
        self.photos = data.photos[self.pictured]
        self.texts = data.captions[self.told, 1:].reshape(-1, data.photos.shape[1])
        # Random row ids, so that ties favour neither side.
        ids = random.permutation(len(self.photos) + len(self.texts))
        self.photo_rows, self.text_rows = ids[: len(self.photos)], ids[len(self.photos) :]
        groups = np.repeat(self.told, 4)
        chosen = random.permutation(len(self.texts))
        asking, sample = chosen[:64], chosen[:1024]
        self.samples = {TEXT: self.texts[sample], PICTURE: self.photos}
        self.nulls: dict[str, Null | None] = {
            TEXT: measure_null(
                self.texts[asking],
                self.texts[sample],
                query_groups=groups[asking],
                sample_groups=groups[sample],
            ),
            PICTURE: measure_null(self.texts[asking], self.samples[PICTURE]),
        }
        self.words: lance.LanceDataset = words_index(
            [caption for photo in self.told for caption in data.words[photo][1:]], folder
        )

    def ask(self, photo: int) -> tuple[list[Ranking], dict[str, Background]]:
        query = self.data.captions[photo, 0]
        words = by_words(self.words, self.data.words[photo][0])
        return (
            [
                nearest(PICTURE, query, self.photos, self.photo_rows),
                nearest(TEXT, query, self.texts, self.text_rows),
                Ranking(WORDS, self.text_rows[words.rows], words.similarities, words.searched),
            ],
            {s: Background(v @ query, self.nulls[s]) for s, v in self.samples.items()},
        )

    def picture_questions(self) -> list[tuple[int, Rows]]:
        return [(p, self.photo_rows[i : i + 1]) for i, p in enumerate(self.pictured)]

    def text_questions(self) -> list[tuple[int, Rows]]:
        return [(p, self.text_rows[4 * i : 4 * i + 4]) for i, p in enumerate(self.told)]


def package(name: str, *sources: str) -> Method:
    def method(rankings: list[Ranking], backgrounds: dict[str, Background]) -> Scored:
        asked = [r for r in rankings if not sources or r.source in sources]
        fused = fuse(asked, name, nulls=nulls_of(backgrounds))  # type: ignore[arg-type]
        return fused.rows.tolist(), best_of(fused, name)

    return method


def by(score: Callable[[Ranking], Vectors]) -> Method:
    """Merge the vector sources by a score per candidate."""

    def method(rankings: list[Ranking], _: dict[str, Background]) -> Scored:
        asked = [r for r in rankings if r.source != WORDS]
        rows = np.concatenate([r.rows for r in asked])
        scores = np.concatenate([score(r) for r in asked])
        return rows[np.lexsort((rows, -scores))].tolist(), float(scores.max())

    return method


def _z_top(ranking: Ranking) -> Vectors:
    top = ranking.similarities[:50]
    return (ranking.similarities - top.mean()) / top.std()


METHODS: dict[str, Method] = {
    "raw cosine": by(lambda r: r.similarities),
    "z-score by the top 50": by(_z_top),
    "RRF, k = 60": package("rrf"),
    "CombSUM, min-max": package("weighted"),
    "**calibrated**": package("calibrated"),
}


def main() -> None:
    data = load()
    figures: dict[str, list[list[float]]] = {}
    for seed in range(HALVES):
        with tempfile.TemporaryDirectory() as folder:
            pool = Pool(data, seed, folder)
            for name, method in METHODS.items():
                figures.setdefault(name, []).append(measure(pool, method, method))
            ceiling = measure(
                pool, package("calibrated", PICTURE), package("calibrated", TEXT, WORDS)
            )
            figures.setdefault("ceiling: the answers' modality alone", []).append(ceiling)
    table(
        f"A caption asks (mean of {HALVES} halves); for texts, R@k is whether any of four is there",
        ["photo R@1", "R@5", "R@10", "text R@1", "R@5", "R@10", "AUC"],
        ((name, np.mean(values, axis=0).tolist()) for name, values in figures.items()),
    )


def measure(pool: Pool, for_photos: Method, for_texts: Method) -> list[float]:
    found: list[float] = []
    bests = []
    for questions, method in (
        (pool.picture_questions(), for_photos),
        (pool.text_questions(), for_texts),
    ):
        ranks = []
        for photo, answers in questions:
            rows, best = method(*pool.ask(photo))
            places = [i + 1 for i, row in enumerate(rows) if row in answers]
            ranks.append(min(places, default=len(rows) + 1))
            if method is for_photos:
                bests.append((best, method(*without(pool.ask(photo), answers))[1]))
        found += [recall_at(ranks, k) for k in (1, 5, 10)]
    return [*found, area_under_curve(*np.array(bests).T)]


def without(
    asked: tuple[list[Ranking], dict[str, Background]], answers: Rows
) -> tuple[list[Ranking], dict[str, Background]]:
    rankings = []
    for ranking in asked[0]:
        kept = ~np.isin(ranking.rows, answers)
        rankings.append(
            Ranking(
                ranking.source, ranking.rows[kept], ranking.similarities[kept], ranking.searched
            )
        )
    return rankings, asked[1]


if __name__ == "__main__":
    main()
