"""The material of the image student: all pictures on the device, and views with targets."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

import image_data
import image_texts
import image_views
from figure_captions import PROMPTS
from image_data import FIGURES, Item
from image_head import RECIPES, Head
from image_teacher import FEATURES, Teacher, load_teacher, weights_path
from image_texts import Captions, Texts

DATASETS = (
    "flickr8k",
    "openstax_figures",
    "imagenet_samples",
    "mini_imagenet",
    "tiny_imagenet",
    "generated",
)
GENERATED = len(DATASETS) - 1
TEACHER_PX = 192
TEACHERS = (1, 2)
"""Sizes of EfficientNet-Lite that teach."""


@dataclass
class Material:
    """All pictures, reference and generated, and what is known of each; rows align.

    ``pixels`` uint8 ``[N, 3, 128, 128]``; ``dataset`` indexes ``DATASETS``; ``kind`` indexes
    ``PROMPTS`` and ``label`` ImageNet's classes, or is -1; ``figure_target`` ``[N', 256]`` is for
    the last N' rows, the generated ones.
    """

    pixels: Tensor
    dataset: Tensor
    kind: Tensor
    label: Tensor
    train: Tensor
    captions: Captions
    texts: Texts
    prompts: Tensor
    classes: Tensor
    figure_target: Tensor
    listed: list[Item]

    @property
    def figure(self) -> Tensor:
        """Return which pictures are figures, which must not be mirrored."""
        return (self.dataset == 1) | (self.dataset == GENERATED)


def gather(cache: Path, device: str) -> Material:
    """Read everything that ``prepare`` and ``image_texts.teach`` left in the cache."""
    listed, classes = image_data.read_items(cache)
    photos = image_data.load(cache)
    drawn, kinds, said = image_data.figure_shards(cache, *FIGURES)
    texts = image_texts.load(cache, device)
    names = list(PROMPTS)
    kind = torch.tensor([names.index(k) if k in names else -1 for k in kinds])
    prompts = texts.both(torch.tensor(texts.rows(list(PROMPTS.values())), device=device))
    own = texts.both(torch.tensor(texts.rows(said), device=device))
    told = kind.to(device)
    target = F.normalize(own + torch.where(told[:, None] >= 0, prompts[told], own), dim=1)
    before = [DATASETS.index(item.dataset) for item in listed]
    pixels = torch.from_numpy(np.concatenate([photos, drawn])).permute(0, 3, 1, 2).contiguous()
    count = len(drawn)
    return Material(
        pixels=pixels.to(device),
        dataset=torch.tensor([*before, *[GENERATED] * count], device=device),
        kind=torch.cat([torch.full((len(listed),), -1), kind]).to(device),
        label=torch.tensor([*(item.label for item in listed), *[-1] * count], device=device),
        train=torch.tensor([*(i.split == "train" for i in listed), *[True] * count], device=device),
        captions=Captions([*(i.captions for i in listed), *((s,) for s in said)], texts, device),
        texts=texts,
        prompts=prompts,
        classes=image_texts.class_vectors(classes, texts),
        figure_target=target,
        listed=listed,
    )


class Teachers:
    """Several networks applied to the same views."""

    def __init__(self, device: str) -> None:
        self.half = torch.float16 if device == "cuda" else torch.float32
        self.nets: list[Teacher] = [
            load_teacher(weights_path(size)).to(
                device=device, dtype=self.half, memory_format=torch.channels_last
            )
            for size in TEACHERS
        ]

    @torch.inference_mode()
    def __call__(self, views: Tensor) -> tuple[Tensor, Tensor]:
        """Return features ``[N, 1280 T]`` and shares of the classes ``[N, 1000]`` of views."""
        side = (TEACHER_PX, TEACHER_PX)
        large = F.interpolate(views, side, mode="bicubic", align_corners=False).clamp(0, 255)
        large = large.to(self.half).contiguous(memory_format=torch.channels_last)
        features = [net(large) for net in self.nets]
        scores = [net.classes(f).float() for net, f in zip(self.nets, features, strict=True)]
        return torch.cat(features, 1), torch.stack(scores).mean(0).softmax(1)


FEATURE_DIM = FEATURES * len(TEACHERS)


class Answers:
    """The teachers' targets: for each data set a mixture of heads and of class names."""

    def __init__(self, cache: Path, classes: Tensor) -> None:
        device = classes.device
        state = torch.load(cache / "image" / "heads.pt", map_location=device, weights_only=True)
        self.heads = []
        for recipe, weights in zip(RECIPES, state["heads"], strict=True):
            head = Head(FEATURE_DIM, recipe).to(device).eval().requires_grad_(False)
            head.load_state_dict(weights)
            self.heads.append(head)
        self.votes = state["votes"].to(device)
        self.names = state["names"].to(device)
        self.classes = classes

    def __call__(self, features: Tensor, shares: Tensor, dataset: Tensor) -> Tensor:
        """Return unit vectors ``[N, 256]`` for features and class shares of views."""
        answers = torch.stack([head(features.float()) for head in self.heads])
        total = torch.einsum("dh,hnk->ndk", self.votes, answers)
        mine = total[torch.arange(len(dataset), device=dataset.device), dataset]
        named = F.normalize(shares @ self.classes, dim=1) * self.names[dataset][:, None]
        return F.normalize(F.normalize(mine, dim=1) + named, dim=1)


class Ring:
    """A ring buffer of views with targets and features; new views replace the oldest."""

    LABEL_SHARE = 0.7
    MIXED_SHARE = 0.35

    def __init__(
        self, material: Material, teachers: Teachers, answers: Answers, size: int, shares: Tensor
    ) -> None:
        device = material.pixels.device
        self.material, self.teachers, self.answers = material, teachers, answers
        usable = material.train & (material.captions.count > 0)
        self.rows = [(usable & (material.dataset == d)).nonzero()[:, 0] for d in range(len(shares))]
        known = torch.tensor([float(len(rows) > 0) for rows in self.rows])
        self.shares = shares * known / (shares * known).sum()
        side = material.pixels.shape[-1]
        self.pixels = torch.zeros(size, 3, side, side, dtype=torch.uint8, device=device)
        self.target = torch.zeros(size, 256, dtype=torch.float16, device=device)
        self.feature = torch.zeros(size, FEATURE_DIM, dtype=torch.float16, device=device)
        self.row = torch.zeros(size, dtype=torch.long, device=device)
        self.mixed = torch.zeros(size, dtype=torch.bool, device=device)
        self.at, self.filled = 0, 0

    def _draw(self, count: int) -> Tensor:
        which = torch.multinomial(self.shares, count, replacement=True)
        counts = torch.bincount(which, minlength=len(self.rows)).tolist()
        device = self.row.device
        return torch.cat(
            [
                rows[torch.randint(len(rows), (n,), device=device)]
                for rows, n in zip(self.rows, counts, strict=True)
                if n
            ]
        )

    @torch.no_grad()
    def fill(self, count: int) -> None:
        """Make ``count`` new views and run the teachers on them."""
        m = self.material
        rows = self._draw(count)
        dataset = m.dataset[rows]
        views = image_views.crop(m.pixels[rows].float(), m.figure[rows])
        mixed = torch.rand(count, device=rows.device) < self.MIXED_SHARE
        mixed &= dataset != GENERATED
        views = image_views.mix(views, mixed)
        feature, shares = self.teachers(views)
        target = self.answers(feature, shares, dataset)
        label = m.label[rows]
        known = (label >= 0) & ~mixed
        target = target + self.LABEL_SHARE * known[:, None] * m.classes[label]
        drawn = dataset == GENERATED
        first = len(m.listed)
        target[drawn] = m.figure_target[rows[drawn] - first]
        slots = (torch.arange(count, device=rows.device) + self.at) % len(self.row)
        self.pixels[slots] = views.round().clamp(0, 255).to(torch.uint8)
        self.target[slots] = F.normalize(target, dim=1).half()
        self.feature[slots] = feature.half()
        self.row[slots], self.mixed[slots] = rows, mixed
        self.at = (self.at + count) % len(self.row)
        self.filled = min(len(self.row), self.filled + count)

    def draw(self, count: int) -> Tensor:
        """Return random slots that are filled."""
        return torch.randint(self.filled, (count,), device=self.row.device)
