"""Tables: the rows and rules above or below a caption, and their cells."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from trawl.readers.pdf.captions import Caption, Run
from trawl.readers.pdf.clusters import Cluster, is_rule, is_upright_rule
from trawl.readers.pdf.figures import (
    Candidate,
    column_of,
    figure_candidates,
    free_area,
    obstacles_of,
)
from trawl.readers.pdf.geometry import Box, union
from trawl.readers.pdf.objects import PageObject
from trawl.readers.pdf.scene import Scene, has_centre, overlap

_NEAREST_PT = 45.0
_LEAST_RULE_PT = 30.0
_SAME_EDGE_PT = 6.0
_SENTENCE_CHARS = 70


def table_candidates(scene: Scene, caption: Caption) -> list[Candidate]:
    """Return what may be the table of a caption."""
    pictures = [c.box for c in scene.clusters if not _may_be_cells(c, scene) and c.area > 1500]
    obstacles = [*obstacles_of(scene, caption), *pictures]
    found = []
    for side in ("below", "above"):
        limits = free_area(scene, caption, side, obstacles)
        each = _of_rows(scene, caption, side, limits)
        if each is not None:
            found.append(each)
    if not found:  # a picture of a table
        for each in figure_candidates(scene, caption, ()):
            each.score -= 0.5
            found.append(each)
    return sorted(found, key=lambda each: -each.score)


def _may_be_cells(cluster: Cluster, scene: Scene) -> bool:
    """Return whether a group of objects consists of rules and the backgrounds of cells."""
    other = 0
    for each in cluster.objects:
        if is_rule(each) or is_upright_rule(each):
            continue
        if each.kind == "path" and (
            each.light or any(has_centre(each.box, r.box) for r in scene.loose)
        ):
            continue
        other += 1
    return other <= 0.1 * len(cluster.objects)


def _of_rows(scene: Scene, caption: Caption, side: str, limits: Box) -> Candidate | None:
    rules = _rules(scene, caption, side, limits)
    extent = union([rule.box for rule in rules]) if rules else None
    rows = _rows_from(scene, caption, side, limits, extent)
    if not rows:
        return None
    boxes = [run.box for row in rows for run in row]
    if extent is not None:
        boxes.append(extent)
    box = union(boxes)
    several = sum(len(row) > 1 for row in rows)
    if len(rows) < 2 or (several < 2 and len(rules) < 2) or several < 0.3 * len(rows):
        return None
    gap = max(-overlap(box, caption.box, 1), 0.0)
    score = 1.0 + 0.5 * several / len(rows) + 0.1 * min(len(rules), 4) - gap / 40
    score += 0.1 if side == "below" else 0.0
    return Candidate(box, side, score, limits)


def _rules(scene: Scene, caption: Caption, side: str, limits: Box) -> list[PageObject]:
    """Return the rules of the table next to a caption: those of one width."""
    level = [
        rule
        for cluster in scene.clusters
        for rule in cluster.objects
        if is_rule(rule)
        and rule.width >= _LEAST_RULE_PT
        and overlap(rule.box, limits, 1) >= 0
        and overlap(rule.box, limits, 0) > 0.8 * rule.width
        and overlap(rule.box, caption.box, 0) > 0
    ]
    near = [r for r in level if _distance(r.box, caption.box, side) < _NEAREST_PT]
    if not near:
        return []
    widest = max(near, key=lambda rule: rule.width)
    same = [
        rule
        for rule in level
        if abs(rule.box[0] - widest.box[0]) < _SAME_EDGE_PT
        and abs(rule.box[2] - widest.box[2]) < _SAME_EDGE_PT
    ]
    upright = [
        rule
        for rule in scene.rules
        if is_upright_rule(rule)
        and overlap(rule.box, union([r.box for r in same]), 0) >= 0
        and overlap(rule.box, union([r.box for r in same]), 1) > 0.5 * rule.height
    ]
    return [*same, *upright]


def _distance(box: Box, caption: Box, side: str) -> float:
    return caption[1] - box[3] if side == "above" else box[1] - caption[3]


def _rows_from(
    scene: Scene, caption: Caption, side: str, limits: Box, extent: Box | None
) -> list[list[Run]]:
    """Return the rows of text from the caption on, up to a gap, a sentence or the last rule."""
    runs = [run for run in scene.loose if has_centre(limits, run.box)]
    if extent is not None:
        wide = (extent[0] - 8, 0.0, extent[2] + 8, scene.height)
        runs = [run for run in runs if has_centre(wide, run.box)]
    rows = rows_of_runs(_in_column(scene, caption, runs) if extent is None else runs)
    if side == "above":
        rows.reverse()
    found: list[list[Run]] = []
    edge = caption.box
    gaps: list[float] = []
    for row in rows:
        box = union([run.box for run in row])
        if extent is not None and _outside(box, extent):
            if found or _distance(box, caption.box, side) > _distance(extent, caption.box, side):
                break
            continue
        gap = _distance(box, edge, side)
        inside = extent is not None
        if not inside:
            limit = max(1.4 * row[0].size, 1.8 * median(gaps) + 3) if gaps else 2.6 * row[0].size
            if gap > (limit if found else _NEAREST_PT):
                break
            if len(row) == 1 and len(row[0].text) > _SENTENCE_CHARS:
                break
        if found:
            gaps.append(gap)
        found.append(row)
        edge = box
    if extent is None:
        while found and len(found[-1]) == 1 and side == "below":
            found.pop()
        while found and len(found[-1]) == 1 and side == "above":
            found.pop()
    return found[::-1] if side == "above" else found


def _in_column(scene: Scene, caption: Caption, runs: list[Run]) -> list[Run]:
    """Leave out what the next column has beside a table without rules.

    A table across columns has its rows on shared baselines, and no caption beside it.
    """
    column = column_of(scene, caption)
    mine = [run for run in runs if overlap(run.box, column, 0) > 0]
    if len(mine) in (0, len(runs)):
        return runs
    box = union([run.box for run in mine])
    near = (0.0, box[1] - 70, scene.width, box[3] + 70)
    for other in scene.captions:
        if overlap(other.box, column, 0) <= 0 and has_centre(near, other.box):
            return mine
    rows = rows_of_runs(runs)
    shared = sum(
        any(run in mine for run in row) and any(run not in mine for run in row) for row in rows
    )
    return runs if shared > 0.5 * len(rows) else mine


def _outside(box: Box, extent: Box) -> bool:
    middle = (box[1] + box[3]) / 2
    return not extent[1] - 1 <= middle <= extent[3] + 1


def rows_of_runs(runs: Sequence[Run]) -> list[list[Run]]:
    """Group runs by their baselines, from the top; each row from the left."""
    rows: list[list[Run]] = []
    for run in sorted(runs, key=lambda run: run.baseline):
        if rows and run.baseline - rows[-1][0].baseline < 0.45 * max(run.size, 4):
            rows[-1].append(run)
        else:
            rows.append([run])
    return [sorted(row, key=lambda run: run.box[0]) for row in rows]
