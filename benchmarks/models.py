"""A full-size ViT-B/32 with random weights: in Trawl, as a bare session, and in transformers.

Usage: python models.py [PICTURES] (default 256; peak memory was measured over 2000). Needs the
packages of `make parity`, and Flickr8k in the reference data. Each line is a ratio of two
measurements of the same run, which alternate; the better of two runs counts.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve()
DATA = Path(os.environ.get("TRAWL_DATA") or HERE.parents[2] / "shared" / "data")
BATCH = 16
CLIENTS = 16
CHILD = """
import sys
from trawl import Library
paths = open(sys.argv[3]).read().splitlines()
with Library(sys.argv[1], create=True, profile=sys.argv[2]) as library:
    library.add(paths[:16])
    report = library.add(paths[16:])
# Not ru_maxrss: it starts at the value of the parent process.
with open("/proc/self/status") as status:
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
print(report.added, report.seconds, peak)
"""


def seconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def create_models(folder: Path) -> tuple[Path, Path, Path]:
    """Create a checkpoint; return it with its encoders in float32 and in int8."""
    sys.path.insert(0, str(HERE.parents[1] / "tests" / "parity"))
    import small

    from trawl.encoders import load_model
    from trawl.encoders.export import export, quantise

    checkpoint = small.clip(
        folder / "checkpoint", DATA / "clip_tokenizer" / "tokenizer.json", full=True
    )
    export(checkpoint, folder / "float32")
    quantise(load_model(str(folder / "float32")).card, folder / "int8")
    return checkpoint, folder / "float32", folder / "int8"


def added(model: Path, paths: list[Path], work: Path) -> tuple[float, float]:
    """Return the pictures per second of `add`, and the peak memory in MB."""
    with tempfile.TemporaryDirectory(dir=work) as folder:
        listing = Path(folder) / "paths"
        listing.write_text("\n".join(map(str, paths)), "utf-8")
        out = subprocess.run(
            [sys.executable, "-c", CHILD, f"{folder}/library", model, listing],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split()
    return float(out[0]) / float(out[1]), float(out[2])


def bare(model: Path, count: int) -> float:
    """Return the pictures per second of the session alone, on prepared arrays."""
    from trawl.encoders.onnx_session import OnnxNetwork

    network = OnnxNetwork(lambda: model / "image.onnx")
    batch = np.random.default_rng(0).normal(size=(BATCH, 3, 224, 224)).astype(np.float32)
    network.run({"pixel_values": batch})
    rounds = max(1, count // BATCH)
    return (
        rounds
        * BATCH
        / seconds(lambda: [network.run({"pixel_values": batch}) for _ in range(rounds)])
    )


def reference(checkpoint: Path, count: int) -> float:
    """Return the pictures per second of transformers on the CPU, on prepared tensors."""
    import torch
    from transformers import AutoModel

    model = AutoModel.from_pretrained(checkpoint).eval()
    batch = torch.randn(BATCH, 3, 224, 224)
    rounds = max(1, count // BATCH)
    with torch.inference_mode():
        model.get_image_features(pixel_values=batch)
        took = seconds(
            lambda: [model.get_image_features(pixel_values=batch) for _ in range(rounds)]
        )
    return rounds * BATCH / took


def whole(checkpoint: Path, models: list[Path], paths: list[Path]) -> list[float]:
    """Return the pictures per second from decoded photos: of transformers, then of each model."""
    import torch
    from PIL import Image
    from transformers import AutoModel, CLIPImageProcessorPil

    from trawl.encoders import load_model

    pictures = [Image.open(path).convert("RGB") for path in paths]
    batches = [pictures[at : at + BATCH] for at in range(0, len(pictures), BATCH)]
    model, processor = AutoModel.from_pretrained(checkpoint).eval(), CLIPImageProcessorPil()

    def transformers_encode(batch: list[Image.Image]) -> None:
        with torch.inference_mode():
            model.get_image_features(**processor(batch, return_tensors="pt"))

    ways: list[Callable[[list[Image.Image]], object]] = [transformers_encode]
    ways += [load_model(str(each)).encoders["image"].encode for each in models]
    rates = []
    for way in ways:
        way(batches[0])
        rates.append(len(pictures) / seconds(lambda way=way: [way(batch) for batch in batches]))
    return rates


def batched(model: Path) -> tuple[float, float]:
    """Return the queries per second of 16 clients, without and with the batching queue."""
    from trawl.encoders import load_model

    tower: Any = load_model(str(model)).text
    queries = [f"a photo of {number} dogs in the snow" for number in range(CLIENTS * 12)]
    rates = []
    for encode in (tower.encoder.encode_queries, tower.encode_queries):
        encode(["warm"])
        with ThreadPoolExecutor(CLIENTS) as pool:
            took = seconds(lambda e=encode, p=pool: list(p.map(lambda q: e([q]), queries)))
        rates.append(len(queries) / took)
    return rates[0], rates[1]


def main() -> None:
    photos = DATA / "flickr8k" / "images"
    if not photos.is_dir():
        sys.exit(f"skipped: no photos at {photos}; set TRAWL_DATA")
    for name in ("torch", "transformers", "onnxscript"):
        if find_spec(name) is None:
            sys.exit(f"skipped: no {name}; `make parity` installs it")
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 256
    paths = sorted(photos.iterdir())[:count]
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        checkpoint, full, int8 = create_models(work)
        report(checkpoint, full, int8, paths, work)


def report(checkpoint: Path, full: Path, int8: Path, paths: list[Path], work: Path) -> None:
    rounds = min(len(paths), 128)
    peer, session, small, through, through_small = 0.0, 0.0, 0.0, 0.0, 0.0
    for _ in range(2):
        peer = max(peer, reference(checkpoint, rounds))
        session = max(session, bare(full, rounds))
        through = max(through, added(full, paths[:272], work)[0])
        small = max(small, bare(int8, rounds))
        rate, peak = added(int8, paths, work)
        through_small = max(through_small, rate)
    print(f"transformers, float32, prepared tensors (baseline): {peer:.1f} pictures/s")
    print(f"ONNX Runtime, float32: {session:.1f} pictures/s, ratio {session / peer:.2f}")
    print(f"ONNX Runtime, int8: {small:.1f} pictures/s, ratio {small / peer:.2f}")
    print(f"`add`, float32: {through:.1f} pictures/s, {through / session:.2f} of the session")
    print(
        f"`add`, int8: {through_small:.1f} pictures/s, {through_small / small:.2f} of the session"
    )
    theirs, ours, ours_small = whole(checkpoint, [full, int8], paths[:128])
    print(f"transformers and its processor, decoded photos (baseline): {theirs:.1f} pictures/s")
    print(f"Trawl's encoder, float32, the same: {ours:.1f} pictures/s, ratio {ours / theirs:.2f}")
    print(f"Trawl's encoder, int8: {ours_small:.1f} pictures/s, ratio {ours_small / theirs:.2f}")
    print(f"peak memory of `add`, int8, {len(paths)} pictures: {peak:.0f} MB")
    for name, model in (("float32", full), ("int8", int8)):
        alone, together = batched(model)
        print(
            f"{CLIENTS} clients, {name}: {together:.0f} queries/s batched, {alone:.0f} one by one "
            f"(baseline), ratio {together / alone:.2f}"
        )


if __name__ == "__main__":
    main()
