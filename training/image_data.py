"""The pictures that the image tower learns from, and what its teacher says of them.

``items`` lists the reference pictures with their captions; ``prepare`` cuts each into a few views
(the whole picture first, then random crops), squashes them with the package's own preprocessing and
runs the teacher, MobileNetV2, over every view. A view and its feature stay together: the student
is always told what the teacher saw in exactly those pixels (Beyer et al. 2022, "Knowledge
distillation: a good teacher is patient and consistent").

Everything is written in shards under ``CACHE/image/``, so that a killed run goes on where it was
and several processes can share the work.
"""

import csv
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trawl.encoders import images as pixels

VIEW_PX = 112
TEACHER_PX = 224
TEACHER_DIM = 1280
_TEACHER_TENSOR = 172
_TEACHER_SCALE, _TEACHER_ZERO = 0.0190778, 128
_SHARD_ITEMS = 512
_VALIDATION_SHARE = 1 / 16
"""Share of the captioned train splits kept from the weights, to choose and to stop by."""

VIEWS = {
    "flickr8k": 6,
    "openstax_figures": 4,
    "imagenet_samples": 5,
    "mini_imagenet": 3,
    "tiny_imagenet": 3,
}
"""Views of a picture: more where pictures are large and captions good."""


@dataclass(frozen=True)
class Item:
    """A picture and what is said of it; ``member`` is its place in a tar file, if in one."""

    dataset: str
    path: Path
    captions: tuple[str, ...]
    split: str
    member: str = ""

    def decode(self) -> Image.Image:
        """Return the picture, RGB."""
        if not self.member:
            with Image.open(self.path) as image:
                return pixels.as_rgb(image).copy()
        return pixels.as_rgb(Image.open(io.BytesIO(_tar_bytes(self.path)[self.member])))


_TARS: dict[Path, dict[str, bytes]] = {}


def _tar_bytes(path: Path) -> dict[str, bytes]:
    if path not in _TARS:
        with tarfile.open(path) as tar:
            members = [(m.name, tar.extractfile(m)) for m in tar.getmembers() if m.isfile()]
            _TARS[path] = {name: file.read() for name, file in members if file}
    return _TARS[path]


def _split(dataset: str, name: str) -> str:
    """Put a fixed, name-hashed share of a train split aside for validation."""
    first = int.from_bytes(hashlib.sha256(f"{dataset}/{name}".encode()).digest()[:4], "big")
    return "validation" if first / 2**32 < _VALIDATION_SHARE else "train"


def class_captions(name: str) -> tuple[str, ...]:
    """Return captions of a class whose name lists synonyms, as ImageNet's do."""
    synonyms = [part.strip() for part in name.replace("_", " ").split(",") if part.strip()]
    return (f"a photo of a {synonyms[0]}", *synonyms)


def _flickr8k(folder: Path) -> Iterator[Item]:
    captions: dict[tuple[str, str], list[str]] = {}
    with (folder / "captions.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            captions.setdefault((row["image"], row["split"]), []).append(row["caption"])
    for (name, split), said in captions.items():
        split = _split("flickr8k", name) if split == "train" else split
        yield Item("flickr8k", folder / "images" / name, tuple(said), split)


def _openstax(folder: Path) -> Iterator[Item]:
    with (folder / "figures.jsonl").open() as file:
        for line in file:
            row = json.loads(line)
            split = row["split"]
            split = _split("openstax", row["image"]) if split == "train" else split
            said = (row["alt"],) if split == "test" else (row["alt"], row["caption"])
            path = folder / "images" / row["image"]
            yield Item("openstax_figures", path, tuple(s for s in said if s.strip()), split)


def _imagenet_samples(folder: Path) -> Iterator[Item]:
    with (folder / "labels.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            captions = class_captions(row["label"])
            yield Item("imagenet_samples", folder / row["image"], captions, "train")


def _tar_set(folder: Path) -> Iterator[Item]:
    lines = (folder / "class_names.tsv").read_text().splitlines()
    names = dict(line.split("\t", 1) for line in lines if "\t" in line)
    archive = folder / "images.tar"
    for member in sorted(_tar_bytes(archive)):
        captions = class_captions(names[member.split("/")[0]])
        yield Item(folder.name, archive, captions, "train", member)


def items(data: Path) -> list[Item]:
    """List the reference pictures below ``data``, in an order that does not change."""
    listed = [
        *_flickr8k(data / "flickr8k"),
        *_openstax(data / "openstax_figures"),
        *_imagenet_samples(data / "imagenet_samples"),
        *_tar_set(data / "mini_imagenet"),
        *_tar_set(data / "tiny_imagenet"),
    ]
    order = np.random.default_rng(0).permutation(len(listed))
    return [listed[i] for i in order]


class Teacher:
    """MobileNetV2's pooled feature: pictures to float32 ``[N, 1280]``, zero and above."""

    def __init__(self, model: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._net = Interpreter(str(model), experimental_preserve_all_tensors=True, num_threads=1)
        self._net.allocate_tensors()
        self._input = self._net.get_input_details()[0]["index"]

    def __call__(self, views: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Take uint8 ``[N, 224, 224, 3]``; one picture at a time, as the file allows."""
        features = np.empty((len(views), TEACHER_DIM), dtype=np.float32)
        for row, view in enumerate(views):
            self._net.set_tensor(self._input, view[None])
            self._net.invoke()
            raw = self._net.get_tensor(_TEACHER_TENSOR).reshape(-1).astype(np.float32)
            features[row] = (raw + _TEACHER_ZERO) * _TEACHER_SCALE
        return features


def _boxes(image: Image.Image, count: int, least_area: float, seed: int) -> list[pixels.Box]:
    """Return the whole picture and ``count - 1`` random boxes of at least that share of it."""
    width, height = image.size
    rng = np.random.default_rng(seed)
    boxes: list[pixels.Box] = [(0.0, 0.0, float(width), float(height))]
    for _ in range(count - 1):
        area = rng.uniform(least_area, 1.0)
        aspect = np.exp(rng.uniform(-0.25, 0.25))
        w, h = min(1.0, np.sqrt(area * aspect)), min(1.0, np.sqrt(area / aspect))
        x, y = rng.uniform(0, 1 - w), rng.uniform(0, 1 - h)
        boxes.append((x * width, y * height, (x + w) * width, (y + h) * height))
    return boxes


def _views(item: Item, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Cut an item into views: uint8 ``[V, 112, 112, 3]`` and the teacher's ``[V, 224, 224, 3]``.

    Every second view of a photograph is mirrored; figures are not, for their letters' sake.
    """
    image = item.decode()
    figure = item.dataset == "openstax_figures"
    count = VIEWS[item.dataset] if item.split == "train" else 1
    boxes = _boxes(image, count, 0.55 if figure else 0.35, seed)
    small = np.stack([pixels.squash(image, VIEW_PX, box) for box in boxes])
    large = np.stack([pixels.squash(image, TEACHER_PX, box) for box in boxes])
    if not figure:
        small[1::2], large[1::2] = small[1::2, :, ::-1], large[1::2, :, ::-1]
    return small, large


def prepare(data: Path, cache: Path, worker: int = 0, workers: int = 1) -> None:
    """Write the shards that are still missing; worker ``w`` of ``n`` takes every n-th one."""
    folder = cache / "image"
    folder.mkdir(parents=True, exist_ok=True)
    listed = items(data)
    teacher = Teacher(data / "mobilenet" / "tf2_mobilenet_v2_1.0_224_ptq.tflite")
    for shard, start in enumerate(range(0, len(listed), _SHARD_ITEMS)):
        out = folder / f"views_{shard:03d}.npz"
        if shard % workers != worker or out.exists():
            continue
        seen: list[NDArray[np.uint8]] = []
        features: list[NDArray[np.float16]] = []
        owners: list[int] = []
        for index in range(start, min(start + _SHARD_ITEMS, len(listed))):
            small, large = _views(listed[index], seed=index)
            seen.append(small)
            features.append(teacher(large).astype(np.float16))
            owners += [index] * len(small)
        part = out.with_suffix(f".{os.getpid()}.part")
        with part.open("wb") as file:
            np.savez(
                file,
                pixels=np.concatenate(seen),
                teacher=np.concatenate(features),
                item=np.array(owners, dtype=np.int32),
            )
        part.replace(out)
        print(f"image shard {shard}: {len(owners)} views", flush=True)


def load(
    cache: Path, only_rows: bool = False
) -> tuple[NDArray[np.uint8], NDArray[np.float16], NDArray[np.int32]]:
    """Read all shards: pixels ``[M, 112, 112, 3]``, features ``[M, 1280]``, item of each view.

    ``only_rows`` leaves pixels and features empty. Pixels are filled in place, shard by shard:
    they are gigabytes.
    """
    paths = sorted((cache / "image").glob("views_*.npz"))
    if not paths:
        raise FileNotFoundError(f"no shards in {cache / 'image'}: run prepare.py --tower image")
    owners = [np.load(path)["item"] for path in paths]
    total = 0 if only_rows else sum(len(part) for part in owners)
    seen = np.empty((total, VIEW_PX, VIEW_PX, 3), dtype=np.uint8)
    features = np.empty((total, TEACHER_DIM), dtype=np.float16)
    start = 0
    for path in [] if only_rows else paths:
        with np.load(path) as shard:
            stop = start + len(shard["item"])
            seen[start:stop], features[start:stop] = shard["pixels"], shard["teacher"]
            start = stop
    return seen, features, np.concatenate(owners)
