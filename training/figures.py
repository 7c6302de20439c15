"""Generated figures with captions, without limit: the picture, its kind and what is said of it.

``generate`` draws one with Pillow in a few milliseconds. ``unseen`` figures wear palettes, colour
maps, grounds and fonts that training never uses; ``figure_matplotlib`` draws the same kinds with
another program altogether. Everything follows from the random generator given.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

import figure_captions
import figure_extras
import figure_maps
import figure_plots
import figure_scenes
from figure_style import Canvas, sample
from image_data import pack, write_arrays

KINDS = {
    **figure_plots.KINDS,
    **figure_maps.KINDS,
    **figure_scenes.KINDS,
    **figure_extras.KINDS,
}
_SHARD = 500
_SHAPES_WEIGHT = 3
"""Shapes have many colours, counts and kinds: they are drawn this much more often."""


@dataclass(frozen=True)
class Figure:
    """A picture in RGB, the kind of figure it is, and one caption."""

    image: Image.Image
    kind: str
    caption: str


def _weather(rng: np.random.Generator, image: Image.Image) -> Image.Image:
    """Blur, grain or compress a share of the pictures, as scans and web pages do."""
    if rng.random() < 0.12:
        image = image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.4, 1))))
    if rng.random() < 0.12:
        grain = rng.normal(0, rng.uniform(3, 10), (image.height, image.width, 1))
        grained = np.clip(np.asarray(image, dtype=np.float32) + grain, 0, 255)
        image = Image.fromarray(grained.astype(np.uint8))
    if rng.random() < 0.25:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=int(rng.integers(35, 90)))
        with Image.open(buffer) as reread:
            image = reread.convert("RGB")
    return image


def generate(rng: np.random.Generator, kind: str | None = None, unseen: bool = False) -> Figure:
    """Draw one figure of a kind, or of a random one."""
    if kind is None:
        kinds = [*KINDS, *["shapes"] * (_SHAPES_WEIGHT - 1)]
        kind = str(kinds[int(rng.integers(len(kinds)))])
    style = sample(rng, unseen)
    width = int(rng.integers(120, 220))
    height = int(np.clip(width / rng.uniform(0.75, 1.7), 90, 230))
    canvas = Canvas(rng, style, width, height)
    names = figure_captions.topic(rng, kind)
    detail = KINDS[kind](canvas, names)
    image = _weather(rng, canvas.finish())
    dark = sum(style.paper) < 250
    return Figure(image, kind, figure_captions.caption(rng, kind, detail, names, dark))


def stream(seed: int, unseen: bool = False) -> Iterator[Figure]:
    """Draw figures for ever; the same seed draws the same figures."""
    rng = np.random.default_rng(seed)
    while True:
        yield generate(rng, unseen=unseen)


def write_shard(out: Path, drawn: list[Figure]) -> None:
    """Write packed pictures, kinds and captions, whole or not at all."""
    write_arrays(
        out,
        **pack(f.image for f in drawn),
        kind=np.array([f.kind for f in drawn]),
        caption=np.array([f.caption for f in drawn]),
    )
    print(f"{out.stem}: {len(drawn)}", flush=True)


def draw_shard(folder: Path, name: str, index: int, count: int, seed: int) -> None:
    """Draw one shard of figures, unless it is there; ``unseen`` takes the tested kinds in turn."""
    out = folder / f"{name}_{index:03d}.npz"
    if out.exists():
        return
    rng = np.random.default_rng((seed, index, name == "unseen"))
    tested = figure_captions.TESTED
    if name == "unseen":
        drawn = [generate(rng, tested[i % len(tested)], True) for i in range(count)]
    else:
        drawn = [generate(rng) for _ in range(count)]
    write_shard(out, drawn)


def tasks(
    folder: Path, count: int, unseen_count: int = 1_050, seed: int = 7
) -> list[tuple[Path, str, int, int, int]]:
    """Return the arguments of ``draw_shard`` for figures to train on and those to choose by."""
    shards = [(folder, "figures", index, _SHARD, seed) for index in range(count // _SHARD)]
    return [(folder, "unseen", 0, unseen_count, seed), *shards]
