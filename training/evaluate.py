"""Step 5: measure the exported files, through the package's own code, on the held-out data.

    python evaluate.py [--json figures.json] [--write-card]

Needs the package, not PyTorch. `tests/quality/test_mini_card.py` calls `measure_all` too.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import io
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from PIL import Image

import common
import retrieval
from trawl.encoders import Model, load_model
from trawl.types import Sound

TARGETS: dict[str, tuple[float, float]] = {  # target, floor: those of the issue
    "flickr8k_text_to_image_r10": (0.50, 0.35),
    "openstax_alt_to_figure_r10": (0.45, 0.25),
    "figures_kind_top1_of_21": (0.90, 0.80),
    "scifact_ndcg10": (0.57, 0.52),
    "scifact_hybrid_ndcg10": (0.705, 0.69),
    "stsb_test_spearman": (0.79, 0.74),
    "esc10_fold4_caption_top1": (0.80, 0.65),
    "esc10_fold4_nearest_neighbour": (0.90, 0.80),
    "urbansound8k_fold2_caption_top1": (0.60, 0.45),
}
LIMITS: dict[str, tuple[float, float]] = {  # the same for what must be small
    "text_query_ms": (0.3, 1.0),
    "image_ms": (8.0, 15.0),
    "sound_10s_ms": (20.0, 50.0),
    "load_s": (0.15, 0.4),
    "load_mb": (80.0, 150.0),
}


def measure_text(model: Model, data: Path) -> dict[str, float]:
    """STS-B test; SciFact by vectors alone and together with BM25."""
    scores, first, second = retrieval.read_stsb(data, "test")
    cosines = (model.text.encode(first) * model.text.encode(second)).sum(1)
    scifact = retrieval.read_scifact(data)
    dense = model.text.encode(scifact.queries) @ model.text.encode(scifact.documents).T
    lexical = retrieval.bm25(scifact.documents, scifact.queries)
    joint = retrieval.standardised_sum(dense, lexical)
    return {
        "stsb_test_spearman": retrieval.spearman(cosines, scores),
        "scifact_ndcg10": retrieval.ndcg_at_10(dense, scifact.relevant),
        "scifact_bm25_ndcg10": retrieval.ndcg_at_10(lexical, scifact.relevant),
        "scifact_hybrid_ndcg10": retrieval.ndcg_at_10(joint, scifact.relevant),
    }


def _recall_at_10(queries: np.ndarray, answers: np.ndarray, right: Sequence[int]) -> float:
    """Share of queries `[Q, D]` whose right row of `answers` `[N, D]` is among the best ten."""
    scores = queries @ answers.T
    own = scores[np.arange(len(right)), list(right)]
    return float(((scores > own[:, None]).sum(1) < 10).mean())


def encode_images(model: Model, paths: Sequence[Path]) -> np.ndarray:
    rows = []
    for path in paths:
        with Image.open(path) as image:
            rows.append(model.encoders["image"].encode([image.convert("RGB")])[0])
    return np.stack(rows)


def _flickr8k_test(data: Path) -> tuple[list[str], dict[str, list[str]]]:
    """The test photographs' names in order, and the captions of each."""
    said: dict[str, list[str]] = {}
    with (data / "flickr8k" / "captions.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["split"] == "test":
                said.setdefault(row["image"], []).append(row["caption"])
    return sorted(said), said


def measure_images(model: Model, data: Path) -> dict[str, float]:
    """Words to photographs and alt texts to figures: recall among the best ten."""
    names, said = _flickr8k_test(data)
    photos = encode_images(model, [data / "flickr8k" / "images" / n for n in names])
    captions = model.text.encode([caption for name in names for caption in said[name]])
    owner = [i for i, name in enumerate(names) for _ in said[name]]
    lines = (data / "openstax_figures" / "figures.jsonl").read_text("utf-8").splitlines()
    figures = [f for f in map(json.loads, lines) if f["split"] == "test"]
    drawn = encode_images(
        model, [data / "openstax_figures" / "images" / f["image"] for f in figures]
    )
    alts = model.text.encode([f["alt"] for f in figures])
    return {
        "flickr8k_text_to_image_r10": _recall_at_10(captions, photos, owner),
        "openstax_alt_to_figure_r10": _recall_at_10(alts, drawn, range(len(figures))),
    }


NOUNS = (
    *("dog", "horse", "bird", "bicycle", "motorcycle", "car", "boat", "ball", "baby", "snow"),
    *("beach", "water", "mountain", "street", "skateboard", "football", "swing", "bench", "tree"),
)


def measure_names(model: Model, data: Path) -> dict[str, float]:
    """A bare noun to its photographs; a bare class name to a held-out picture of the class.

    `photo_noun_precision10`: share of the ten best of Flickr8k's test photographs that two of
    their captions name with the noun, mean over `NOUNS` that name ten photographs or more.
    `object_name_first`: share of mini-ImageNet's 100 class names whose best picture is of that
    class, among the held-out pictures of all classes and Flickr8k's test photographs.
    """
    import image_data
    import image_names

    names, said = _flickr8k_test(data)
    photos = encode_images(model, [data / "flickr8k" / "images" / n for n in names])
    precisions = []
    for noun in NOUNS:
        word = re.compile(rf"\b{noun}s?\b", re.IGNORECASE)
        right = np.array([sum(bool(word.search(c)) for c in said[n]) >= 2 for n in names])
        if right.sum() >= 10:
            best = np.argsort(-(photos @ model.text.encode([noun])[0]))[:10]
            precisions.append(float(right[best].mean()))
    held = [
        item
        for item in image_data.items(data)
        if item.dataset == "mini_imagenet" and item.split == "validation"
    ]
    pictures = np.concatenate([model.encoders["image"].encode([i.decode()]) for i in held])
    classes, labels = image_data.class_names(data), [item.label for item in held]
    asked = sorted(set(labels))
    queries = model.text.encode([image_names.synonyms(classes[label])[0] for label in asked])
    best = (queries @ np.concatenate([pictures, photos]).T).argmax(1)
    hits = [b < len(held) and labels[b] == label for b, label in zip(best, asked, strict=True)]
    return {
        "photo_noun_precision10": float(np.mean(precisions)),
        "object_name_first": float(np.mean(hits)),
    }


def read_sound(path: Path) -> Sound:
    """A whole file, mixed to mono."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return Sound(samples.mean(1), rate)


def labelled_sounds(model: Model, folder: Path, fold: str) -> tuple[np.ndarray, list[str]]:
    with (folder / "labels.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["fold"] == fold]
    vectors = [model.encoders["audio"].encode([read_sound(folder / r["clip"])])[0] for r in rows]
    return np.stack(vectors), [row["label"] for row in rows]


def _caption_top1(model: Model, sounds: np.ndarray, labels: Sequence[str]) -> float:
    """Share of sounds whose nearest of the captions "the sound of LABEL" is their own."""
    names = sorted(set(labels))
    captions = model.text.encode([f"the sound of {name.lower()}" for name in names])
    best = (sounds @ captions.T).argmax(1)
    return float(np.mean([names[b] == label for b, label in zip(best, labels, strict=True)]))


def measure_sounds(model: Model, data: Path) -> dict[str, float]:
    """Captions to sounds; a sound's nearest other sound of the same held-out fold."""
    esc, esc_labels = labelled_sounds(model, data / "esc10", "4")
    street, street_labels = labelled_sounds(model, data / "urbansound8k_part", "fold2")
    alike = esc @ esc.T
    np.fill_diagonal(alike, -2.0)
    nearest = [esc_labels[i] == label for i, label in zip(alike.argmax(1), esc_labels, strict=True)]
    return {
        "esc10_fold4_caption_top1": _caption_top1(model, esc, esc_labels),
        "esc10_fold4_nearest_neighbour": float(np.mean(nearest)),
        "urbansound8k_fold2_caption_top1": _caption_top1(model, street, street_labels),
    }


def _best_ms(call: Callable[[], Any], times: int) -> float:
    """Processor time of all threads together, the tenth percentile of `times` calls.

    Processor time, because one core's work is asked for, whatever else the machine does.
    """
    spent = []
    for _ in range(times):
        began = time.process_time()
        call()
        spent.append(time.process_time() - began)
    return float(np.quantile(spent, 0.1) * 1000)


_LOADING = """
import resource, time
import numpy
from PIL import Image
import tokenizers
def size():
    return int(open('/proc/self/statm').read().split()[1]) * resource.getpagesize() / 2**20
from trawl.types import Sound
before, began = size(), time.process_time()
from trawl.encoders import load_model
model = load_model('mini')
model.text.encode(['a muon'])
if 'image' in model.encoders: model.encoders['image'].encode([Image.new('RGB', (128, 128))])
sound = Sound(numpy.zeros(16000, 'f'), 16000)
if 'audio' in model.encoders: model.encoders['audio'].encode([sound])
print(time.process_time() - began, size() - before)
"""


def measure_costs(model: Model) -> dict[str, float]:
    """Milliseconds of one core for one item of each kind; seconds and MB of loading all towers.

    Loading starts after numpy, Pillow and the tokenizer are imported, and ends when each tower has
    given its first vector.
    """
    rng = np.random.default_rng(0)
    query = "a muon decay signature in the tracker"
    found = {"text_query_ms": _best_ms(lambda: model.text.encode([query]), 2000)}
    if "image" in model.encoders:
        buffer = io.BytesIO()
        Image.fromarray(rng.integers(0, 255, (224, 224, 3), dtype=np.uint8)).save(buffer, "jpeg")
        found["image_ms"] = _best_ms(
            lambda: model.encoders["image"].encode([Image.open(buffer).convert("RGB")]), 60
        )
    if "audio" in model.encoders:
        sound = Sound(rng.normal(0, 0.1, 160_000).astype(np.float32), 16_000)
        found["sound_10s_ms"] = _best_ms(lambda: model.encoders["audio"].encode([sound]), 40)
    runs = [
        subprocess.run([sys.executable, "-c", _LOADING], capture_output=True, text=True, check=True)
        for _ in range(3)
    ]
    loads = [tuple(map(float, run.stdout.split())) for run in runs]
    found["load_s"], found["load_mb"] = min(s for s, _ in loads), min(mb for _, mb in loads)
    return found


def measure_figures(model: Model, data: Path) -> dict[str, float]:
    """Kinds of plot in styles never trained on; nothing where they cannot be drawn."""
    del data  # they are generated
    missing = [name for name in ("matplotlib", "scipy") if importlib.util.find_spec(name) is None]
    if missing:
        print(f"generated figures are left out: no {' and no '.join(missing)} here")
        return {}
    import figure_test

    return dict(figure_test.measure(model))


def measure_all(model: Model, data: Path, costs: bool = True) -> dict[str, float]:
    """Every figure that the towers at hand can be measured for."""
    found = measure_text(model, data)
    if "image" in model.encoders:
        found |= measure_images(model, data) | measure_names(model, data)
        found |= measure_figures(model, data)
    if "audio" in model.encoders:
        found |= measure_sounds(model, data)
    if costs:
        found |= measure_costs(model)
    return found


def print_table(found: dict[str, float]) -> None:
    """One line a figure, with its target and floor and whether it holds."""
    for name, value in found.items():
        target, floor = TARGETS.get(name) or LIMITS.get(name) or (float("nan"),) * 2
        better = (lambda a, b: a <= b) if name in LIMITS else (lambda a, b: a >= b)
        verdict = (
            ""
            if target != target
            else (
                "target" if better(value, target) else "floor" if better(value, floor) else "BELOW"
            )
        )
        print(f"{name:36} {value:8.3f}  target {target:<6} floor {floor:<6} {verdict}")


def main() -> None:
    """Measure, print, and keep the figures where they are wanted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--write-card", action="store_true", help="write the figures into the card")
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    model, data = load_model("mini"), common.data_dir()
    found = measure_all(model, data)
    print_table(found)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if arguments.write_card:
        import export

        figures = {name: round(value, 3) for name, value in found.items()}
        export.write_card(common.MODEL_DIR, figures)


if __name__ == "__main__":
    main()
