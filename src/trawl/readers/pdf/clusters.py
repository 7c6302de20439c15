"""Group the objects of a page that are close to each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trawl.readers.pdf.geometry import Box, union
from trawl.readers.pdf.objects import PageObject

_CELL_PT = 2.0
RULE_PT = 3.0
"""A path that is thinner than this is a rule."""


@dataclass(slots=True)
class Cluster:
    """Objects that are close to each other."""

    objects: list[PageObject]
    box: Box

    @property
    def width(self) -> float:
        """The width in points."""
        return self.box[2] - self.box[0]

    @property
    def height(self) -> float:
        """The height in points."""
        return self.box[3] - self.box[1]

    @property
    def area(self) -> float:
        """The area in square points."""
        return self.width * self.height

    @property
    def only_rules(self) -> bool:
        """Whether all objects are level rules."""
        return all(is_rule(each) or is_upright_rule(each) for each in self.objects)


def is_rule(each: PageObject) -> bool:
    """Return whether an object is a level line."""
    return each.kind == "path" and each.height < RULE_PT and each.width > 4 * each.height + 4


def is_upright_rule(each: PageObject) -> bool:
    """Return whether an object is an upright line."""
    return each.kind == "path" and each.width < RULE_PT and each.height > 4 * each.width + 4


def clusters_of(
    objects: Sequence[PageObject], width: float, height: float, gap: float
) -> list[Cluster]:
    """Return groups of objects with at most about `gap` points between them, from the top."""
    if not objects:
        return []
    columns, rows = int(width / _CELL_PT) + 2, int(height / _CELL_PT) + 2
    boxes = np.array([each.box for each in objects], np.float64)
    grown = boxes + np.array([-gap, -gap, gap, gap]) / 2
    cells = np.floor(grown / _CELL_PT).astype(np.int64)
    cells[:, [0, 2]] = cells[:, [0, 2]].clip(0, columns - 1)
    cells[:, [1, 3]] = cells[:, [1, 3]].clip(0, rows - 1)
    painted = np.zeros((rows, columns), bool)
    for left, top, right, bottom in np.unique(cells, axis=0).tolist():
        painted[top : bottom + 1, left : right + 1] = True
    labels = _components(painted)
    groups: dict[int, list[PageObject]] = {}
    for each, (left, top, _, _) in zip(objects, cells.tolist(), strict=True):
        groups.setdefault(int(labels[top, left]), []).append(each)
    found = [Cluster(group, union([each.box for each in group])) for group in groups.values()]
    return sorted(found, key=lambda cluster: (cluster.box[1], cluster.box[0]))


def _components(painted: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the number of the connected area of each cell; cells touch at corners too."""
    labels = np.zeros(painted.shape, np.int64)
    parent = [0]

    def root(label: int) -> int:
        while parent[label] != label:
            parent[label] = parent[parent[label]]
            label = parent[label]
        return label

    before: list[tuple[int, int, int]] = []
    edges = np.diff(np.pad(painted, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    for row in np.flatnonzero(painted.any(axis=1)).tolist():
        starts = np.flatnonzero(edges[row] == 1).tolist()
        ends = np.flatnonzero(edges[row] == -1).tolist()
        above = before if before and before[0][2] == row - 1 else []
        above_spans = [(s, e) for s, e, _ in above]
        current = []
        for start, end in zip(starts, ends, strict=True):
            touching = [int(labels[row - 1, s]) for s, e in above_spans if s <= end and e >= start]
            if touching:
                label = min(map(root, touching))
                for other in touching:
                    parent[root(other)] = label
            else:
                label = len(parent)
                parent.append(label)
            labels[row, start:end] = label
            current.append((start, end, row))
        before = current
    return np.array([root(label) for label in range(len(parent))])[labels]
