"""Shared by the server benchmarks: a library of 100,000 chunks, and queries.

The library is built once and kept in the temporary directory (`TRAWL_BENCH` sets another place).
Passages are assembled from sentences of the reference data (captions, SciFact abstracts), pictures
are figures and photos, sounds are everyday noises. Without the reference data everything is
generated, and the scripts say so.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

CHUNKS = 100_000
PICTURES = 10_000
SOUNDS = 600
PASSAGES_PER_FILE = 20
WORDS_PER_PASSAGE = 90  # one chunk each: fewer than the chunker's 200 tokens

_WORD = re.compile(r"[a-z]{3,}")


def place() -> Path:
    """Return the folder for files that are built once."""
    default = Path(tempfile.gettempdir()) / f"trawl-bench-{os.getuid()}"
    folder = Path(os.environ.get("TRAWL_BENCH", default))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def reference() -> Path | None:
    """Return the folder of the reference data, or None."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    folder = Path(os.environ.get("TRAWL_DATA", beside))
    return folder if folder.is_dir() else None


class Queries:
    """Queries that never repeat: words in a row from two sentences, two to six in all."""

    def __init__(self, seed: int | None = None) -> None:
        self._sentences = sentences()
        self._draw = random.Random(seed)
        self._used: set[str] = set()

    def __next__(self) -> str:
        while True:
            words = [word for _ in range(2) for word in self._some()]
            query = " ".join(words)
            if words and query not in self._used:
                self._used.add(query)
                return query

    def _some(self) -> list[str]:
        words = self._draw.choice(self._sentences).split()
        start = self._draw.randrange(max(1, len(words) - 3))
        return words[start : start + self._draw.randint(1, 3)]

    def paths(self, count: int) -> list[str]:
        """Return the paths of `count` searches."""
        return [f"/search?query={quote(next(self))}" for _ in range(count)]


# --- material ------------------------------------------------------------------------------


def sentences() -> list[str]:
    """Return the sentences for passages and queries."""
    data = reference()
    found = list(_reference_sentences(data)) if data is not None else []
    return found or list(_generated_sentences(50_000))


def _reference_sentences(data: Path) -> Iterator[str]:
    captions = data / "captions_text" / "flickr30k_not_in_flickr8k.tsv.gz"
    if captions.is_file():
        with gzip.open(captions, "rt", encoding="utf-8", errors="replace") as lines:
            for line in lines:
                yield from line.rstrip("\n").split("\t")
    abstracts = data / "scifact" / "corpus.jsonl"
    if abstracts.is_file():
        for line in abstracts.read_text("utf-8").splitlines():
            text = json.loads(line)["text"]
            yield from (found.strip() for found in re.split(r"(?<=\.)\s", text) if len(found) > 40)


def _generated_sentences(count: int) -> Iterator[str]:
    """Yield sentences of invented words with a Zipf distribution."""
    draw = random.Random(0)
    syllables = [c + v + e for c in "bdfgklmnprstv" for v in "aeiou" for e in ("", "n", "r", "s")]
    words = ["".join(draw.choices(syllables, k=draw.randint(1, 4))) for _ in range(20_000)]
    weights = [1 / (rank + 3) for rank in range(len(words))]
    for _ in range(count):
        yield " ".join(draw.choices(words, weights, k=draw.randint(8, 20))).capitalize() + "."


def write_texts(folder: Path, files: int, sentences: Sequence[str], seed: int) -> None:
    """Write files of `PASSAGES_PER_FILE` passages each to `folder`."""
    draw = random.Random(seed)
    for number in range(files):
        path = folder / f"{number // 500:03}" / f"text{seed}-{number:06}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n\n".join(_passage(draw, sentences) for _ in range(PASSAGES_PER_FILE)))


def _passage(draw: random.Random, sentences: Sequence[str]) -> str:
    words: list[str] = []
    while len(words) < WORDS_PER_PASSAGE:
        words += draw.choice(sentences).split()
    return " ".join(words[:WORDS_PER_PASSAGE])


def write_pictures(folder: Path, most: int) -> None:
    """Write pictures with their captions to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    data = reference()
    listed = data / "openstax_figures" / "figures.jsonl" if data is not None else None
    if data is None or listed is None or not listed.is_file():
        _write_generated_pictures(folder, most)
        return
    there = {path.name: path for path in listed.parent.rglob("*.jpg")}
    for line in listed.read_text("utf-8").splitlines()[:most]:
        figure = json.loads(line)
        source = there.get(figure["image"])
        if source is None:
            continue
        shutil.copy(source, folder / source.name)
        sidecar = {"caption": figure["caption"] or figure["alt"], "book": figure["book"]}
        (folder / f"{source.name}.json").write_text(json.dumps(sidecar), "utf-8")
    left = most - sum(1 for _ in folder.glob("*.jpg"))
    for photo in sorted((data / "flickr8k" / "images").iterdir())[: max(0, left)]:
        shutil.copy(photo, folder / photo.name)


def _write_generated_pictures(folder: Path, most: int) -> None:
    from PIL import Image, ImageDraw

    draw = random.Random(1)
    for number in range(most):
        image = Image.new("RGB", (120, 90), tuple(draw.randrange(256) for _ in range(3)))
        pen = ImageDraw.Draw(image)
        for _ in range(6):
            x, y = draw.randrange(100), draw.randrange(70)
            ink = tuple(draw.randrange(256) for _ in range(3))
            pen.ellipse((x, y, x + draw.randrange(5, 60), y + draw.randrange(5, 60)), fill=ink)
        image.save(folder / f"picture{number:06}.jpg", quality=80)


def write_sounds(folder: Path, most: int) -> None:
    """Write sounds to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    data = reference()
    if data is not None:
        found = [*(data / "esc10").rglob("*.ogg"), *(data / "ambient_sounds").rglob("*.ogg")]
        for sound in sorted(found)[:most]:
            shutil.copy(sound, folder / sound.name)
        return
    import numpy as np
    import soundfile

    draw = np.random.default_rng(2)
    for number in range(min(most, 200)):
        time_s = np.arange(5 * 16_000) / 16_000
        tone = np.sin(2 * np.pi * draw.uniform(80, 4_000) * time_s) + draw.normal(
            0, 0.2, len(time_s)
        )
        soundfile.write(folder / f"sound{number:04}.wav", 0.3 * tone, 16_000)


def served_library(chunks: int = CHUNKS) -> Path:
    """Return the library of `chunks` chunks; build it at the first call."""
    from trawl import Library

    folder = place() / f"library-{chunks}"
    path, made = folder / "library", folder / "made.json"
    if made.is_file():
        print(f"{made.read_text('utf-8')}", flush=True)
        return path
    shutil.rmtree(folder, ignore_errors=True)
    began = time.monotonic()
    pictures = min(PICTURES, chunks // 10)
    write_pictures(folder / "files" / "pictures", pictures)
    write_sounds(folder / "files" / "sounds", min(SOUNDS, chunks // 100))
    words = sentences()
    files = (chunks - pictures - min(SOUNDS, chunks // 100)) // PASSAGES_PER_FILE
    write_texts(folder / "files" / "texts", files, words, seed=0)
    with Library(path, create=True) as library:
        report = library.add(folder / "files")
        counts = dict(library.status().chunks)
    kind = "reference data" if reference() is not None else "generated material"
    summary = f"{sum(counts.values()):,} chunks of {kind}: {counts}"
    print(f"{report.added} files added in {time.monotonic() - began:.0f} s", file=sys.stderr)
    made.write_text(summary, "utf-8")
    print(summary, flush=True)
    return path


if __name__ == "__main__":
    served_library(int(sys.argv[1]) if len(sys.argv) > 1 else CHUNKS)
