"""Lead a trained text student towards the first teacher on captions, and hold it elsewhere.

    python text_settle.py [--cache DIR] [--hidden 128] [--minutes 10]

Pictures and sounds are trained against the first teacher's vectors of captions, so captions must
lie where that teacher puts them. The student's own answers before this step hold everything else.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

import common
import text_losses
import text_train
from text_student import TextStudent, arrays_of, padded

CAPTIONS = ("flickr30k", "audiocaps", "clotho", "openstax", "everyday", "names", "words")


def asked(cache: Path, count: int) -> tuple[list[str], np.ndarray]:
    """Return captions and the first teacher's vectors `[N, 384]`, from `captions.npz` if there."""
    path = cache / "captions.npz"
    if not path.exists():
        rows, _ = text_train.read(cache)
        texts = [text for source, text in rows if source in CAPTIONS][:count]
        vectors = common.TextTeacher().embed(texts).astype(np.float16)
        common.save_atomically(path, texts=np.array(json.dumps(texts)), vectors=vectors)
    with np.load(path) as arrays:
        return json.loads(str(arrays["texts"])), arrays["vectors"]


def restored(path: Path) -> TextStudent:
    """Return the student whose arrays `text_student.arrays_of` wrote."""
    with np.load(path) as arrays:
        model = TextStudent(*arrays["table"].shape, len(arrays["bias"]))
        values = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    with torch.no_grad():
        model.table.weight.copy_(values["table"] * values["scale"][:, None])
        model.weight.weight.copy_(values["gate"][:, None])
        if model.hidden:
            model.around.weight.copy_(values["around"].T)
            model.around_bias.copy_(values["bias"])
            model.importance.weight.copy_(values["importance"][None])
            model.addition.weight.copy_(values["addition"].T)
    return model


def _drawn(ids: list[list[int]], count: int, rng: np.random.Generator) -> tuple[np.ndarray, Tensor]:
    rows = rng.choice(len(ids), count, replace=False)
    return rows, padded([ids[row] for row in rows])


def settle(cache: Path, hidden: int, minutes: float, batch: int = 256, rate: float = 4e-4) -> None:
    """Write `text_HIDDEN_settled.npz`."""
    rng, device = np.random.default_rng(2), common.device()
    model = restored(cache / f"text_{hidden}.npz").to(device)
    before = copy.deepcopy(model).eval()
    tokenizer = text_losses.load_tokenizer()
    texts, vectors = asked(cache, 100_000)
    targets = torch.from_numpy(common.project(vectors))
    captions = text_losses.tokenise(tokenizer, texts)
    kept = [row for row, ids in enumerate(captions) if ids]
    captions, targets = [captions[row] for row in kept], targets[kept]
    rows, known = text_train.read(cache)
    others = [i for i in text_losses.tokenise(tokenizer, [t for _, t in rows], 64) if i]
    pairs = text_losses.Pairs(known, tokenizer, rng)
    optimiser = torch.optim.Adam(model.parameters(), lr=rate)
    began, step, progress = time.monotonic(), 0, 0.0
    while progress < 1.0:
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / 30) * (1.02 - progress)
        chosen, side = _drawn(captions, batch, rng)
        said = model(*(part.to(device) for part in side))
        wanted = targets[chosen].to(device)
        loss = text_losses.distillation_loss(said, wanted)
        _, side = _drawn(others, batch, rng)
        side = tuple(part.to(device) for part in side)
        with torch.no_grad():
            held = before(*side)
        loss = loss + text_losses.distillation_loss(model(*side), held)
        first, second, scores = pairs.sts_batch(96)
        left, right = (model(*(part.to(device) for part in padded(ids))) for ids in (first, second))
        loss = loss + 0.02 * text_losses.sts_loss(left, right, scores.to(device))
        queries, documents = pairs.document_batch(64)
        left, right = (
            model(*(part.to(device) for part in padded(ids))) for ids in (queries, documents)
        )
        loss = loss + 0.05 * text_losses.contrastive_loss(left, right, 0.05)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        step += 1
        progress = (time.monotonic() - began) / 60 / minutes
        if step % 50 == 0:
            near = functional.cosine_similarity(said, wanted).mean()
            print(f"step {step} {float(near.detach()):.4f} {float(loss.detach()):.4f}", flush=True)
        if step % 100 == 0 or progress >= 1.0:
            common.save_atomically(cache / f"text_{hidden}_settled.npz", **arrays_of(model))


def main() -> None:
    """Settle one student."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=common.TRAINING_DIR / ".cache")
    parser.add_argument("--hidden", type=int, default=common.load_config()["text"]["hidden"])
    parser.add_argument("--minutes", type=float, default=10.0)
    arguments = parser.parse_args()
    settle(arguments.cache, arguments.hidden, arguments.minutes)


if __name__ == "__main__":
    main()
