"""A full-size EmbeddingGemma 2 with random weights beside ViT-B/32: speed and memory.

Usage: python omni.py [PICTURES] (default 200). Needs the packages of `make parity`, Flickr8k and
ESC-10 in the reference data, 12 GB of disk and 10 GB of memory. The baseline is ViT-B/32 in the
same run, where it has the tower. Sounds are measured by transformers only: exporting their tower
in full size had not ended after 15 minutes.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from models import CHILD, DATA, create_models
from trawl.encoders import load_model
from trawl.encoders.export import export, quantise
from trawl.encoders.reference import bank_questions
from trawl.encoders.towers import load_towers
from trawl.readers import media_type_of, read

TEXTS, PHOTOS, SOUNDS = 32, 8, 3


def rate(work: Callable[[Sequence[Any]], Any], items: Sequence[Any], amount: float) -> float:
    """Return the amount a second; the first item is encoded beforehand."""
    work(items[:1])
    began = time.perf_counter()
    work(items)
    return amount / (time.perf_counter() - began)


def speeds(name: str, folder: Path, media: dict[str, Sequence[Any]]) -> None:
    towers: Any = load_towers(load_model(str(folder)).card)
    found = [f"{rate(towers['text'].encode, media['text'], TEXTS):.1f} texts"]
    found.append(f"{rate(towers['image'].encode, media['image'], PHOTOS):.2f} pictures")
    size = sum(file.stat().st_size for file in folder.glob("*.onnx")) / 2**20
    print(f"{name}: {', '.join(found)} a second; graphs {size:,.0f} MB", flush=True)


def of_sounds(checkpoint: Path, sounds: Sequence[Any]) -> None:
    tower = load_towers(load_model(str(checkpoint)).card)["audio"]
    found = rate(tower.encode, sounds, sum(sound.duration_s for sound in sounds))
    print(f"omni, transformers: {found:.1f} s of sound a second", flush=True)


def without_sounds(checkpoint: Path, folder: Path) -> Path:
    """Return a checkpoint of the same weights that has no tower of sounds."""
    folder.mkdir()
    for file in checkpoint.iterdir():
        (folder / file.name).hardlink_to(file)
    config = json.loads((checkpoint / "config.json").read_text("utf-8"))
    (folder / "config.json").unlink()
    (folder / "config.json").write_text(json.dumps({**config, "audio_config": None}), "utf-8")
    return folder


def peak(name: str, folder: Path, paths: Sequence[Path], work: Path) -> None:
    """Print the rate and the peak memory of adding pictures in a process of its own."""
    listed = work / "paths.txt"
    listed.write_text("\n".join(map(str, paths)), "utf-8")
    ran = subprocess.run(
        [sys.executable, "-c", CHILD, str(work / f"{name}-library"), str(folder), str(listed)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    added, seconds, memory = ran.stdout.split()
    each = int(added) / float(seconds)
    print(f"{name}: add of {added} pictures, {each:.2f} a second, peak {float(memory):,.0f} MB")


def main() -> None:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "parity"))
    import small

    count = int((sys.argv[1:] or ["200"])[0])
    photos = sorted((DATA / "flickr8k").rglob("*.jpg"))[: 16 + count]
    sounds = []
    for path in sorted((DATA / "esc10").rglob("*.*"))[: 10 * SOUNDS]:
        kind = media_type_of(path)
        if kind and kind.startswith("audio") and len(sounds) < SOUNDS:
            (recording,) = read(path, kind, max_pixels=10**8).parts
            sounds.append(next(iter(recording.windows(30.0, 30.0)))[1])  # type: ignore[union-attr]
    media: dict[str, Sequence[Any]] = {
        "text": [(question + " ") * 4 for question in bank_questions()[:TEXTS]],
        "image": [Image.open(path).convert("RGB") for path in photos[:PHOTOS]],
        "audio": sounds,
    }
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        _, clip, clip_int8 = create_models(work / "clip")
        checkpoint = small.omni(work / "checkpoint", full=True)
        export(without_sounds(checkpoint, work / "silent"), work / "omni")
        quantise(load_model(str(work / "omni")).card, work / "omni-int8")
        models = {
            "vit-b32": clip, "vit-b32-int8": clip_int8,
            "omni": work / "omni", "omni-int8": work / "omni-int8",
        }  # fmt: skip
        for name, folder in models.items():
            speeds(name, folder, media)
        of_sounds(checkpoint, sounds)
        for name, folder in models.items():
            peak(name, folder, photos, work)


if __name__ == "__main__":
    main()
