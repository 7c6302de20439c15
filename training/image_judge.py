"""Measures of a student on pictures kept from it: captions, bare names, kinds of figures."""

from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

import image_data
import image_head
import image_names
import image_teach
from figure_captions import TESTED
from image_material import Material
from image_student import ImageTower


@torch.no_grad()
def embed(student: ImageTower, pixels: Tensor, size_px: int, batch: int = 512) -> Tensor:
    """Return unit vectors of pictures uint8 ``[N, 3, S, S]``, shrunk to ``size_px``."""
    found = []
    for start in range(0, len(pixels), batch):
        part = pixels[start : start + batch].float()
        side = (size_px, size_px)
        part = F.interpolate(part, side, mode="bilinear", antialias=True, align_corners=False)
        part = part.contiguous(memory_format=torch.channels_last)
        with torch.backends.cudnn.flags(enabled=True, benchmark=False):
            found.append(F.normalize(student.features(part)[0], dim=1))
    return torch.cat(found)


class Judge:
    """Held-out photographs and textbook figures by caption, things by name, figures by kind."""

    def __init__(self, cache: Path, material: Material) -> None:
        self.material = material
        device = material.pixels.device
        self.sets = {
            name: image_teach.held_out(material, name) for name in ("flickr8k", "openstax_figures")
        }
        listed = material.listed
        things = [
            i for i, x in enumerate(listed) if x.dataset == "mini_imagenet" and x.split != "train"
        ]
        self.things = torch.tensor(things, device=device)
        _, classes = image_data.read_items(cache)
        asked = sorted({listed[i].label for i in things})
        self.asked = torch.tensor(asked, device=device)
        names = [image_names.synonyms(classes[label])[0] for label in asked]
        self.names = torch.tensor(material.texts.rows(names), device=device)
        self.unseen: dict[str, tuple[Tensor, Tensor]] = {}
        for name in ("unseen", "unseenmpl"):
            if list((cache / "image").glob(f"{name}_[0-9]*.npz")):
                pictures, kinds, _ = image_data.figure_shards(cache, name)
                right = torch.tensor([TESTED.index(kind) for kind in kinds], device=device)
                pixels = torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous().to(device)
                self.unseen[name] = pixels, right

    def __call__(self, student: ImageTower, size_px: int) -> dict[str, float]:
        """Return recall among the best ten by both text towers, and shares of right answers."""
        m = self.material
        found: dict[str, float] = {}
        for name, (rows, said, owner) in self.sets.items():
            vectors = embed(student, m.pixels[rows], size_px)
            for tower in ("minilm", "shipped"):
                captions = getattr(m.texts, tower)[said]
                found[f"{name} {tower}"] = image_head.recall_at_10(vectors, captions, owner)
        photos = self.sets["flickr8k"][0]
        pool = embed(student, m.pixels[torch.cat([self.things, photos])], size_px)
        best = (m.texts.shipped[self.names] @ pool.T).argmax(1)
        labels = torch.cat([m.label[self.things], torch.full_like(photos, -1)])
        found["bare name first"] = float((labels[best] == self.asked).float().mean())
        prompts = m.prompts[: len(TESTED)]
        for name, (pixels, right) in self.unseen.items():
            guess = (embed(student, pixels, size_px) @ prompts.T).argmax(1)
            found[name] = float((guess == right).float().mean())
        return {key: round(value, 4) for key, value in found.items()}
