"""What is known of a model beforehand: its question bank and its sense of what a query is about.

A model's folder in the package may hold ``calibration.npz``, which ``training/calibrate.py``
writes: the vectors of the 64 fixed questions in ``models/questions.txt``, and a linear
classifier of queries by the modality they are about. Without the file, or with one for other
weights, the questions are encoded when first needed, and queries are not classified.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trawl.types import MODALITIES, Modality, Vectors

CALIBRATION = "calibration.npz"
MODELS = Path(__file__).parent.parent / "models"


def bank_questions() -> list[str]:
    """Return the questions of the bank: captions, names, sounds, how-tos and topics of papers."""
    return (MODELS / "questions.txt").read_text("utf-8").splitlines()


@dataclass(frozen=True)
class Reference:
    """Vectors of the question bank, float32 [Q, D], and the classifier of queries.

    `answers` are the usual cosines of a text query and its answer, by the answer's modality.
    `intent` is float32 [D + 1, 3]: weights and intercepts of a softmax over `MODALITIES`.
    """

    questions: Vectors
    answers: Mapping[Modality, float] = field(default_factory=dict)
    intent: NDArray[np.float32] | None = None

    @property
    def is_stored(self) -> bool:
        """Whether it was measured beforehand, and not merely encoded at first use."""
        return self.intent is not None

    def intent_of(self, query: NDArray[np.float32]) -> Mapping[Modality, float]:
        """Return, by modality, ln(P(the query is about it) / chance); empty if unknown."""
        if self.intent is None:
            return {}
        logits = query @ self.intent[:-1] + self.intent[-1]
        peak = float(logits.max())
        total = peak + float(np.log(np.exp(logits - peak).sum()))
        chance = float(np.log(len(MODALITIES)))
        return {m: float(logits[i]) - total + chance for i, m in enumerate(MODALITIES)}


def stored_reference(name: str, fingerprint: str) -> Reference | None:
    """Return the reference of a model in the package, if there is one for these weights."""
    path = MODELS / name / CALIBRATION
    if not path.is_file():
        return None
    with np.load(path) as stored:
        if str(stored["fingerprint"]) != fingerprint:
            return None
        usual = zip(MODALITIES, stored["answers"].tolist(), strict=True)
        return Reference(
            stored["questions"].astype(np.float32),
            {modality: value for modality, value in usual if np.isfinite(value)},
            stored["intent"].astype(np.float32),
        )
