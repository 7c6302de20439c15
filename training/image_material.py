"""What the image student is shown: every view with its teacher's answers and its captions."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

import common
import image_data
import image_head
from figure_captions import PROMPTS

_FIGURES = ("figures", "mpl")
"""The shards of generated figures that may be trained on."""


@dataclass
class Material:
    """All views in one array, and what belongs to each: rows align but for ``captions``."""

    pixels: NDArray[np.uint8]
    feature: NDArray[np.float16]
    target: NDArray[np.float16]
    dataset: NDArray[np.str_]
    kind: NDArray[np.int64]
    caption_start: NDArray[np.int64]
    caption_count: NDArray[np.int64]
    captions: NDArray[np.float32]
    prompts: NDArray[np.float32]
    train: NDArray[np.bool_]


def figure_shards(cache: Path, *names: str) -> tuple[NDArray[np.uint8], list[str], list[str]]:
    """Read generated figures: pixels, kinds, captions."""
    paths = [p for n in names for p in sorted((cache / "image").glob(f"{n}_[0-9]*.npz"))]
    parts = [np.load(path) for path in paths]
    return (
        np.concatenate([p["pixels"] for p in parts]),
        [str(k) for p in parts for k in p["kind"]],
        [str(c) for p in parts for c in p["caption"]],
    )


def _targets(
    data: Path, cache: Path, feature: NDArray[np.float16], owner: NDArray[np.int32]
) -> NDArray[np.float32]:
    """Return what the teacher's heads say of every view, teaching them if that is not kept."""
    kept = cache / "image" / "targets.npy"
    if kept.exists():
        return np.load(kept).astype(np.float32)
    return image_head.teach(data, cache, feature, owner)


def prompt_vectors(cache: Path) -> NDArray[np.float32]:
    """Return the vector of each kind's plain caption, in the order of ``PROMPTS``."""
    words = image_head.caption_vectors(cache, ("minilm_figures",))
    return np.stack([words[prompt] for prompt in PROMPTS.values()])


def teach_figures(cache: Path) -> None:
    """Let MiniLM read the captions of the generated figures that it has not read yet."""
    _, _, said = figure_shards(cache, *_FIGURES)
    image_head.embed_missing(cache, "minilm_figures", [*said, *PROMPTS.values()])


def gather(data: Path, cache: Path) -> Material:
    """Bring views, teacher and captions together, teaching what is not taught yet."""
    pixels, feature, owner = image_data.load(cache)
    target = _targets(data, cache, feature, owner)
    listed = image_data.items(data)
    photo = image_head.Captions(listed, image_head.caption_vectors(cache, image_head.CAPTIONS))
    figures, kinds, said = figure_shards(cache, *_FIGURES)
    teach_figures(cache)
    words = image_head.caption_vectors(cache, ("minilm_figures",))
    figure_captions = np.stack([words[caption] for caption in said])
    prompts, names, count = prompt_vectors(cache), list(PROMPTS), len(figures)
    kind = np.array([names.index(k) if k in names else -1 for k in kinds])
    figure_target = common.normalise(
        figure_captions + np.where(kind[:, None] >= 0, prompts[kind], figure_captions)
    )
    return Material(
        pixels=np.concatenate([pixels, figures]),
        feature=feature,
        target=np.concatenate([target, figure_target]).astype(np.float16),
        dataset=np.array([*(listed[i].dataset for i in owner), *["generated"] * count]),
        kind=np.concatenate([np.full(len(owner), -1), kind]),
        caption_start=np.concatenate([photo.start[owner], len(photo.vectors) + np.arange(count)]),
        caption_count=np.concatenate([photo.count[owner], np.ones(count, dtype=np.int64)]),
        captions=np.concatenate([photo.vectors, figure_captions]),
        prompts=prompts,
        train=np.array([*(listed[i].split == "train" for i in owner), *[True] * count]),
    )


def augment(pixels: Tensor, mirror: Tensor, size_px: int, rng: np.random.Generator) -> Tensor:
    """Crop a batch slightly, mirror some rows, change light and colour, resize; 0 to 255."""
    side = int(rng.integers(98, image_data.VIEW_PX + 1))
    x, y = (int(v) for v in rng.integers(0, image_data.VIEW_PX - side + 1, 2))
    cut = pixels[:, y : y + side, x : x + side].permute(0, 3, 1, 2).float()
    cut = F.interpolate(cut, (size_px, size_px), mode="bilinear", antialias=True)
    cut = torch.where(mirror[:, None, None, None], cut.flip(3), cut)
    count = len(cut)
    gain = torch.from_numpy(rng.uniform(0.8, 1.2, (count, 1, 1, 1)).astype(np.float32))
    tint = torch.from_numpy(rng.normal(1, 0.06, (count, 3, 1, 1)).astype(np.float32))
    shift = torch.from_numpy(rng.normal(0, 10, (count, 1, 1, 1)).astype(np.float32))
    return (cut * gain * tint + shift).clamp(0, 255).permute(0, 2, 3, 1)
