"""Add photos: pictures per second and peak memory, relative to the encoder alone.

Usage: python adding.py [PICTURES] (default 2000), from Flickr8k in the reference data.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CHILD = """
import resource, sys
from trawl import Library
paths = open(sys.argv[2]).read().splitlines()
with Library(sys.argv[1], create=True) as library:
    report = library.add(paths)
    again = library.add(paths)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(report.added, len(report.failed), report.seconds, again.seconds, again.unchanged, peak)
"""


def bare(paths: list[Path]) -> float:
    """Return the seconds per picture of the image encoder alone, on decoded pictures."""
    from PIL import Image

    from trawl.encoders import load_model

    encoder = load_model("mini").encoders["image"]
    images = [Image.open(path).convert("RGB") for path in paths[:512]]
    encoder.encode(images[:16])
    began = time.perf_counter()
    for start in range(0, len(images), 16):
        encoder.encode(images[start : start + 16])
    return (time.perf_counter() - began) / len(images)


def main() -> None:
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("TRAWL_DATA", beside)) / "flickr8k" / "images"
    if not folder.is_dir():
        sys.exit(f"skipped: no photos at {folder}; set TRAWL_DATA")
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    paths = sorted(folder.iterdir())[:count]
    with tempfile.TemporaryDirectory() as work:
        listing = Path(work) / "paths"
        listing.write_text("\n".join(map(str, paths)), "utf-8")
        out = subprocess.run(
            [sys.executable, "-c", CHILD, f"{work}/library", listing],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split()
    added, failed, seconds, again_s, unchanged, peak = (float(value) for value in out)
    alone_s = bare(paths)
    print(f"{added:.0f} pictures added, {failed:.0f} failed, {added / seconds:.0f} per second")
    print(f"encoder alone, decoded pictures (baseline): {1 / alone_s:.0f} per second")
    print(f"ratio: {added / seconds * alone_s:.2f}")
    print(f"added again, {unchanged:.0f} unchanged: {again_s:.2f} s; peak memory {peak:.0f} MB")


if __name__ == "__main__":
    main()
