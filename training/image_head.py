"""The image teacher: MobileNetV2's feature led into the space by a small head.

The head learns from pictures and captions (contrastive, Radford et al. 2021, "Learning
transferable visual models from natural language supervision"), MiniLM's caption vectors held
fixed. What it says of every view is the student's target.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor, nn

import common
from image_data import TEACHER_DIM, Item, items

_SAME_CAPTION = 0.92
"""Two captions nearer than this say the same thing: neither is a negative of the other."""
CAPTIONS = ("minilm_flickr8k_train", "minilm_openstax_train_alt", "minilm_imagenet_names")
TEST_CAPTIONS = ("minilm_flickr8k_test", "minilm_openstax_test_alt")

Floats = NDArray[np.float32]


def teach_captions(data: Path, cache: Path) -> None:
    """Let MiniLM read every caption once, for the files that are missing."""
    listed = items(data)
    wanted = {
        "minilm_flickr8k_train": _said(listed, {"flickr8k"}, test=False),
        "minilm_openstax_train_alt": [
            i.captions[0]
            for i in listed
            if i.captions and i.dataset == "openstax_figures" and i.split != "test"
        ],
        "minilm_imagenet_names": _said(
            listed, {"imagenet_samples", "mini_imagenet", "tiny_imagenet"}, test=False
        ),
        "minilm_flickr8k_test": _said(listed, {"flickr8k"}, test=True),
        "minilm_openstax_test_alt": _said(listed, {"openstax_figures"}, test=True),
    }
    for name, texts in wanted.items():
        if not (cache / f"{name}.npz").exists():
            embed_texts(cache, name, texts)


def _said(listed: list[Item], datasets: set[str], test: bool) -> list[str]:
    return [
        c
        for i in listed
        if i.dataset in datasets and (i.split == "test") == test
        for c in i.captions
    ]


def embed_texts(cache: Path, name: str, texts: list[str]) -> None:
    """Write MiniLM's vectors of the distinct texts to ``CACHE/NAME.npz``."""
    distinct = list(dict.fromkeys(t for t in texts if t.strip()))
    vectors = common.TextTeacher().embed(distinct).astype(np.float16)
    common.save_atomically(
        cache / f"{name}.npz", texts=np.array(distinct, dtype=object), vectors=vectors
    )


def embed_missing(cache: Path, name: str, texts: list[str]) -> None:
    """Add MiniLM's vectors of those texts that ``CACHE/NAME.npz`` does not hold yet."""
    path = cache / f"{name}.npz"
    known: dict[str, NDArray[np.float16]] = {}
    if path.exists():
        with np.load(path, allow_pickle=True) as file:
            known = dict(zip(file["texts"].tolist(), file["vectors"], strict=True))
    new = [t for t in dict.fromkeys(texts) if t not in known]
    if new:
        vectors = common.TextTeacher().embed(new).astype(np.float16)
        known |= dict(zip(new, vectors, strict=True))
        common.save_atomically(
            path, texts=np.array(list(known), dtype=object), vectors=np.stack(list(known.values()))
        )


def caption_vectors(cache: Path, names: tuple[str, ...]) -> dict[str, Floats]:
    """Read caption vectors, led into the space: caption to unit ``[256]``."""
    table: dict[str, Floats] = {}
    for name in names:
        with np.load(cache / f"{name}.npz", allow_pickle=True) as file:
            placed = common.project(file["vectors"].astype(np.float32), cache)
            table.update(zip(file["texts"].tolist(), placed, strict=True))
    return table


class Captions:
    """The caption vectors of each item, ready to be drawn from.

    ``vectors`` ``[C, 256]``; item ``i`` has rows ``start[i]`` to ``start[i] + count[i]``.
    """

    def __init__(self, listed: list[Item], table: dict[str, Floats]) -> None:
        rows: list[Floats] = []
        self.start = np.zeros(len(listed), dtype=np.int64)
        self.count = np.zeros(len(listed), dtype=np.int64)
        for i, item in enumerate(listed):
            known = [table[c] for c in item.captions if c in table]
            self.start[i], self.count[i] = len(rows), len(known)
            rows += known
        self.vectors = np.stack(rows)

    def draw(self, rng: np.random.Generator, item: NDArray[np.int64]) -> Floats:
        """Return a random caption's vector for each item, ``[N, 256]``."""
        return self.vectors[self.start[item] + rng.integers(0, self.count[item])]


def contrastive(vectors: Tensor, captions: Tensor, temperature: float = 0.06) -> Tensor:
    """Return the symmetric cross-entropy of pictures and captions, twins left out."""
    logits = vectors @ captions.T / temperature
    same = captions @ captions.T > _SAME_CAPTION
    same.fill_diagonal_(False)
    logits = logits.masked_fill(same, -30.0)
    target = torch.arange(len(vectors))
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


@dataclass(frozen=True)
class Head:
    """How one head is trained: which pictures it sees, and a few settings.

    ``root`` takes the square root of the features first, which tames their few large values.
    """

    chances: tuple[tuple[str, float], ...]
    steps: int
    hidden: int = 512
    temperature: float = 0.05
    dropout: float = 0.4
    root: bool = False
    seed: int = 1

    def build(self) -> nn.Sequential:
        """Return it untrained: features ``[N, 1280]`` to ``[N, 256]``, not yet unit."""
        first: list[nn.Module] = [_Root()] if self.root else []
        return nn.Sequential(
            *first,
            nn.BatchNorm1d(TEACHER_DIM),
            nn.Dropout(0.2),
            nn.Linear(TEACHER_DIM, self.hidden),
            nn.GELU(),
            nn.Dropout(self.dropout),
            nn.Linear(self.hidden, 256),
        )


class _Root(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(min=0).sqrt()


_EVERYTHING = (
    ("flickr8k", 1.0),
    ("openstax_figures", 1.3),
    ("imagenet_samples", 0.4),
    ("mini_imagenet", 0.4),
    ("tiny_imagenet", 0.4),
)
HEADS = {
    "all": Head(_EVERYTHING, 600, hidden=768, temperature=0.06),
    "photos": Head((("flickr8k", 1.0),), 380, seed=2),
    "photos_root": Head((("flickr8k", 1.0),), 380, dropout=0.3, root=True),
    "figures_root": Head((("openstax_figures", 1.0),), 350, dropout=0.3, root=True),
}
MIXTURE = {
    "flickr8k": (("all", 0.7), ("photos", 1.0), ("photos_root", 1.0)),
    "openstax_figures": (("all", 1.0), ("figures_root", 1.0)),
}
"""The heads whose unit vectors are added up for a view; other pictures have ``all`` alone.

A head for one kind of picture meets harder negatives; several heads together err less. Recall of
held-out train captions among the best ten: Flickr8k 0.616 (all), 0.648 (photos), 0.668 (mixture);
OpenStax 0.647 (all), 0.669 (figures), 0.719 (mixture).
"""


def retrieval(pictures: Floats, captions: Floats, owner: NDArray[np.int64]) -> dict[str, float]:
    """Return R@1, R@5 and R@10 of captions looking for the picture that owns them."""
    similar = captions @ pictures.T
    own = similar[np.arange(len(owner)), owner]
    rank = (similar > own[:, None]).sum(1)
    return {f"R@{k}": float((rank < k).mean()) for k in (1, 5, 10)}


def held_out(
    listed: list[Item], dataset: str, split: str, table: dict[str, Floats]
) -> tuple[NDArray[np.int64], Floats, NDArray[np.int64]]:
    """Return item numbers, caption vectors, and which of those items each caption belongs to."""
    chosen = [i for i, item in enumerate(listed) if (item.dataset, item.split) == (dataset, split)]
    said = [(n, table[c]) for n, i in enumerate(chosen) for c in listed[i].captions if c in table]
    return (
        np.array(chosen),
        np.stack([v for _, v in said]),
        np.array([n for n, _ in said], dtype=np.int64),
    )


def _fit(
    name: str,
    listed: list[Item],
    captions: Captions,
    features: NDArray[np.float16],
    owner: NDArray[np.int64],
) -> nn.Module:
    """Train one head by its recipe."""
    recipe = HEADS[name]
    torch.manual_seed(recipe.seed)
    rng = np.random.default_rng(recipe.seed)
    usable = np.array([item.split == "train" for item in listed]) & (captions.count > 0)
    weight = dict(recipe.chances)
    chance = np.array([weight.get(item.dataset, 0.0) for item in listed]) * usable
    views = rng.choice(len(owner), (recipe.steps, 512), p=chance[owner] / chance[owner].sum())
    head = recipe.build()
    optimiser = torch.optim.AdamW(head.parameters(), 2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=recipe.steps)
    for chosen in views:
        out = F.normalize(head(torch.from_numpy(features[chosen].astype(np.float32))), dim=1)
        said = torch.from_numpy(captions.draw(rng, owner[chosen]))
        loss = contrastive(out, said, recipe.temperature)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    print(f"head {name}: {loss.item():.3f}", flush=True)
    return head


def teach(
    data: Path, cache: Path, features: NDArray[np.float16], owner: NDArray[np.int32]
) -> Floats:
    """Train the heads; return their unit vector for every view, ``[M, 256]``, kept in the cache."""
    listed = items(data)
    table = caption_vectors(cache, CAPTIONS)
    captions, rows = Captions(listed, table), owner.astype(np.int64)
    said = {
        name: run_head(_fit(name, listed, captions, features, rows), features) for name in HEADS
    }
    dataset = np.array([listed[i].dataset for i in rows])
    placed = said["all"].copy()
    for name, parts in MIXTURE.items():
        mine = dataset == name
        placed[mine] = common.normalise(sum(share * said[head][mine] for head, share in parts))
    first = {int(i): n for n, i in reversed(list(enumerate(owner)))}
    for name in MIXTURE:
        chosen, vectors, whose = held_out(listed, name, "validation", table)
        found = retrieval(placed[[first[int(i)] for i in chosen]], vectors, whose)
        print(name, "teacher, held out", found, flush=True)
    np.save(cache / "image" / "targets.npy", placed.astype(np.float16))
    return placed


def run_head(head: nn.Module, features: NDArray[np.float16]) -> Floats:
    """Return the head's unit vectors ``[M, 256]``."""
    head.eval()
    with torch.no_grad():
        parts = [
            F.normalize(
                head(torch.from_numpy(features[s : s + 4096].astype(np.float32))), dim=1
            ).numpy()
            for s in range(0, len(features), 4096)
        ]
    return np.concatenate(parts)
