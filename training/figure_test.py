"""Which kind of plot is it? Generated figures in styles that training never used, asked in words.

Four in five are drawn by ``figures`` with palettes, colour maps, grounds and fonts kept back, the
rest by matplotlib in style sheets and colour maps kept back. Every figure is compared with one
caption a kind ("a box plot"); there are 21 kinds. Needs matplotlib and scipy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

import figure_matplotlib
import figures
from figure_captions import PROMPTS, TESTED

if TYPE_CHECKING:
    from trawl.encoders import Model

_DRAWN, _BY_MATPLOTLIB = 420, 105
_SEED = 90210


def unseen_figures() -> tuple[list[figures.Figure], list[figures.Figure]]:
    """Draw the test figures: those of Pillow's and those of matplotlib's, kinds in turn."""
    rng = np.random.default_rng(_SEED)
    drawn = [figures.generate(rng, TESTED[i % len(TESTED)], unseen=True) for i in range(_DRAWN)]
    return drawn, figure_matplotlib.shard(_SEED, _BY_MATPLOTLIB, unseen=True)


def measure(model: Model) -> dict[str, float]:
    """Return the share of figures whose nearest caption names their kind."""
    captions = model.text.encode([PROMPTS[kind] for kind in TESTED])
    right: list[bool] = []
    found: dict[str, float] = {}
    for name, drawn in zip(("pillow", "matplotlib"), unseen_figures(), strict=True):
        vectors = model.encoders["image"].encode([figure.image for figure in drawn])
        best = (vectors @ captions.T).argmax(1)
        hits = [TESTED[b] == figure.kind for b, figure in zip(best, drawn, strict=True)]
        found[f"figures_kind_top1_{name}"] = float(np.mean(hits))
        right += hits
    return {"figures_kind_top1_of_21": float(np.mean(right)), **found}
