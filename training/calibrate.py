"""Step 6: measure what the ranking must know of a model beforehand. About a minute for `mini`.

    python calibrate.py [MODEL] [--dry-run]

Writes the priors into the model's card (`[prior."text>image"]` and so on), and beside it
`calibration.npz`: the vectors of the fixed questions, the usual cosines of answers, and the
classifier of queries by modality. Run it whenever a model's weights change: a calibration for
other weights is ignored. Works for every model whose weights are here, with the towers it has.

Only held-out material is used for cosines: Flickr8k's and OpenStax's test splits, ESC-10's
fold 4, UrbanSound8K's fold 2, SciFact, STS-B's test split. Nothing of it is stored.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import common
import evaluate
import retrieval
from trawl.encoders import Model, load_model
from trawl.encoders.base import encode_queries
from trawl.encoders.reference import CALIBRATION, MODELS, bank_questions
from trawl.types import MODALITIES

# The three classes of the classifier are weighted alike; bare names count for all three.
_STEPS, _RATE, _DECAY = 300, 0.1, 2e-3


class Material:
    """Texts, pictures and sounds of several kinds, with the questions that they answer."""

    def __init__(self, model: Model, data: Path) -> None:
        self.questions: dict[str, list[str]] = {}
        self.vectors: dict[str, np.ndarray] = {}
        scifact = retrieval.read_scifact(data)
        judged = [(q, docs) for q, docs in enumerate(scifact.relevant) if len(docs) == 1]
        self._add(
            "text",
            [scifact.queries[q] for q, _ in judged],
            model.text.encode([scifact.documents[next(iter(docs))] for _, docs in judged]),
        )
        if "image" in model.encoders:
            self._add_pictures(model, data)
        if "audio" in model.encoders:
            self._add_sounds(model, data)

    def _add(self, modality: str, questions: list[str], vectors: np.ndarray) -> None:
        self.questions[modality] = questions
        self.vectors[modality] = vectors

    def _add_pictures(self, model: Model, data: Path) -> None:
        with (data / "flickr8k" / "captions.csv").open(encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if row["split"] == "test"][::20]
        lines = (data / "openstax_figures" / "figures.jsonl").read_text("utf-8").splitlines()
        figures = [f for f in map(json.loads, lines) if f["split"] == "test"][::10]
        paths = [data / "flickr8k" / "images" / row["image"] for row in rows]
        paths += [data / "openstax_figures" / "images" / figure["image"] for figure in figures]
        questions = [row["caption"] for row in rows] + [figure["alt"] for figure in figures]
        self._add("image", questions, evaluate.encode_images(model, paths))

    def _add_sounds(self, model: Model, data: Path) -> None:
        vectors, labels = [], []
        for folder, fold in (("esc10", "4"), ("urbansound8k_part", "fold2")):
            sounds, names = evaluate.labelled_sounds(model, data / folder, fold)
            vectors.append(sounds[::4])
            labels += names[::4]
        self._add(
            "audio", [f"the sound of {name.lower()}" for name in labels], np.concatenate(vectors)
        )


def measure_priors(model: Model, material: Material, bank: np.ndarray) -> dict[str, list[float]]:
    """Return mean and standard deviation of cosines of unrelated pairs, by "query>chunk".

    Text queries are of all kinds together: what one question finds near, another does not.
    """
    rng = np.random.default_rng(0)
    asked = [encode_queries(model.text, qs) for qs in material.questions.values()]
    queries = dict(material.vectors) | {"text": np.concatenate([bank, *asked])}
    priors = {}
    for query, left in queries.items():
        for chunk, right in material.vectors.items():
            a, b = (
                left[rng.integers(len(left), size=20_000)],
                right[rng.integers(len(right), size=20_000)],
            )
            cosines = (a * b).sum(1)
            cosines = cosines[cosines < 0.999]
            priors[f"{query}>{chunk}"] = [float(cosines.mean()), float(cosines.std())]
    return priors


def measure_answers(model: Model, material: Material) -> list[float]:
    """Return the median cosine of a text query and its answer, by modality; NaN without tower."""
    return [
        float(
            np.median(
                (
                    encode_queries(model.text, material.questions[modality])
                    * material.vectors[modality]
                ).sum(1)
            )
        )
        if modality in material.vectors
        else float("nan")
        for modality in MODALITIES
    ]


def _queries_by_intent(data: Path) -> Iterator[tuple[str, int | None]]:
    """Yield (query, index of its modality); None for bare names, which may be about any."""
    captions = data / "captions_text"
    with gzip.open(captions / "flickr30k_not_in_flickr8k.tsv.gz", "rt") as file:
        for number, line in enumerate(file):
            if number < 12_000 and number % 8 == 1:
                yield line.strip().split("\t")[number // 8 % 5], 1
    with (captions / "clotho_development.csv").open(encoding="utf-8", errors="replace") as file:
        for number, row in enumerate(csv.DictReader(file)):
            if number % 3 == 0:
                yield row[f"caption_{1 + number % 5}"], 2
    rng = np.random.default_rng(0)
    for text in retrieval.read_scifact(data).documents[::5]:
        words = text.split()
        start = int(rng.integers(0, max(1, len(words) - 9)))
        yield " ".join(words[start : start + 10]), 0
    lines = (data / "openstax_figures" / "figures.jsonl").read_text("utf-8").splitlines()
    sections = sorted({figure["section"] for figure in map(json.loads, lines)} - {""})
    forms = ("what is {}", "how does {} work", "why {}", "{} explained", "when was {}", "{}")
    for number, section in enumerate(sections[:600]):
        yield forms[number % len(forms)].format(section.lower()), 0
    with (data / "imagenet_samples" / "labels.csv").open(encoding="utf-8") as file:
        names = [row["label"] for row in csv.DictReader(file)]
    pictured = ("a photo of a {}", "a picture of a {}", "{} seen from the side")
    heard = ("the sound of a {}", "noise of a {}", "a {} making a sound")
    told = ("how do I clean a {}", "what does a {} cost", "where does the {} come from")
    for number, name in enumerate(names[::2]):
        yield pictured[number % 3].format(name), 1
        yield heard[number % 3].format(name), 2
        yield told[number % 3].format(name), 0
        yield name, None


def fit_intent(model: Model, data: Path) -> np.ndarray:
    """Return the classifier, float32 [D + 1, 3], by gradient descent with momentum."""
    queries = list(_queries_by_intent(data))
    vectors = encode_queries(model.text, [text for text, _ in queries])
    targets = np.stack([np.eye(3)[c] if c is not None else np.full(3, 1 / 3) for _, c in queries])
    targets *= (len(targets) / 3 / targets.sum(0))[None, :]
    x = np.concatenate([vectors, np.ones((len(vectors), 1))], axis=1)
    weights = np.zeros((x.shape[1], 3))
    first, second = np.zeros_like(weights), np.zeros_like(weights)
    for step in range(1, _STEPS + 1):
        logits = x @ weights
        p = np.exp(logits - logits.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        gradient = x.T @ (p * targets.sum(1, keepdims=True) - targets) / len(x)
        gradient[:-1] += 2 * _DECAY * weights[:-1]
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        weights -= _RATE * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
    named = np.array([c is not None for _, c in queries])
    share = float(((x @ weights).argmax(1) == targets.argmax(1))[named].mean())
    print(f"queries classified as they are meant: {share:.3f} of {named.sum()}")
    return np.asarray(weights, np.float32)


def write_priors(card: Path, priors: dict[str, list[float]]) -> None:
    """Replace the `[prior]` tables of a card."""
    text = re.sub(r'\[prior\."[^\[]*', "", card.read_text("utf-8")).rstrip() + "\n"
    tables = [
        f'[prior."{pair}"]\nmean = {mean:.4f}\nstd = {std:.4f}\n'
        for pair, (mean, std) in priors.items()
    ]
    head, mark, tail = text.partition("[figures]")
    joined = head.rstrip() + "\n\n" + "\n".join(tables)
    card.write_text(joined + ("\n" + mark + tail if mark else ""), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", default="mini")
    parser.add_argument("--dry-run", action="store_true", help="measure, and write nothing")
    arguments = parser.parse_args()
    model, data = load_model(arguments.model), common.data_dir()
    bank = encode_queries(model.text, bank_questions())
    material = Material(model, data)
    priors = measure_priors(model, material, bank)
    answers = measure_answers(model, material)
    for pair, (mean, std) in priors.items():
        print(f"{pair:12} {mean:7.4f} +- {std:.4f}")
    print("answers", dict(zip(MODALITIES, np.round(answers, 3).tolist(), strict=True)))
    intent = fit_intent(model, data)
    if not arguments.dry_run:
        folder = MODELS / arguments.model
        write_priors(folder / "card.toml", priors)
        np.savez(
            folder / CALIBRATION,
            fingerprint=np.array(model.space.fingerprint),
            questions=bank.astype(np.float16),
            answers=np.array(answers, np.float32),
            intent=intent.astype(np.float16),
        )


if __name__ == "__main__":
    main()
