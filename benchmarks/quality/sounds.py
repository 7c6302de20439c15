"""Sounds (ESC-10) and photo captions (Flickr8k) in one pool, by the built-in model.

Each query is a sound's label. Its answers are the 32 sounds with that label, among 288 others and
4,000 captions of photos (many of dogs, babies and the sea). Reverse: a photo's fifth caption is
the query for its other four.
"""

from __future__ import annotations

import csv
import sys
import tempfile

import numpy as np
import soundfile
from flickr8k import METHODS, Method, package
from hybrid import WORDS, by_words, words_index

from common import Background, data_folder, nearest, recall_at, sample_rows, table
from trawl.encoders import Model, load_model
from trawl.ranking import excerpts, measure_null
from trawl.types import Ranking, Sound

TEXT, SOUND = "mini.text", "mini.audio"
PHRASES = ("{}", "the sound of a {}", "recording of {}")


def main() -> None:
    model = load_model("mini")
    if "audio" not in model.encoders:
        sys.exit("skipped: the built-in model has no audio tower here")
    with (data_folder("esc10") / "labels.csv").open(encoding="utf-8", newline="") as file:
        sounds = [(row["clip"], row["label"].replace("_", " ")) for row in csv.DictReader(file)]
    captions: dict[str, list[str]] = {}
    with (data_folder("flickr8k") / "captions.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["split"] == "test":
                captions.setdefault(row["image"], []).append(row["caption"])
    with tempfile.TemporaryDirectory() as folder:
        compare(model, sounds, [five for five in captions.values() if len(five) == 5], folder)


def compare(
    model: Model, sounds: list[tuple[str, str]], captions: list[list[str]], folder: str
) -> None:
    told = [caption for five in captions for caption in five[1:]]
    groups = np.repeat(np.arange(len(captions)), 4)
    # Random row ids, so that ties favour neither side.
    ids = np.random.default_rng(0).permutation(len(sounds) + len(told))
    sound_rows, text_rows = ids[: len(sounds)], ids[len(sounds) :]
    vectors = {
        SOUND: np.concatenate([model.encoders["audio"].encode([load(clip)]) for clip, _ in sounds]),
        TEXT: model.encoders["text"].encode(told),
    }
    drawn = sample_rows(len(told))
    asking = model.encoders["text"].encode(excerpts([told[i] for i in drawn[:64]]))
    samples = {SOUND: vectors[SOUND], TEXT: vectors[TEXT][drawn]}
    nulls = {
        SOUND: measure_null(asking, samples[SOUND]),
        TEXT: measure_null(
            asking, samples[TEXT], query_groups=groups[drawn[:64]], sample_groups=groups[drawn]
        ),
    }
    index = words_index(told, folder)

    def ask(words: str) -> tuple[list[Ranking], dict[str, Background]]:
        query = model.encoders["text"].encode([words])[0]
        found = by_words(index, words)
        rankings = [
            nearest(SOUND, query, vectors[SOUND], sound_rows),
            nearest(TEXT, query, vectors[TEXT], text_rows),
            Ranking(WORDS, text_rows[found.rows], found.similarities, found.searched),
        ]
        return rankings, {s: Background(v @ query, nulls[s]) for s, v in samples.items()}

    names = sorted({label for _, label in sounds})
    of_sounds = [
        (ask(phrase.format(name)), sound_rows[[label == name for _, label in sounds]])
        for name in names
        for phrase in PHRASES
    ]
    of_texts = [
        (ask(captions[i][0]), text_rows[4 * i : 4 * i + 4]) for i in range(0, len(captions), 4)
    ]
    lines = [
        (name, measure(of_sounds, method) + measure(of_texts, method)[1:])
        for name, method in METHODS.items()
    ]
    ceiling = (
        measure(of_sounds, package("calibrated", SOUND))
        + (measure(of_texts, package("calibrated", TEXT, WORDS))[1:])
    )
    table(
        f"{len(of_sounds)} questions for sounds, {len(of_texts)} for captions",
        ["sounds P@10", "R@1", "R@10", "captions R@1", "R@10"],
        [*lines, ("ceiling: the answers' modality alone", ceiling)],
    )


def load(clip: str) -> Sound:
    samples, rate = soundfile.read(data_folder("esc10") / clip, dtype="float32", always_2d=True)
    return Sound(samples.mean(axis=1), rate)


def measure(
    questions: list[tuple[tuple[list[Ranking], dict[str, Background]], np.ndarray]],
    method: Method,
) -> list[float]:
    """Return precision@10, and whether any answer is among the first 1 and 10."""
    precision, ranks = [], []
    for asked, answers in questions:
        rows, _ = method(*asked)
        right = np.isin(rows, answers)
        precision.append(float(right[:10].mean()))
        ranks.append(int(np.argmax(right)) + 1 if right.any() else len(rows) + 1)
    return [float(np.mean(precision)), recall_at(ranks, 1), recall_at(ranks, 10)]


if __name__ == "__main__":
    main()
