"""The text tower's network: a bag of token vectors with a little context.

    e_i = E[token_i]                                  [D], int8 when shipped
    h_i = GELU(A e_(i-1) + B e_i + C e_(i+1) + b)     [H], what stands around the token
    g_i = softplus(w[token_i] + u . h_i)              how much the token counts
    v   = sum_i g_i (e_i + P h_i), length 1

No special tokens are added.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional


class TextStudent(nn.Module):
    """See the module's docstring. `hidden` = 0 leaves the plain weighted bag."""

    def __init__(self, vocabulary: int, dimension: int, hidden: int) -> None:
        super().__init__()
        self.table = nn.Embedding(vocabulary, dimension)
        self.weight = nn.Embedding(vocabulary, 1)
        self.hidden = hidden
        if hidden:
            self.around = nn.Linear(dimension, 3 * hidden, bias=False)
            self.around_bias = nn.Parameter(torch.zeros(hidden))
            self.importance = nn.Linear(hidden, 1, bias=False)
            self.addition = nn.Linear(hidden, dimension, bias=False)
            nn.init.normal_(self.around.weight, std=1.5 / dimension**0.5)
            nn.init.zeros_(self.importance.weight)
            nn.init.normal_(self.addition.weight, std=0.01)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """int64 `[N, T]` padded tokens and `[N]` lengths to unit vectors `[N, D]`."""
        mask = torch.arange(tokens.shape[1], device=tokens.device) < lengths[:, None]
        mask = mask[..., None]
        vectors = self.table(tokens) * mask
        gates = self.weight(tokens)
        if self.hidden:
            before, here, after = (vectors @ self.around.weight.T).chunk(3, dim=-1)
            before = functional.pad(before, (0, 0, 1, 0))[:, :-1]
            after = functional.pad(after, (0, 0, 0, 1))[:, 1:]
            hidden = functional.gelu(before + here + after + self.around_bias, approximate="tanh")
            gates = gates + self.importance(hidden)
            vectors = vectors + self.addition(hidden)
        gates = functional.softplus(gates) * mask
        return functional.normalize((gates * vectors).sum(1), dim=-1)


def export(checkpoint: Path, tokenizer: Path, folder: Path) -> None:
    """Write `text_table.npy` (int8), `text.npz` (the rest, float32) and `tokenizer.json`.

    The table is a file of its own, so that it can be mapped into memory instead of read.
    """
    with np.load(checkpoint) as state:
        arrays = dict(state)
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "text_table.npy", arrays.pop("table"))
    np.savez(folder / "text.npz", **arrays)
    shutil.copyfile(tokenizer, folder / "tokenizer.json")


def arrays_of(model: TextStudent) -> dict[str, np.ndarray]:
    """Return a student's int8 table, its scales (one a row), and the rest in float32."""
    table = model.table.weight.detach().float().cpu().numpy()
    dimension = table.shape[1]
    scale = np.maximum(np.abs(table).max(1), 1e-9) / 127.0
    extra = {
        "around": np.zeros((dimension, 0)),
        "bias": np.zeros(0),
        "importance": np.zeros(0),
        "addition": np.zeros((0, dimension)),
    }
    if model.hidden:
        extra = {
            "around": model.around.weight.detach().cpu().numpy().T,
            "bias": model.around_bias.detach().cpu().numpy(),
            "importance": model.importance.weight.detach().cpu().numpy()[0],
            "addition": model.addition.weight.detach().cpu().numpy().T,
        }
    floats = {"scale": scale, "gate": model.weight.weight.detach().cpu().numpy()[:, 0], **extra}
    return {
        "table": np.round(table / scale[:, None]).astype(np.int8),
        **{key: np.ascontiguousarray(value, np.float32) for key, value in floats.items()},
    }


def encode(model: TextStudent, ids: list[list[int]], batch: int = 256) -> np.ndarray:
    """Return unit vectors float32 `[N, D]` of lists of token ids."""
    device = model.table.weight.device
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    out = np.zeros((len(ids), model.table.embedding_dim), np.float32)
    with torch.inference_mode():
        for start in range(0, len(order), batch):
            rows = order[start : start + batch]
            tokens, lengths = padded([ids[i] for i in rows])
            out[rows] = model(tokens.to(device), lengths.to(device)).float().cpu().numpy()
    return out


def padded(ids: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Return tokens int64 `[N, longest]` and lengths `[N]`; an empty text has one token, 0."""
    lengths = np.array([max(1, len(i)) for i in ids])
    rows = np.zeros((len(ids), lengths.max()), np.int64)
    for row, tokens in enumerate(ids):
        rows[row, : len(tokens)] = tokens
    return torch.from_numpy(rows), torch.from_numpy(lengths)
