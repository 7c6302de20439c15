"""The development collection: things of everyday life as photos, notes and sounds.

Items come from ``things.txt`` (48 things with a photo, a note and a sound each) and from
the reference data (photos of Flickr8k's test split and of ImageNet, abstracts of SciFact
and Cranfield, captions of Flickr30k, sounds of ESC-10, UrbanSound8K and others). Vectors
are computed once with the model `mini` and kept in ``benchmarks/.cache``.

Things, photos, sounds and questions are divided into two halves. Develop with half 0;
look at half 1 once, at the end.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image

from common import Vectors, cranfield, data_folder, scifact
from trawl.encoders import Model, load_model
from trawl.types import Modality, Sound

CACHE = Path(__file__).resolve().parents[1] / ".cache"
THINGS = Path(__file__).with_name("things.txt")

FAR_OFF = Path(__file__).with_name("far_off.txt").read_text("utf-8").splitlines()
"""Questions that nothing in the collection answers: even lines for half 0, odd ones for 1."""

# Sounds of one kind under several labels.
_KINDS = {
    "dog": ("Dog bark", "dog bark", "dog barking"),
    "sea": ("Sea waves", "waves"),
    "clock": ("Clock tick",),
    "rain": (
        "Rain",
        "light rain",
        "heavy rain",
        "rain on leaves",
        "rain on window",
        "rain on car roof",
        "rain on tent",
        "rain on umbrella",
    ),
    "chain saw": ("Chainsaw",),
    "hen": ("chicken",),
    "rooster": ("Rooster",),
    "cow": ("cows",),
    "robin": ("bird", "birds"),
    "cat": ("cat purring",),
    "siren": ("ambulance siren",),
    "traffic": ("busy street", "road", "highway", "engine idling", "car horn"),
    "train": ("inside a train", "subway station"),
    "wind": ("howling wind", "wind in trees"),
    "crowd": ("crowded bar", "restaurant", "cafe", "supermarket", "children playing", "office"),
    "bowl": ("singing bowl", "temple"),
    "machine": ("washing machine", "dryer", "laundry room"),
    "water": ("river", "waterfall", "droplets", "bubbles", "boiling water", "underwater"),
    "fan": ("ceiling fan", "air conditioner"),
    "construction": ("construction site", "jackhammer", "drilling"),
    "fire": ("Fire crackling", "campfire"),
    "noise": (
        "white noise",
        "pink noise",
        "brown noise",
        "silence",
        "vinyl effect",
        "binaural theta",
        "binaural gamma",
        "binaural delta",
        "binaural beta",
        "binaural alpha",
    ),
}
_KIND_OF = {label: kind for kind, labels in _KINDS.items() for label in labels}


@dataclass(frozen=True)
class Item:
    """One document: a photo, a note or a sound.

    `kind` groups items that answer the same questions; `questions` are texts that it
    answers; `name` is its file name without suffix in a library with names.
    """

    modality: Modality
    kind: str
    text: str
    questions: tuple[str, ...]
    name: str
    path: Path | None = None
    thing: str = ""


@dataclass(frozen=True)
class Collection:
    """Items with their vectors, float32 [N, D], and vectors of questions by text."""

    items: list[Item]
    vectors: Vectors
    question_vectors: dict[str, Vectors]
    things: list[str]
    model: Model

    def vector_of(self, question: str) -> Vectors:
        """Return the vector of a text query, from the cache if it is there."""
        if question not in self.question_vectors:
            self.question_vectors[question] = self.model.text.encode([question])[0]
        return self.question_vectors[question]


def _things() -> Iterator[tuple[str, list[str], str, str, list[str], str]]:
    for block in THINGS.read_text("utf-8").split("\n\n")[1:]:
        head, note = block.strip().split("\n")
        name, photos, sound, *questions = (field.strip() for field in head.split("|"))
        folder, label = sound.split(": ")
        yield name, [p.strip() for p in photos.split(",")], folder, label, questions, note


def _labels(folder: str, column: str) -> list[tuple[Path, str, str]]:
    """Return (file, label, fold) of a folder of labelled photos or sounds."""
    root = data_folder(folder)
    with (root / "labels.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    files = {path.name: path for path in root.rglob("*.*")}
    return [(files[Path(r[column]).name], r["label"], r.get("fold", "")) for r in rows]


def _sounds() -> dict[tuple[str, str], list[Path]]:
    """Return sounds by (folder, label); of sets with folds, only the held-out fold."""
    found: dict[tuple[str, str], list[Path]] = {}
    held_out = {"esc10": "4", "urbansound8k_part": "fold2"}
    for folder in ("esc10", "urbansound8k_part", "animal_sounds", "ambient_sounds"):
        for path, label, fold in _labels(folder, "clip"):
            if fold == held_out.get(folder, ""):
                found.setdefault((folder, label), []).append(path)
    return found


def _all_items() -> Iterator[tuple[int, Item]]:
    """Yield (half, item)."""
    photos: dict[str, list[Path]] = {}
    for path, label, _ in _labels("imagenet_samples", "image"):
        photos.setdefault(label, []).append(path)
    sounds, used, used_labels = _sounds(), set[Path](), set[tuple[str, str]]()
    for number, (name, labels, folder, label, questions, note) in enumerate(_things()):
        half, thing = number % 2, name
        ask_photo, ask_sound, ask_note = questions
        for photo_label in labels:
            for path in photos[photo_label]:
                used.add(path)
                asked = (f"a photo of a {name}", ask_photo)
                yield half, Item("image", name, "", asked, photo_label, path, thing)
        clips = sounds[folder, label]
        used_labels.add((folder, label))
        for path in clips[:: max(1, len(clips) // 4)][:4]:
            asked = (f"the sound of a {name}", ask_sound)
            kind = _KIND_OF.get(label, name)
            yield half, Item("audio", kind, "", asked, name, path, thing)
        yield half, Item("text", name, note, (ask_note,), name, None, thing)
    for (folder, label), paths in sorted(sounds.items()):
        for number, path in enumerate(paths[: 8 if folder == "ambient_sounds" else 12]):
            if (folder, label) not in used_labels:
                spoken = label.lower()
                kind = _KIND_OF.get(label, spoken)
                asked = (f"the sound of {spoken}", spoken)
                yield number % 2, Item("audio", kind, "", asked, spoken, path)
    others = [(label, p) for label, ps in photos.items() for p in ps if p not in used]
    for number, (label, path) in enumerate(others[::4]):
        yield number % 2, Item("image", label, "", (f"a photo of a {label}",), label, path)
    yield from _flickr()
    yield from _abstracts()
    with gzip.open(data_folder("captions_text") / "flickr30k_not_in_flickr8k.tsv.gz", "rt") as file:
        for number, line in enumerate(file):
            if number >= 120 * 40:
                break
            if number % 40 == 0:
                five = line.strip().split("\t")
                yield number // 40 % 2, Item("text", f"caption {number}", five[0], (), "caption")


def _flickr() -> Iterator[tuple[int, Item]]:
    folder = data_folder("flickr8k")
    captions: dict[str, list[str]] = {}
    with (folder / "captions.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["split"] == "test":
                captions.setdefault(row["image"], []).append(row["caption"])
    for number, (name, five) in enumerate(sorted(captions.items())[::2]):
        asked = tuple(five[:2])
        yield number % 2, Item("image", name, "", asked, "photo", folder / "images" / name)


def _abstracts() -> Iterator[tuple[int, Item]]:
    for load, count in ((scifact, 120), (cranfield, 60)):
        collection = load()
        asked: dict[int, list[str]] = {}
        for query, gains in collection.judgements.items():
            # A question with one answer; others would need all of them in the library.
            if len(gains) == 1 or load is cranfield:
                asked.setdefault(min(gains), []).append(collection.queries[query])
        for number, (row, questions) in enumerate(sorted(asked.items())[:count]):
            text = collection.documents[row]
            if text.strip():
                kind = f"{load.__name__} {row}"
                yield number % 2, Item("text", kind, text, tuple(questions[:1]), "paper")


def load_collection(half: int, model: str = "mini") -> Collection:
    """Load one half of the collection, computing its vectors if they are not cached."""
    loaded = load_model(model)
    items = [item for which, item in _all_items() if which == half]
    things = [name for number, (name, *_) in enumerate(_things()) if number % 2 == half]
    questions = sorted({q for item in items for q in item.questions})
    key = hashlib.sha256(
        json.dumps(
            [loaded.space.fingerprint, [(str(i.path), i.text) for i in items], questions]
        ).encode()
    ).hexdigest()[:16]
    path = CACHE / f"everyday-{half}-{key}.npz"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        np.savez(
            path,
            vectors=np.stack([_encode(loaded, item) for item in items]),
            questions=loaded.text.encode(questions),
        )
    stored = np.load(path)
    known = dict(zip(questions, stored["questions"], strict=True))
    return Collection(items, stored["vectors"], known, things, loaded)


def _encode(model: Model, item: Item) -> Vectors:
    if item.path is None:
        return np.asarray(model.text.encode([item.text])[0])
    if item.modality == "image":
        with Image.open(item.path) as image:
            return np.asarray(model.encoders["image"].encode([image.convert("RGB")])[0])
    samples, rate = soundfile.read(item.path, dtype="float32", always_2d=True)
    return np.asarray(model.encoders["audio"].encode([Sound(samples.mean(1), rate)])[0])


def renamed(items: Sequence[Item]) -> list[Item]:
    """Return the items with camera-like file names that say nothing."""
    return [replace(item, name=f"IMG_{4000 + i}") for i, item in enumerate(items)]
