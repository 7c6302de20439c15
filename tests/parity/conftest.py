"""Checkpoints of every family, and the media to try them on."""

from __future__ import annotations

import csv
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

from trawl.encoders import Model, load_model
from trawl.readers import media_type_of, read
from trawl.types import Picture, Sound

_EXIF_ORIENTATION = 0x0112


@dataclass
class Case:
    """One checkpoint, exported to ONNX, and run as it is by transformers.

    `references` keeps what the reference implementation gave, by modality.
    """

    family: str
    checkpoint: Path
    onnx: Model
    torch: Model
    references: dict[str, Any] = field(default_factory=dict)


_WITHOUT_TORCH = """
import sys
for name in ("torch", "transformers", "onnx"):
    sys.modules[name] = None  # importing it raises ImportError
from trawl import Library
profile, media, place = sys.argv[1:]
with Library(place, create=True, profile=profile) as library:
    report = library.add(media)
    assert not report.failed, report.failed
    found = library.search("muon decay"), library.search(image=f"{media}/red.png")
    sources = {one.source for each in found for hit in each.hits for one in hit.evidence}
    print(report.added, *sorted(sources))
"""


def without_torch(profile: str, media: Path, place: Path) -> str:
    """Add files and search in a process that cannot import torch; return what it prints."""
    command = [sys.executable, "-c", _WITHOUT_TORCH, profile, str(media), str(place)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def _make(family: str, folder: Path, reference_data: Path) -> Path:
    from . import small

    if family == "siglip":
        pytest.importorskip("sentencepiece", reason="no sentencepiece: `make parity` installs it")
        return small.siglip(folder)
    vocabulary = reference_data / "clip_tokenizer" / "tokenizer.json"
    makers: dict[str, Callable[[], Path]] = {
        "clip": lambda: small.clip(folder, vocabulary),
        "clip-full": lambda: small.clip(folder, vocabulary, full=True),
        "metaclip2": lambda: small.metaclip2(folder),
        "siglip2": lambda: small.siglip2(folder),
        "clap": lambda: small.clap(folder),
        "bert-cls": lambda: small.bert(folder, "cls"),
        "bert-mean": lambda: small.bert(folder, "mean"),
    }
    return makers[family]()


@pytest.fixture(scope="session")
def case_of(
    tmp_path_factory: pytest.TempPathFactory, reference_data: Path
) -> Callable[[str], Case]:
    from trawl.encoders.export import export

    made: dict[str, Case] = {}

    def get(family: str) -> Case:
        if family not in made:
            folder = tmp_path_factory.mktemp(family)
            checkpoint = _make(family, folder / "checkpoint", reference_data)
            export(checkpoint, folder / "onnx")
            # What transformers wrote may lack a tokenizer.json; the exporter's is the same one.
            if not (checkpoint / "tokenizer.json").is_file():
                shutil.copy(folder / "onnx" / "tokenizer.json", checkpoint)
            made[family] = Case(
                family, checkpoint, load_model(str(folder / "onnx")), load_model(str(checkpoint))
            )
        return made[family]

    return get


@pytest.fixture(scope="session")
def photos(reference_data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Image.Image]:
    """50 real pictures of odd sizes, grey, with alpha, and turned by EXIF, as readers give them."""
    folders = ["flickr8k", "imagenet_samples", "openstax_figures", "cern_opendata"]
    rng = random.Random(5)
    paths: list[Path] = []
    for folder in folders:
        found = sorted(
            path
            for path in (reference_data / folder).rglob("*")
            if path.suffix.lower() in (".jpg", ".jpeg", ".png")
        )
        paths += rng.sample(found, 13)
    written = tmp_path_factory.mktemp("photos")
    images = []
    for index, path in enumerate(paths[:50]):
        images.append(_picture(_variant(index, path, written)))
    assert len({image.size for image in images}) > 15
    return images


def _variant(index: int, path: Path, folder: Path) -> Path:
    image = Image.open(path).convert("RGB")
    kind = index % 5
    if kind == 0:
        target = folder / f"{index}.png"
        image.convert("L").save(target)
        return target
    if kind == 1:
        target = folder / f"{index}.png"
        alpha = Image.linear_gradient("L").resize(image.size)
        image.putalpha(alpha)
        image.save(target)
        return target
    if kind == 2:
        target = folder / f"{index}.jpg"
        exif = Image.Exif()
        exif[_EXIF_ORIENTATION] = 6
        image.resize((image.width * 2 + 1, image.height + 7)).save(target, exif=exif)
        return target
    return path


def _picture(path: Path) -> Image.Image:
    kind = media_type_of(path)
    assert kind is not None
    for part in read(path, kind, max_pixels=10**8).parts:
        if isinstance(part, Picture):
            return part.image
    raise AssertionError(f"{path} holds no picture")


@pytest.fixture(scope="session")
def captions(reference_data: Path) -> list[str]:
    with (reference_data / "flickr8k" / "captions.csv").open(encoding="utf-8") as file:
        rows = [row["caption"] for row in csv.DictReader(file)]
    chosen = random.Random(6).sample(rows, 43)
    return [
        *chosen,
        " ".join(rows[:40]),
        "word " * 500,
        "",
        "   ",
        "🐕🏃 a dog 🇫🇷 runs 👩‍👩‍👧",
        "一只狗在草地上奔跑，旁边有一个穿红色外套的孩子。",
        "E = mc²; the muon's τ ≈ 2.2 µs — “quoted”, isn't it?\n\tnext LINE",
    ]


@pytest.fixture(scope="session")
def sounds(reference_data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Sound]:
    """20 clips, 8 to 48 kHz, mono and stereo, 0.1 to 60 s, as readers give them."""
    folder = tmp_path_factory.mktemp("sounds")
    real = sorted((reference_data / "esc10").rglob("*.ogg"))
    rng = random.Random(7)
    lengths_s = [0.1, 0.35, 1, 2.5, 5, 7.3, 9.99, 10, 10.01, 14, 20, 33, 60]
    lengths_s += [3, 4, 6, 8, 12, 0.2, 5]
    rates_hz = [8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000]
    found = []
    for index, length_s in enumerate(lengths_s):
        samples, _ = soundfile.read(rng.choice(real), dtype="float32", always_2d=True)
        rate_hz = rates_hz[index % len(rates_hz)]
        wanted = max(1, round(length_s * rate_hz))
        samples = np.resize(samples, (wanted, samples.shape[1]))
        if index % 2:
            samples = np.stack([samples[:, 0], samples[::-1, 0] * 0.5], axis=1)
        path = folder / f"{index}.wav"
        soundfile.write(path, samples, rate_hz)
        found.append(_sound(path))
    return found


def _sound(path: Path) -> Sound:
    kind = media_type_of(path)
    assert kind is not None
    part: Any = next(iter(read(path, kind, max_pixels=10**8).parts))
    for _, sound in part.windows(600.0, 600.0):
        return sound
    raise AssertionError(f"{path} holds no sound")
