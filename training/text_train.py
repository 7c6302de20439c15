"""Train the text tower with two teachers' vectors and similarities, and with scored pairs.

The first teacher is all-MiniLM-L6-v2. The second is the same network, tuned for a minute on STS-B's
train split and on titles against abstracts, and held near the first. The student's
target is the mean of both, in the space.
"""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

import common
import retrieval
import text_losses
import text_material
import text_names
from text_student import TextStudent, arrays_of, encode, padded


@dataclass(frozen=True)
class Recipe:
    """The training parameters; the fields are those of `[text.recipe]` in config.toml."""

    hidden: tuple[int, ...] = (128, 0)  # one student each; 0 is a plain bag
    minutes: float = 7.0  # for everything
    teacher_share: float = 0.25  # of the time, at most, for tuning and asking the teachers
    batch: int = 2048
    batch_tokens: int = 80_000
    learning_rate: float = 3e-3
    temperature: float = 0.05
    similarity_weight: float = 1.0
    sts_weight: float = 0.03
    document_weight: float = 0.08
    name_weight: float = 0.05
    derived: float = 1.0  # how many phrases and mixtures of words
    texts: int = 10**9  # at most so many


@dataclass
class Material:
    """Token ids of all texts end to end `[S]`, where each starts `[N + 1]`, targets `[N, D]`."""

    tokens: Tensor
    starts: Tensor
    targets: Tensor

    def batch(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return padded tokens int64 `[len(rows), longest]` and lengths."""
        lengths = self.starts[rows + 1] - self.starts[rows]
        place = torch.arange(int(lengths.max()), device=rows.device)
        wanted = torch.minimum(self.starts[rows][:, None] + place, self.starts[-1] - 1)
        inside = place < lengths[:, None]
        return torch.where(inside, self.tokens[wanted], 0).long(), lengths


class Tutor:
    """MiniLM and its tuned copy; both embed lists of token ids."""

    def __init__(self, folder: str | None) -> None:
        teacher = common.TextTeacher(folder=folder)
        self.first = teacher.model
        self.second = copy.deepcopy(teacher.model)
        self.begin, self.end = teacher.tokenizer.cls_token_id, teacher.tokenizer.sep_token_id
        self.device = common.device()

    def vectors(self, model: torch.nn.Module, ids: list[list[int]]) -> Tensor:
        """Return mean-pooled unit vectors `[N, 384]` of one batch."""
        tokens, lengths = padded([[self.begin, *i[:254], self.end] for i in ids])
        tokens, lengths = tokens.to(self.device), lengths.to(self.device)
        mask = (torch.arange(tokens.shape[1], device=self.device) < lengths[:, None]).long()
        with torch.autocast("cuda", torch.bfloat16, enabled=self.device == "cuda"):
            hidden = model(input_ids=tokens, attention_mask=mask).last_hidden_state
        pooled = (hidden.float() * mask[..., None]).sum(1) / lengths[:, None]
        return functional.normalize(pooled, dim=-1)

    @torch.inference_mode()
    def ask(self, ids: list[list[int]], batch_tokens: int = 60_000) -> tuple[Tensor, Tensor]:
        """Return both teachers' vectors float32 `[N, 384]` of all texts, on the CPU."""
        lengths = [min(len(i), 254) + 2 for i in ids]
        order = sorted(range(len(ids)), key=lambda i: lengths[i])
        found = torch.zeros(2, len(ids), 384)
        for rows in common.batches_of_tokens(order, lengths, batch_tokens):
            for which, model in enumerate((self.first, self.second)):
                found[which, rows] = self.vectors(model, [ids[i] for i in rows]).cpu()
        return found[0], found[1]

    def tune(self, pairs: text_losses.Pairs, seconds: float, most_steps: int = 450) -> None:
        """Tune the second teacher, and hold it near the first."""
        optimiser = torch.optim.AdamW(self.second.parameters(), lr=3e-5, weight_decay=0.01)
        began, step, progress = time.monotonic(), 0, 0.0
        while progress < 1.0:
            for group in optimiser.param_groups:
                group["lr"] = 3e-5 * min(1.0, (step + 1) / 30) * (1.02 - progress)
            first, second, scores = pairs.sts_batch(96)
            left = self.vectors(self.second, first)
            right = self.vectors(self.second, second)
            loss = text_losses.sts_loss(left, right, scores.to(self.device))
            queries, documents = pairs.document_batch(48)
            asked, answers = (self.vectors(self.second, side) for side in (queries, documents))
            loss = loss + text_losses.contrastive_loss(asked, answers, 0.05)
            with torch.no_grad():
                old = [self.vectors(self.first, side) for side in (first, queries, documents)]
            for new, was in zip((left, asked, answers), old, strict=True):
                loss = loss + 3.0 * (1 - (new * was).sum(-1)).mean()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            step += 1
            progress = max(step / most_steps, (time.monotonic() - began) / seconds)
        self.second.eval()
        print(f"teacher: {step} steps, {time.monotonic() - began:.0f} s", flush=True)


class Choices:
    """Figures for choices: STS-B dev, Cranfield's queries, bare names to captions."""

    def __init__(self, known: dict[str, Any], rows: list[tuple[str, str]], tokenizer: Any) -> None:
        scores, first, second = zip(*known["sts_dev"], strict=True)
        self.scores = np.array(scores)
        captions = [t for s, t in rows if s in ("flickr30k", "audiocaps", "clotho")][:20_000]
        words = [f" {' '.join(text_losses.words_of(c))} " for c in captions]
        found = {
            n: [i for i, w in enumerate(words) if f" {n} " in w] for n, _ in text_names.names()
        }
        found = {name: hits for name, hits in found.items() if len(hits) >= 10}
        self.hits = [set(hits) for hits in found.values()]
        self.relevant = [dict.fromkeys(rows, 1.0) for rows in known["dev_relevant"]]
        texts = (first, second, known["dev_queries"], known["dev_documents"], list(found), captions)
        self.ids = [text_losses.tokenise(tokenizer, list(part), 10_000) for part in texts]

    def measure(self, encoded: Any) -> dict[str, float]:
        """Return the figures of `encoded`, which gives vectors for lists of token ids."""
        first, second, queries, documents, names, captions = (encoded(part) for part in self.ids)
        best = np.argsort(-(names @ captions.T), axis=1)[:, :10]
        right = [len(hits & set(row)) / 10 for hits, row in zip(self.hits, best, strict=True)]
        return {
            "stsb_dev": round(retrieval.spearman((first * second).sum(1), self.scores), 4),
            "cranfield": round(retrieval.ndcg_at_10(queries @ documents.T, self.relevant), 4),
            "names_p10": round(float(np.mean(right)), 4),
        }


def read(cache: Path) -> tuple[list[tuple[str, str]], dict[str, Any]]:
    """Return what `prepare.py` wrote: (source, text) of all texts, and the supervision."""
    with (cache / "texts.jsonl").open(encoding="utf-8") as file:
        rows = [(row["source"], row["text"]) for row in map(json.loads, file)]
    return rows, json.loads((cache / "supervision.json").read_text("utf-8"))


def _material(tutor: Tutor, ids: list[list[int]], space: common.Space) -> Material:
    lengths = np.array([len(i) for i in ids])
    first, second = tutor.ask(ids)
    targets = np.zeros((len(ids), len(space.scale)), np.float32)
    for start in range(0, len(ids), 65_536):
        part = slice(start, start + 65_536)
        targets[part] = space.project(common.normalise((first[part] + second[part]).numpy()))
    device = common.device()
    return Material(
        torch.from_numpy(np.concatenate([np.array(i, np.int32) for i in ids])).to(device),
        torch.from_numpy(np.concatenate([[0], np.cumsum(lengths)])).to(device),
        torch.from_numpy(targets.astype(np.float16)).to(device),
    )


def _batches(material: Material, recipe: Recipe, rng: np.random.Generator) -> Iterator[Tensor]:
    """Yield batches of rows without end; the texts of a batch are of similar length."""
    lengths = (material.starts[1:] - material.starts[:-1]).cpu().numpy()
    while True:
        order = rng.permutation(len(lengths))
        batches = []
        for start in range(0, len(order), recipe.batch * 16):
            pool = order[start : start + recipe.batch * 16]
            pool = pool[np.argsort(lengths[pool] * np.exp(rng.normal(0, 0.3, len(pool))))]
            at = 0
            while at < len(pool):
                longest = lengths[pool[at : at + recipe.batch]].max()
                size = max(64, min(recipe.batch, recipe.batch_tokens // int(longest)))
                batches.append(pool[at : at + size])
                at += size
        rng.shuffle(batches)  # type: ignore[arg-type]
        for rows in batches:
            if len(rows) >= 48:
                yield torch.from_numpy(rows).to(material.starts.device)


def train_student(
    material: Material,
    start: Tensor,
    gates: Tensor,
    pairs: text_losses.Pairs,
    recipe: Recipe,
    hidden: int,
    seconds: float,
) -> TextStudent:
    """Train one student for so many seconds."""
    device = material.tokens.device
    model = TextStudent(*start.shape, hidden).to(device)
    with torch.no_grad():
        model.table.weight.copy_(start)
        model.weight.weight.copy_(gates[:, None])
    optimiser = torch.optim.Adam(model.parameters(), lr=recipe.learning_rate)
    batches = _batches(material, recipe, np.random.default_rng(1))
    began, step, progress, total = time.monotonic(), 0, 0.0, 0.0
    while progress < 1.0:
        rate = min(1.0, (step + 1) / 100) * (0.5 + 0.5 * math.cos(math.pi * progress))
        for group in optimiser.param_groups:
            group["lr"] = recipe.learning_rate * rate
        rows = next(batches)
        tokens, lengths = material.batch(rows)
        target = material.targets[rows].float()
        vectors = model(tokens, lengths)
        loss = text_losses.distillation_loss(vectors, target)
        loss = loss + recipe.similarity_weight * text_losses.similarity_loss(
            vectors, target, recipe.temperature
        )
        loss = loss + recipe.name_weight * text_losses.name_loss(model, tokens, vectors)
        if step % 2 == 0:
            first, second, scores = pairs.sts_batch(256)
            left, right = (model(*_on(side, device)) for side in (first, second))
            loss = loss + 2 * recipe.sts_weight * text_losses.sts_loss(
                left, right, scores.to(device)
            )
        else:
            asked, answers = (model(*_on(side, device)) for side in pairs.document_batch(256))
            loss = loss + 2 * recipe.document_weight * text_losses.contrastive_loss(
                asked, answers, 0.05
            )
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        step += 1
        total += loss.detach()
        progress = (time.monotonic() - began) / seconds
        if step % 500 == 0:
            print(f"{hidden}: step {step} {float(total) / 500:.4f} {progress:.2f}", flush=True)
            total = 0.0
    print(f"{hidden}: {step} steps", flush=True)
    return model.eval()


def _on(ids: list[list[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    tokens, lengths = padded(ids)
    return tokens.to(device), lengths.to(device)


def train(cache: Path, recipe: Recipe, seed: int = 1, folder: str | None = None) -> None:
    """Train the students; write `text_HIDDEN.npz`, ready to be shipped, for each."""
    common.seed_everything(seed)
    torch.backends.cuda.matmul.allow_tf32 = True
    began = time.monotonic()
    tutor, space = Tutor(folder), common.load_space()
    tokenizer = text_losses.load_tokenizer(folder)
    rows, known = read(cache)
    rows = rows[: recipe.texts]
    pairs = text_losses.Pairs(known, tokenizer, np.random.default_rng(seed))
    choices = Choices(known, rows, tokenizer)
    allowed = 60 * recipe.minutes * recipe.teacher_share
    tutor.tune(pairs, 0.5 * allowed)
    for name, both in (("first", (1, 0)), ("second", (0, 1)), ("both", (1, 1))):

        def encoded(ids: list[list[int]], both: tuple[int, int] = both) -> np.ndarray:
            first, second = (v.numpy() for v in tutor.ask(ids))
            return space.project(common.normalise(both[0] * first + both[1] * second))

        if common.device() == "cuda":
            print(name, choices.measure(encoded), flush=True)
    words = [tokenizer.id_to_token(i).removeprefix("##") for i in range(tokenizer.get_vocab_size())]
    texts = [text for _, text in rows] + text_material.derived(rows, seed, recipe.derived)
    ids = [i for i in text_losses.tokenise(tokenizer, texts, 254) if i]
    print(f"{len(ids)} texts, {time.monotonic() - began:.0f} s", flush=True)
    material = _material(tutor, ids, space)
    start = _material(tutor, text_losses.tokenise(tokenizer, words, 254), space).targets.float()
    gates = text_losses.information(ids, len(words)).to(start.device)
    print(f"taught: {time.monotonic() - began:.0f} s", flush=True)
    for number, hidden in enumerate(recipe.hidden):
        left = 60 * recipe.minutes - (time.monotonic() - began)
        share = left / (len(recipe.hidden) - number)
        model = train_student(material, start, gates, pairs, recipe, hidden, max(share - 8, 5))
        found = choices.measure(lambda part, model=model: encode(model, part))
        print(hidden, found, flush=True)
        common.save_atomically(cache / f"text_{hidden}.npz", **arrays_of(model))
