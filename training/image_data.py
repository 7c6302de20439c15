"""The pictures that the image tower learns from: listed, packed small, and read again.

``prepare`` squashes every reference picture with the package's own preprocessing, packs it as WebP
and writes what is known of it beside it, under ``CACHE/image/``. Training needs that folder alone,
which is small enough to be carried to another machine. Test splits are never packed.
"""

import csv
import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import image_names

VIEW_PX = 128
"""Side of the packed pictures; what is smaller stays as it is until it is read."""

FIGURES = ("figures", "mpl")
"""The shards of generated figures that may be trained on."""

_QUALITY = 72
_SHARD_ITEMS = 4096
_VALIDATION_SHARE = {"mini_imagenet": 1 / 8}
_USUAL_SHARE = 1 / 16
"""Share of a set kept from the weights, to choose and to stop by."""


@dataclass(frozen=True)
class Item:
    """A picture and what is said of it.

    ``label`` is its class in ImageNet or -1. ``member`` is its place in a tar file, if in one.
    """

    dataset: str
    path: str
    captions: tuple[str, ...]
    split: str
    label: int = -1
    member: str = ""

    def decode(self) -> Image.Image:
        """Return the picture, RGB."""
        from trawl.encoders.images import as_rgb

        if not self.member:
            with Image.open(self.path) as image:
                return as_rgb(image).copy()
        return as_rgb(Image.open(io.BytesIO(_tar_bytes(self.path)[self.member])))


_TARS: dict[str, dict[str, bytes]] = {}


def _tar_bytes(path: str) -> dict[str, bytes]:
    if path not in _TARS:
        with tarfile.open(path) as tar:
            members = [(m.name, tar.extractfile(m)) for m in tar.getmembers() if m.isfile()]
            _TARS[path] = {name: file.read() for name, file in members if file}
    return _TARS[path]


def _split(dataset: str, name: str) -> str:
    """Put a fixed, name-hashed share of a train split aside for validation."""
    first = int.from_bytes(hashlib.sha256(f"{dataset}/{name}".encode()).digest()[:4], "big")
    share = _VALIDATION_SHARE.get(dataset, _USUAL_SHARE)
    return "validation" if first / 2**32 < share else "train"


def _flickr8k(folder: Path) -> Iterator[Item]:
    captions: dict[tuple[str, str], list[str]] = {}
    with (folder / "captions.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            captions.setdefault((row["image"], row["split"]), []).append(row["caption"])
    for (name, split), said in captions.items():
        if split == "train":
            place = str(folder / "images" / name)
            yield Item("flickr8k", place, tuple(said), _split("flickr8k", name))


def _openstax(folder: Path) -> Iterator[Item]:
    with (folder / "figures.jsonl").open() as file:
        for row in map(json.loads, file):
            if row["split"] != "train":
                continue
            said = tuple(s for s in (row["alt"], row["caption"]) if s.strip())
            place = str(folder / "images" / row["image"])
            yield Item("openstax_figures", place, said, _split("openstax", row["image"]))


def class_names(data: Path) -> list[str]:
    """Return the synonyms of ImageNet's 1,000 classes, in the order of the teachers' answers."""
    return (data / "mobilenet" / "imagenet_labels.txt").read_text().splitlines()[1:]


def _classes(data: Path) -> dict[str, int]:
    """Return each class's number by its name in WordNet ("n01440764")."""
    with (data / "imagenet_samples" / "labels.csv").open(newline="") as file:
        keys = sorted(row["image"].split("_")[0] for row in csv.DictReader(file))
    return {key: number for number, key in enumerate(keys)}


def _objects(data: Path) -> Iterator[Item]:
    """List the pictures of single things: one a class, and the two sets in tar files."""
    names, number = class_names(data), _classes(data)
    said = [tuple(image_names.phrases(i, name)) for i, name in enumerate(names)]
    for path in sorted((data / "imagenet_samples").glob("*.jpg")):
        label = number[path.name.split("_")[0]]
        yield Item("imagenet_samples", str(path), said[label], "train", label)
    for dataset in ("mini_imagenet", "tiny_imagenet"):
        archive = str(data / dataset / "images.tar")
        for member in sorted(_tar_bytes(archive)):
            label = number[member.split("/")[0]]
            split = _split(dataset, member)
            yield Item(dataset, archive, said[label], split, label, member)


def items(data: Path) -> list[Item]:
    """List the reference pictures below ``data``, in an order that does not change."""
    return [
        *_flickr8k(data / "flickr8k"),
        *_openstax(data / "openstax_figures"),
        *_objects(data),
    ]


def pack(images: Iterable[Image.Image]) -> dict[str, NDArray[np.generic]]:
    """Return pictures as joined WebP files: ``data`` uint8, ``ends`` of each file int64."""
    from trawl.encoders.images import squash

    files = []
    for image in images:
        side = min(VIEW_PX, max(image.size))
        buffer = io.BytesIO()
        Image.fromarray(squash(image, side)).save(buffer, "WEBP", quality=_QUALITY)
        files.append(buffer.getvalue())
    return {
        "data": np.frombuffer(b"".join(files), np.uint8),
        "ends": np.cumsum([len(file) for file in files], dtype=np.int64),
    }


def write_arrays(path: Path, **arrays: NDArray[np.generic]) -> None:
    """Write an .npz whole or not at all."""
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    part.replace(path)


def prepare(data: Path, cache: Path) -> None:
    """Write ``items.json.gz``, ``classes.json`` and the shards of pictures that are missing."""
    folder = cache / "image"
    folder.mkdir(parents=True, exist_ok=True)
    listed = items(data)
    known = json.dumps([{**asdict(i), "path": ""} for i in listed])
    (folder / "items.json.gz").write_bytes(gzip.compress(known.encode(), mtime=0))
    (folder / "classes.json").write_text(json.dumps(class_names(data)))
    for shard, start in enumerate(range(0, len(listed), _SHARD_ITEMS)):
        out = folder / f"pictures_{shard:03d}.npz"
        if not out.exists():
            part = listed[start : start + _SHARD_ITEMS]
            write_arrays(out, **pack(item.decode() for item in part))
            print(f"{out.stem}: {len(part)}", flush=True)


def read_items(cache: Path) -> tuple[list[Item], list[str]]:
    """Return the items that were packed, and the class names."""
    folder = cache / "image"
    rows = json.loads(gzip.decompress((folder / "items.json.gz").read_bytes()))
    listed = [Item(**{**row, "captions": tuple(row["captions"])}) for row in rows]
    return listed, json.loads((folder / "classes.json").read_text())


def _unpack(file: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(file)) as image:
        whole = image.convert("RGB")
        if whole.size != (VIEW_PX, VIEW_PX):
            whole = whole.resize((VIEW_PX, VIEW_PX), Image.Resampling.BICUBIC)
        return np.asarray(whole, dtype=np.uint8)


def read_pictures(paths: Sequence[Path]) -> NDArray[np.uint8]:
    """Decode packed pictures, uint8 ``[N, 128, 128, 3]``, in the order of the shards."""
    files: list[bytes] = []
    for path in paths:
        with np.load(path) as shard:
            data, ends = shard["data"].tobytes(), shard["ends"].tolist()
        files += [data[a:b] for a, b in zip([0, *ends[:-1]], ends, strict=True)]
    out = np.empty((len(files), VIEW_PX, VIEW_PX, 3), np.uint8)
    with ThreadPoolExecutor() as pool:
        for row, picture in enumerate(pool.map(_unpack, files, chunksize=64)):
            out[row] = picture
    return out


def load(cache: Path) -> NDArray[np.uint8]:
    """Decode the reference pictures, in the order of ``read_items``."""
    paths = sorted((cache / "image").glob("pictures_*.npz"))
    if not paths:
        raise FileNotFoundError(f"no pictures in {cache / 'image'}: run prepare.py --tower image")
    return read_pictures(paths)


def figure_shards(cache: Path, *names: str) -> tuple[NDArray[np.uint8], list[str], list[str]]:
    """Read generated figures: pictures, kinds, captions."""
    paths = [p for n in names for p in sorted((cache / "image").glob(f"{n}_[0-9]*.npz"))]
    kinds: list[str] = []
    captions: list[str] = []
    for path in paths:
        with np.load(path) as shard:
            kinds += [str(k) for k in shard["kind"]]
            captions += [str(c) for c in shard["caption"]]
    return read_pictures(paths), kinds, captions
