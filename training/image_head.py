"""Heads on the image teachers: small networks that map features into the space, and their mixture.

A head learns from pictures and captions (contrastive, Radford et al. 2021, "Learning transferable
visual models from natural language supervision"), the texts' vectors held fixed. Several heads
are trained for each kind of picture. The weight of each head in the mixture for a kind is chosen
on held-out pictures (Caruana et al. 2004, "Ensemble selection from libraries of models").
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from image_texts import Captions, Texts

_SAME_CAPTION = 0.92
"""Captions with a larger cosine mean the same: neither is a negative of the other."""


def contrastive(vectors: Tensor, captions: Tensor, temperature: float = 0.06) -> Tensor:
    """Return the symmetric cross-entropy of pictures and captions, twins left out."""
    logits = vectors @ captions.T / temperature
    same = captions @ captions.T > _SAME_CAPTION
    same.fill_diagonal_(False)
    logits = logits.masked_fill(same, -30.0)
    target = torch.arange(len(vectors), device=vectors.device)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


@dataclass(frozen=True)
class Recipe:
    """How one head is trained: which pictures it sees, and a few settings.

    ``root`` takes the square root of the features first, which reduces their few large values.
    """

    sets: tuple[str, ...]
    steps: int
    hidden: int = 768
    dropout: float = 0.4
    temperature: float = 0.05
    root: bool = False
    seed: int = 1


_ALL = ("flickr8k", "openstax_figures", "imagenet_samples", "mini_imagenet", "tiny_imagenet")
_OBJECTS = ("imagenet_samples", "mini_imagenet", "tiny_imagenet")
RECIPES = (
    Recipe(_ALL, 900, hidden=1024, temperature=0.06),
    Recipe(_ALL, 900, hidden=1024, temperature=0.06, root=True, seed=2),
    Recipe(("flickr8k",), 350, seed=3),
    Recipe(("flickr8k",), 350, root=True, seed=4),
    Recipe(("flickr8k",), 700, hidden=1024, dropout=0.6, root=True, seed=5),
    Recipe(("flickr8k",), 700, hidden=1024, dropout=0.6, temperature=0.07, seed=6),
    Recipe(("flickr8k", *_OBJECTS), 600, hidden=1024, dropout=0.5, root=True, seed=7),
    Recipe(("openstax_figures",), 350, root=True, seed=8),
    Recipe(("openstax_figures",), 700, hidden=1024, dropout=0.6, root=True, seed=9),
    Recipe(("openstax_figures",), 350, seed=10),
    Recipe(("openstax_figures",), 700, hidden=1024, dropout=0.6, temperature=0.07, seed=11),
    Recipe(_OBJECTS, 400, root=True, seed=12),
)


class Head(nn.Module):
    """Features ``[N, F]`` to unit vectors ``[N, 256]``."""

    def __init__(self, come: int, recipe: Recipe) -> None:
        super().__init__()
        self.root = recipe.root
        self.layers = nn.Sequential(
            nn.BatchNorm1d(come),
            nn.Dropout(0.2),
            nn.Linear(come, recipe.hidden),
            nn.GELU(),
            nn.Dropout(recipe.dropout),
            nn.Linear(recipe.hidden, 256),
        )

    def forward(self, features: Tensor) -> Tensor:
        x = features.clamp(min=0).sqrt() if self.root else features
        return F.normalize(self.layers(x), dim=1)


@dataclass
class Seen:
    """Features of all views ``[V, F]``, the picture of each view ``[V]``, and its texts."""

    features: Tensor
    picture: Tensor
    captions: Captions
    texts: Texts


def fit(recipe: Recipe, seen: Seen, allowed: Tensor, batch: int = 1024, steps: int = 0) -> Head:
    """Train one head on the views whose picture is ``allowed`` (a mask over pictures)."""
    torch.manual_seed(recipe.seed)
    device = seen.features.device
    views = allowed[seen.picture].nonzero()[:, 0]
    head = Head(seen.features.shape[1], recipe).to(device)
    steps = steps or recipe.steps
    optimiser = torch.optim.AdamW(head.parameters(), 2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps)
    for _ in range(steps):
        chosen = views[torch.randint(len(views), (batch,), device=device)]
        said = seen.texts.either(seen.captions.draw(seen.picture[chosen]))
        loss = contrastive(head(seen.features[chosen].float()), said, recipe.temperature)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return head.eval().requires_grad_(False)


def recall_at_10(pictures: Tensor, captions: Tensor, owner: Tensor) -> float:
    """Return the share of captions that find the picture that owns them among the best ten."""
    similar = captions @ pictures.T
    own = similar.gather(1, owner[:, None])
    return float(((similar > own).sum(1) < 10).float().mean())


def choose(answers: Tensor, captions: Tensor, owner: Tensor, rounds: int = 8) -> list[float]:
    """Return the weight of each head ``[H]`` in a mixture that grows greedily, one head a round.

    ``answers`` ``[H, N, 256]`` are the heads' vectors of held-out pictures.
    """
    votes = [0.0] * len(answers)
    total = torch.zeros_like(answers[0])
    best_votes, best = list(votes), -1.0
    for _ in range(rounds):
        found = [
            recall_at_10(F.normalize(total + answer, dim=1), captions, owner) for answer in answers
        ]
        winner = max(range(len(found)), key=lambda i: found[i])
        votes[winner] += 1
        total = total + answers[winner]
        if found[winner] > best:
            best, best_votes = found[winner], list(votes)
    return [vote / sum(best_votes) for vote in best_votes]
