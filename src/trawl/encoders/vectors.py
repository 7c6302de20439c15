"""Arithmetic on vectors that every family needs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trawl.types import Vectors


def unit(vectors: NDArray[np.float32]) -> Vectors:
    """Give float32 [N, D], each row brought to length 1; a row of zeros stays one."""
    lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))[:, None]
    whole: Vectors = vectors / np.maximum(lengths, np.float32(1e-12))
    return whole.astype(np.float32, copy=False)


def pooled(
    states: NDArray[np.float32], mask: NDArray[np.int64], pooling: str
) -> NDArray[np.float32]:
    """Give one vector [N, D] for the states of each text's tokens.

    `states` is [N, T, D], or [N, D] where the network has pooled by itself (`pooling` is
    "none"); `mask` is int64 [N, T], 1 for a token. "mean" is over the tokens (Reimers
    and Gurevych 2019), "cls" the first position's state, "last" the last token's.
    """
    if pooling == "none":
        return states
    if pooling == "cls":
        first: NDArray[np.float32] = states[:, 0]
        return first
    if pooling == "last":
        last: NDArray[np.float32] = states[
            np.arange(len(states)), mask.shape[1] - 1 - np.argmax(mask[:, ::-1], axis=1)
        ]
        return last
    weights = mask.astype(np.float32)[:, :, None]
    summed: NDArray[np.float32] = (states * weights).sum(axis=1)
    mean: NDArray[np.float32] = summed / np.maximum(weights.sum(axis=1), np.float32(1e-9))
    return mean
