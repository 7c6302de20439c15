"""Project the vectors of a library onto a plane, reading them in batches.

The plane is that of the first two principal components. Each modality is centred first, since
the vectors of pictures, sounds and texts lie apart in a shared space, and scaled to the same
spread.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trawl.types import Modality, Vectors

LARGEST = 32_767
"""The largest coordinate; positions are int16."""

_SPREAD = LARGEST / 4
_TINY = 1e-9


class Moments:
    """The mean and the covariance of vectors that arrive in batches."""

    def __init__(self, dimension: int) -> None:
        self.count = 0
        self._sum = np.zeros(dimension)
        self._products = np.zeros((dimension, dimension))

    def add(self, vectors: Vectors) -> None:
        """Add vectors, float32 [N, D]."""
        wide = vectors.astype(np.float64)
        self.count += len(wide)
        self._sum += wide.sum(axis=0)
        self._products += wide.T @ wide

    @property
    def mean(self) -> NDArray[np.float64]:
        """The mean [D]."""
        return self._sum / max(self.count, 1)

    @property
    def scatter(self) -> NDArray[np.float64]:
        """The products [D, D] of the vectors' differences from their mean, summed."""
        return self._products - self.count * np.outer(self.mean, self.mean)


@dataclass(frozen=True, slots=True)
class Plane:
    """Where the vectors of one space lie on the map. `axes` is float64 [D, 2].

    `means` [D] and `scales` are by modality; `left` moves the whole space along x.
    """

    axes: NDArray[np.float64]
    means: Mapping[Modality, NDArray[np.float64]]
    scales: Mapping[Modality, float]
    left: float = 0.0

    def place(self, modality: Modality, vectors: Vectors) -> NDArray[np.int16]:
        """Return positions, int16 [N, 2], of vectors [N, D] of a modality that was fitted.

        Positions that lie far out are moved to the edge.
        """
        flat = (vectors - self.means[modality]) @ self.axes * self.scales[modality]
        flat[:, 0] += self.left
        bounded = np.clip(np.nan_to_num(flat), -LARGEST, LARGEST)
        return np.rint(bounded).astype(np.int16)

    def as_dict(self) -> dict[str, Any]:
        """Return the plane as JSON values."""
        return {
            "axes": self.axes.tolist(),
            "means": {name: mean.tolist() for name, mean in self.means.items()},
            "scales": dict(self.scales),
            "left": self.left,
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Plane:
        """Return the plane of `as_dict`."""
        means = {name: np.asarray(mean) for name, mean in fields["means"].items()}
        return cls(np.asarray(fields["axes"]), means, fields["scales"], fields["left"])


def fit(moments: Mapping[Modality, Moments], *, part: int = 0, parts: int = 1) -> Plane:
    """Return the plane of one space. Modalities without vectors are left out.

    Equal vectors give equal planes. Of several spaces, number `part` of `parts` takes its share of
    the map, from left to right, since vectors of different spaces cannot be compared.
    """
    present = {name: one for name, one in moments.items() if one.count}
    if not present:
        raise ValueError("there are no vectors to project")
    scatters = {name: one.scatter for name, one in present.items()}
    values, vectors = np.linalg.eigh(np.sum(list(scatters.values()), axis=0))
    axes = vectors[:, ::-1][:, :2]
    # The sign of an eigenvector is arbitrary; its largest element is made positive.
    axes = axes * np.where(axes[np.abs(axes).argmax(axis=0), [0, 1]] < 0, -1.0, 1.0)
    if not values[-1] > _TINY:
        axes = np.zeros_like(axes)
    scales = {}
    for name, one in present.items():
        variance = float(np.trace(axes.T @ scatters[name] @ axes)) / one.count
        scales[name] = _SPREAD / parts / np.sqrt(variance / 2) if variance > _TINY else 0.0
    width = 2 * LARGEST / parts
    left = -LARGEST + width * (part + 0.5) if parts > 1 else 0.0
    return Plane(axes, {name: one.mean for name, one in present.items()}, scales, left)


def inside(polygon: NDArray[np.float64], points: NDArray[np.int16]) -> NDArray[np.bool_]:
    """Return which points, int16 [N, 2], are inside a polygon [P, 2], by the even-odd rule."""
    found = np.zeros(len(points), bool)
    x, y = points[:, 0].astype(np.float64), points[:, 1].astype(np.float64)
    for (x1, y1), (x2, y2) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        crosses = (y1 > y) != (y2 > y)
        if y1 != y2:
            found ^= crosses & (x < (x2 - x1) * (y - y1) / (y2 - y1) + x1)
    return found
