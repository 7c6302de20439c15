"""Train the heads on the image teachers, and choose their weights for each data set."""

import time
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

import image_head
import image_material
import image_texts
import image_views
from image_head import RECIPES, Seen
from image_material import DATASETS, GENERATED, Material, Teachers

VIEWS = 8
"""Views of each picture that the heads learn from, the whole picture first."""

_CHOSEN_ON = ("flickr8k", "openstax_figures")
_NAME_SHARES = (0.0, 0.1, 0.2, 0.3, 0.45)
_NAMES_COST = 0.004
"""Recall that class names may cost photographs with captions."""


def teach(cache: Path, device: str, views: int = VIEWS, steps: int = 0) -> None:
    """Write ``CACHE/image/heads.pt``: weights, votes of the heads, shares of the class names."""
    material = image_material.gather(cache, device)
    began = time.monotonic()
    seen, shares = look(material, Teachers(device), views)
    print(f"{len(seen.picture)} views in {time.monotonic() - began:.0f} s", flush=True)
    heads = []
    for recipe in RECIPES:
        sets = torch.tensor([DATASETS.index(s) for s in recipe.sets], device=device)
        allowed = material.train & (material.captions.count > 0)
        heads.append(
            image_head.fit(recipe, seen, allowed & torch.isin(material.dataset, sets), steps=steps)
        )
    votes, names = _choose(material, seen, shares, heads)
    print(f"heads in {time.monotonic() - began:.0f} s", flush=True)
    torch.save(
        {
            "heads": [{k: v.cpu() for k, v in head.state_dict().items()} for head in heads],
            "votes": votes.cpu(),
            "names": names.cpu(),
        },
        cache / "image" / "heads.pt",
    )


@torch.no_grad()
def look(
    material: Material, teachers: Teachers, views: int, batch: int = 1024
) -> tuple[Seen, Tensor]:
    """Run the teachers on some views of every reference picture; also return class shares."""
    count = len(material.listed)
    features, pictures, shares = [], [], []
    for view in range(views):
        for start in range(0, count, batch):
            rows = torch.arange(start, min(start + batch, count), device=material.pixels.device)
            pixels = material.pixels[rows].float()
            if view:
                pixels = image_views.crop(pixels, material.figure[rows])
            feature, share = teachers(pixels)
            features.append(feature.half())
            pictures.append(rows)
            if not view:
                shares.append(share)
    seen = Seen(torch.cat(features), torch.cat(pictures), material.captions, material.texts)
    return seen, torch.cat(shares)


def held_out(material: Material, dataset: str) -> tuple[Tensor, Tensor, Tensor]:
    """Return held-out pictures, rows of their texts, and which picture each text belongs to."""
    device = material.pixels.device
    chosen = image_texts.split_rows(material.listed, dataset, "validation")
    said = [
        (n, r)
        for n, i in enumerate(chosen)
        for r in material.texts.rows(material.listed[i].captions)
    ]
    return (
        torch.tensor(chosen, device=device),
        torch.tensor([r for _, r in said], device=device),
        torch.tensor([n for n, _ in said], device=device),
    )


def _choose(
    material: Material, seen: Seen, shares: Tensor, heads: list[image_head.Head]
) -> tuple[Tensor, Tensor]:
    """Return votes ``[datasets, heads]`` and the shares of class names ``[datasets]``."""
    votes = torch.zeros(len(DATASETS), len(heads))
    names = torch.zeros(len(DATASETS))
    for name in _CHOSEN_ON:
        rows, texts, owner = held_out(material, name)
        captions = material.texts.both(texts)
        answers = torch.stack([head(seen.features[rows].float()) for head in heads])
        alone = [image_head.recall_at_10(answer, captions, owner) for answer in answers]
        share = image_head.choose(answers, captions, owner)
        mixture = F.normalize(
            (torch.tensor(share, device=rows.device)[:, None, None] * answers).sum(0), dim=1
        )
        named = F.normalize(shares[rows] @ material.classes, dim=1)
        with_names = [
            image_head.recall_at_10(F.normalize(mixture + s * named, dim=1), captions, owner)
            for s in _NAME_SHARES
        ]
        place = DATASETS.index(name)
        votes[place] = torch.tensor(share)
        if name == "flickr8k":
            kept = [
                s
                for s, r in zip(_NAME_SHARES, with_names, strict=True)
                if r >= max(with_names) - _NAMES_COST
            ]
            names[place] = max(kept)
        print(
            f"{name}: heads {[round(a, 3) for a in alone]}, votes {[round(s, 2) for s in share]}, "
            f"with names {[round(a, 3) for a in with_names]}",
            flush=True,
        )
    objects = [float("imagenet_samples" in recipe.sets) for recipe in RECIPES]
    for place in range(2, GENERATED):
        votes[place], names[place] = torch.tensor(objects) / sum(objects), 0.7
    votes[GENERATED, 0] = 1.0
    return votes, names
