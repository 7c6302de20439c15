"""A full-size ViT-B/32 with random weights on a CUDA device in bfloat16.

Usage: python gpu.py [PICTURES] [--cpu] (default 512). Needs torch and transformers, and a CUDA
device; `--cpu` runs the same on the CPU, to try the script. It reads the CLIP tokenizer and the
photos of the reference data: set TRAWL_DATA. Times are medians, beside transformers.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve()
DATA = Path(os.environ.get("TRAWL_DATA") or HERE.parents[2] / "shared" / "data")
TEXTS, BATCH = 32, 128
ROUNDS = 2 if "--cpu" in sys.argv else 50


def median_ms(work: Callable[[], Any], rounds: int = ROUNDS) -> tuple[float, float]:
    """Return the median and the 95th percentile in milliseconds, after three warm-up calls."""
    for _ in range(3):
        work()
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took), sorted(took)[int(0.95 * rounds)]


def captions() -> list[str]:
    """Return 32 sentences of 3 to 60 words."""
    sentence = "a muon decays into an electron while two dogs run over the field of red grass"
    words = sentence.split()
    lengths = np.linspace(3, 60, TEXTS).astype(int)
    return [" ".join(words[(n * 7 + at) % len(words)] for at in range(n)) for n in lengths.tolist()]


def least_cosine(left: np.ndarray, right: np.ndarray) -> float:
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    return float(((left * right).sum(axis=1) / norms).min())


def main() -> None:
    for name in ("torch", "transformers"):
        if find_spec(name) is None:
            sys.exit(f"skipped: no {name}; `make parity` installs it")
    import torch

    on_cpu = "--cpu" in sys.argv
    if not torch.cuda.is_available() and not on_cpu:
        sys.exit("skipped: no CUDA device")
    photos = DATA / "flickr8k" / "images"
    if not photos.is_dir():
        sys.exit(f"skipped: no photos at {photos}; set TRAWL_DATA")
    numbers = [int(word) for word in sys.argv[1:] if word.isdigit()]
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "the CPU"
    print(f"{name}, torch {torch.__version__}")
    sys.path.insert(0, str(HERE.parents[1] / "tests" / "parity"))
    import small

    with tempfile.TemporaryDirectory() as folder:
        checkpoint = small.clip(Path(folder), DATA / "clip_tokenizer" / "tokenizer.json", full=True)
        measure(checkpoint, sorted(photos.iterdir()), numbers[0] if numbers else 512)


def measure(checkpoint: Path, photos: list[Path], count: int) -> None:
    import torch
    from PIL import Image
    from transformers import AutoModel, AutoTokenizer

    from trawl.encoders import load_model

    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    exact = AutoModel.from_pretrained(checkpoint).eval()
    bare = AutoModel.from_pretrained(checkpoint).eval().to(device=device, dtype=dtype)
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    encoders = load_model(str(checkpoint)).encoders

    def texts_bare() -> None:
        fed = tokenizer(captions(), return_tensors="pt", padding=True, truncation=True)
        with torch.inference_mode():
            bare.get_text_features(**fed.to(device)).pooler_output.float().cpu()

    theirs, ours = median_ms(texts_bare), median_ms(lambda: encoders["text"].encode(captions()))
    one = median_ms(lambda: encoders["text"].encode(captions()[5:6]))
    print(f"transformers, 32 texts (baseline): {theirs[0]:.1f} ms, p95 {theirs[1]:.1f}")
    print(f"Trawl, 32 texts: {ours[0]:.1f} ms, p95 {ours[1]:.1f}, ratio {ours[0] / theirs[0]:.2f}")
    print(f"Trawl, one text: {one[0]:.1f} ms, p95 {one[1]:.1f}")
    fed = tokenizer(captions(), return_tensors="pt", padding=True, truncation=True)
    with torch.inference_mode():
        reference = exact.get_text_features(**fed).pooler_output.numpy()
    agreed = least_cosine(encoders["text"].encode(captions()), reference)
    print(f"texts, least cosine to float32 on the CPU: {agreed:.5f}")

    pictures = [Image.open(path).convert("RGB") for path in (photos * count)[:count]]
    batches = [pictures[at : at + BATCH] for at in range(0, count, BATCH)]
    pixels = torch.randn(BATCH, 3, 224, 224, dtype=dtype, device=device)

    def network() -> None:
        with torch.inference_mode():
            bare.get_image_features(pixel_values=pixels).pooler_output.float().cpu()

    alone = BATCH / median_ms(network)[0] * 1000
    encoders["image"].encode(batches[0])
    began = time.perf_counter()
    vectors = np.concatenate([encoders["image"].encode(batch) for batch in batches])
    rate = count / (time.perf_counter() - began)
    print(f"transformers, prepared tensors (baseline): {alone:.0f} pictures/s")
    print(f"Trawl, decoded photos: {rate:.0f} pictures/s, ratio {rate / alone:.3f}")
    fits = torch.from_numpy(_pixels(encoders["image"], pictures[:32]))
    with torch.inference_mode():
        reference = exact.get_image_features(pixel_values=fits).pooler_output.numpy()
    print(
        f"pictures, least cosine to float32 on the CPU: {least_cosine(vectors[:32], reference):.5f}"
    )
    if device == "cuda":
        out_of_memory(encoders["image"], pictures[:256])


def _pixels(encoder: Any, pictures: list[Any]) -> np.ndarray:
    """Return the float32 [N, 3, 224, 224] that an image encoder feeds to its network."""
    return np.stack([encoder.encoder.prepare(picture) for picture in pictures])


def out_of_memory(encoder: Any, pictures: list[Any]) -> None:
    """Encode a batch with almost all of the device's memory taken: it is halved until it fits."""
    import torch

    whole = encoder.encode(pictures)
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info()
    taken = torch.empty(free - 300 * 2**20, dtype=torch.uint8, device="cuda")
    halved = encoder.encode(pictures)
    print(
        f"256 pictures with 300 MB of memory left: least cosine to the whole batch "
        f"{least_cosine(halved, whole):.5f}"
    )
    del taken


if __name__ == "__main__":
    main()
