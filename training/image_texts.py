"""Vectors of the captions and names of the pictures: MiniLM's and the shipped text tower's."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import common
import image_data
import image_names
from figure_captions import PROMPTS
from image_data import Item

_FILE = "minilm_image.npz"


@dataclass
class Texts:
    """Vectors of the distinct texts, and where each text stands.

    ``minilm`` and ``shipped`` are ``[T, 256]`` unit vectors of the same texts.
    """

    row: dict[str, int]
    minilm: Tensor
    shipped: Tensor

    def rows(self, said: tuple[str, ...] | list[str]) -> list[int]:
        """Return the rows of the texts that are known."""
        return [self.row[text] for text in said if text in self.row]

    def either(self, chosen: Tensor) -> Tensor:
        """Return the vectors of rows ``chosen``: all by MiniLM or all by the shipped tower."""
        return (self.minilm if bool(torch.rand(()) < 0.5) else self.shipped)[chosen]

    def both(self, chosen: Tensor) -> Tensor:
        """Return the unit sums of both vectors of rows ``chosen``."""
        total = self.minilm[chosen] + self.shipped[chosen]
        return torch.nn.functional.normalize(total, dim=-1)


def wanted(cache: Path) -> list[str]:
    """List every text that training needs a vector of."""
    listed, classes = image_data.read_items(cache)
    texts = [caption for item in listed for caption in item.captions]
    texts += [p for i, name in enumerate(classes) for p in image_names.phrases(i, name)]
    figures = sorted((cache / "image").glob("*_[0-9]*.npz"))
    for path in figures:
        with np.load(path) as shard:
            if "caption" in shard:
                texts += [str(c) for c in shard["caption"]]
    return list(dict.fromkeys([*texts, *PROMPTS.values()]))


def teach(cache: Path) -> None:
    """Embed the texts that are new with MiniLM; write ``CACHE/minilm_image.npz``."""
    path = cache / _FILE
    known: dict[str, NDArray[np.float16]] = {}
    if path.exists():
        with np.load(path, allow_pickle=True) as file:
            known = dict(zip(file["texts"].tolist(), file["vectors"], strict=True))
    new = [text for text in wanted(cache) if text.strip() and text not in known]
    if new:
        at_once = 16_384 if common.device() == "cuda" else 1_024
        vectors = common.TextTeacher().embed(new, at_once).astype(np.float16)
        known |= dict(zip(new, vectors, strict=True))
        common.save_atomically(
            path, texts=np.array(list(known), dtype=object), vectors=np.stack(list(known.values()))
        )


def load(cache: Path, device: str) -> Texts:
    """Read MiniLM's vectors, project them into the space, and embed the texts with `mini` too."""
    with np.load(cache / _FILE, allow_pickle=True) as file:
        texts, raw = file["texts"].tolist(), file["vectors"].astype(np.float32)
    shipped = _shipped(cache, texts)
    return Texts(
        {text: row for row, text in enumerate(texts)},
        torch.from_numpy(common.project(raw)).to(device),
        torch.from_numpy(shipped).to(device),
    )


def _shipped(cache: Path, texts: list[str]) -> NDArray[np.float32]:
    """Return the shipped text tower's vectors, kept in the cache for the weights that made them."""
    from trawl.encoders import load_model

    weights = b"".join(p.read_bytes() for p in sorted(common.MODEL_DIR.glob("text*.np*")))
    key = hashlib.sha256(weights + "\n".join(texts).encode()).hexdigest()[:12]
    path = cache / f"shipped_image_{key}.npy"
    if not path.exists():
        np.save(path, load_model("mini").text.encode(texts))
    return np.asarray(np.load(path), dtype=np.float32)


class Captions:
    """Which texts belong to which picture, ready to be drawn from on the device.

    ``start`` and ``count`` ``[N]`` point into ``rows``, which are rows of ``Texts``.
    """

    def __init__(self, said: list[tuple[str, ...]], texts: Texts, device: str) -> None:
        known = [texts.rows(captions) for captions in said]
        counts = np.array([len(rows) for rows in known], dtype=np.int64)
        self.start = torch.from_numpy(np.cumsum(counts) - counts).to(device)
        self.count = torch.from_numpy(counts).to(device)
        self.rows = torch.tensor([row for rows in known for row in rows], device=device)

    def draw(self, pictures: Tensor) -> Tensor:
        """Return a random text's row for each picture ``[B]``."""
        free = torch.rand(len(pictures), device=pictures.device)
        return self.rows[self.start[pictures] + (free * self.count[pictures]).long()]


def class_vectors(classes: list[str], texts: Texts) -> Tensor:
    """Return a target vector for each class, ``[1000, 256]``.

    The usual name has most of the weight; more general words are added so that "a dog" finds a
    beagle.
    """
    found = []
    for index, name in enumerate(classes):
        usual = image_names.synonyms(name)[0]
        article = image_names.article(usual)
        own = texts.rows([usual, article, f"a photo of {article}"])
        wide = [image_names.article(w) for w in image_names.general(index, usual)]
        rows = torch.tensor([*own, *texts.rows(wide)], device=texts.minilm.device)
        weight = torch.tensor(
            [1.0] * len(own) + [1.2 / max(1, len(wide))] * (len(rows) - len(own)),
            device=texts.minilm.device,
        )
        found.append((texts.both(rows) * weight[:, None]).sum(0))
    return torch.nn.functional.normalize(torch.stack(found), dim=1)


def split_rows(listed: list[Item], dataset: str, split: str) -> list[int]:
    """Return the numbers of the items of one split of one data set."""
    return [i for i, item in enumerate(listed) if (item.dataset, item.split) == (dataset, split)]
